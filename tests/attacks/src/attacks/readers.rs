//! Callers that request large answers and never read them.

use tokio::time::Instant;

use super::{Report, Target, in_time, stream_ids};
use crate::{
    frames::{
        DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, NONE, PREFACE, WINDOW_UPDATE,
        call, frame, settings,
    },
    wire::Wire,
};

/// The number of calls on one connection.
const CALLS: u32 = 200;
/// The largest possible window.
const WINDOW_BYTES_MAX: u32 = 0x7fff_ffff;

/// Opens connections with 200 calls each, whose answers have no window. They stay open until the
/// end.
pub async fn without_window(target: &Target, connections: usize, until: Instant) -> Report {
    hold(target, connections, until, 0).await
}

/// Opens connections with 200 calls each, whose answers have the largest window, on a socket that
/// nobody reads.
pub async fn without_reading(target: &Target, connections: usize, until: Instant) -> Report {
    hold(target, connections, until, WINDOW_BYTES_MAX).await
}

async fn hold(target: &Target, connections: usize, until: Instant, window: u32) -> Report {
    let mut report = Report::default();
    let mut held = Vec::new();
    let block = call(target.path, &target.token, &[]);
    for _ in 0..connections {
        let wire = if window == 0 {
            Wire::connect(target.address).await
        } else {
            Wire::connect_unread(target.address).await
        };
        let Some(mut wire) = wire else {
            continue;
        };
        let grow = WINDOW_BYTES_MAX - 65_535;
        let hello = [
            PREFACE,
            &settings(&[(INITIAL_WINDOW_SIZE, window)]),
            &frame(WINDOW_UPDATE, NONE, 0, &grow.to_be_bytes()),
        ];
        wire.send(&hello.concat()).await;
        for stream in stream_ids(CALLS) {
            let bytes = [
                frame(HEADERS, END_HEADERS, stream, &block),
                frame(DATA, END_STREAM, stream, &target.request),
            ];
            if !in_time(until) || !wire.send_until(&bytes.concat(), until).await {
                break;
            }
            report.sent += 1;
        }
        held.push(wire);
    }
    tokio::time::sleep_until(until).await;
    for wire in &held {
        report.note(wire, 0);
    }
    report
}
