//! Messages that are larger than they may be, or say that they are, or become so when they are unpacked.

use tokio::time::Instant;

use super::{NOTICE, Report, Target, in_time};
use crate::{
    bomb::gzip_bomb,
    frames::{
        DATA, END_HEADERS, END_STREAM, HEADERS, NONE, PAYLOAD_BYTES_MAX, call, frame, message,
        whole_message,
    },
    wire::{Seen, Wire},
};

/// Bytes of a message at most.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Mebibytes that a message has once it is unpacked.
const UNPACKED_MEBIBYTES: usize = 1024;
/// Calls whose messages never end.
const UNENDED_CALLS: u32 = 64;

/// Messages of more than 1 MiB; of 4 GiB, as they say; of 1 GiB, once they are unpacked. Each has a connection
/// of its own, since none of them is read to its end.
pub async fn oversized(target: &Target, until: Instant) -> Report {
    let bomb = gzip_bomb(UNPACKED_MEBIBYTES);
    let bodies = [
        (
            whole_message(&vec![b'x'; MESSAGE_BYTES_MAX + 1]),
            "identity",
        ),
        (
            message(false, u32::MAX, &vec![b'x'; MESSAGE_BYTES_MAX]),
            "identity",
        ),
        (
            message(true, u32::try_from(bomb.len()).unwrap(), &bomb),
            "gzip",
        ),
    ];
    let mut report = Report::default();
    while in_time(until) {
        for (body, encoding) in &bodies {
            let Some(mut wire) = Wire::begin(target.address).await else {
                continue;
            };
            let block = call(target.path, &target.token, &[("grpc-encoding", encoding)]);
            wire.send(&frame(HEADERS, END_HEADERS, 1, &block)).await;
            for part in body.chunks(PAYLOAD_BYTES_MAX) {
                // The server's window is 1 MiB, which nobody here asks about.
                if wire.seen().answers > 0 || !wire.send(&frame(DATA, NONE, 1, part)).await {
                    break;
                }
            }
            wire.send(&frame(DATA, END_STREAM, 1, &[])).await;
            let ended = |seen: &Seen| seen.is_cut() || seen.answers > 0 || !seen.resets.is_empty();
            wire.sees(until + NOTICE, ended).await;
            report.note(&wire, 1);
        }
    }
    report
}

/// So many calls, each on a connection of its own, whose messages grow to what they may have, but for the last
/// byte.
pub async fn unended(target: &Target, until: Instant) -> Report {
    let length = u32::try_from(MESSAGE_BYTES_MAX).unwrap();
    // The server's window is 1 MiB, and takes the prefix too.
    let body = message(
        false,
        length,
        &vec![b'x'; MESSAGE_BYTES_MAX - PAYLOAD_BYTES_MAX],
    );
    let calls = (0..UNENDED_CALLS).map(|_| async {
        let mut report = Report::default();
        let Some(mut wire) = Wire::begin(target.address).await else {
            return report;
        };
        let block = call(target.path, &target.token, &[]);
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &block);
        for part in body.chunks(PAYLOAD_BYTES_MAX) {
            bytes.extend(frame(DATA, NONE, 1, part));
        }
        wire.send_until(&bytes, until).await;
        wire.sees(until, Seen::is_cut).await;
        report.note(&wire, 1);
        report
    });
    futures::future::join_all(calls)
        .await
        .iter()
        .fold(Report::default(), Report::and)
}
