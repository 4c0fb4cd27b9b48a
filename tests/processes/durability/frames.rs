//! HTTP/2 in a trace: the times at which a message arrived and its answer left.

use std::collections::BTreeMap;

use super::trace::{Call, Deed, Micros};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The size of a frame's length, type, flags and stream (RFC 9113, 4.1).
const HEADER_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// One frame that was received or sent.
struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
    /// The time at which its first byte was sent, or its last was received.
    time: Micros,
}

/// Returns every frame that was received or sent, by connection, on connections with the given
/// ends.
fn frames(
    trace: &[Call],
    deed: Deed,
    is_meant: impl Fn(&str) -> bool,
) -> BTreeMap<&str, Vec<Frame>> {
    let mut streams: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in trace {
        if call.deed == deed && call.target.starts_with("TCP:") && is_meant(&call.target) {
            streams.entry(&call.target).or_default().push(call);
        }
    }
    streams
        .into_iter()
        .map(|(connection, calls)| (connection, parse(deed, &calls)))
        .collect()
}

fn parse(deed: Deed, calls: &[&Call]) -> Vec<Frame> {
    let bytes: Vec<u8> = calls
        .iter()
        .flat_map(|call| call.bytes.iter().copied())
        .collect();
    // Returns the time of the call that carried the byte at this offset.
    let time_of = |place: usize| {
        let mut end = 0;
        let carrier = calls.iter().find(|call| {
            end += call.bytes.len();
            place < end
        });
        let carrier = carrier.expect("a place in the bytes");
        if deed == Deed::Read {
            carrier.ended
        } else {
            carrier.begun
        }
    };
    let mut found = Vec::new();
    let mut place = if bytes.starts_with(PREFACE) {
        PREFACE.len()
    } else {
        0
    };
    while let Some(header) = bytes.get(place..place + HEADER_BYTES) {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let end = place + HEADER_BYTES + length;
        let Some(payload) = bytes.get(place + HEADER_BYTES..end) else {
            break;
        };
        found.push(Frame {
            kind: header[3],
            stream: u32::from_be_bytes([header[5], header[6], header[7], header[8]]),
            payload: payload.to_vec(),
            time: time_of(if deed == Deed::Read { end - 1 } else { place }),
        });
        place = end;
    }
    found
}

fn carries(frame: &Frame, text: &str) -> bool {
    frame.kind == DATA && contains(&frame.payload, text)
}

/// Returns true if the bytes contain the text.
pub(crate) fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Returns the time at which the server on that port began to answer the call whose message
/// contains `text`.
pub(crate) fn answered(trace: &[Call], port: u16, text: &str) -> Option<Micros> {
    let is_local = |target: &str| target.contains(&format!(":{port}->"));
    let sent = frames(trace, Deed::Written, is_local);
    let (connection, stream) =
        frames(trace, Deed::Read, is_local)
            .into_iter()
            .find_map(|(connection, frames)| {
                let asked = frames.iter().find(|frame| carries(frame, text))?;
                Some((connection, asked.stream))
            })?;
    let answer = sent.get(connection)?.iter();
    answer
        .filter(|frame| frame.kind == HEADERS && frame.stream == stream)
        .map(|frame| frame.time)
        .min()
}

/// Returns the time at which a message with `text` first began to leave for the server on that
/// port.
pub(crate) fn asked(trace: &[Call], port: u16, text: &str) -> Option<Micros> {
    let is_remote = |target: &str| target.ends_with(&format!(":{port}]"));
    frames(trace, Deed::Written, is_remote)
        .values()
        .flatten()
        .filter(|frame| carries(frame, text))
        .map(|frame| frame.time)
        .min()
}
