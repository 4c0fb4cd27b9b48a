//! Messages that exceed the limit: by their size, by their declared length, or when they are
//! unpacked.

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

/// The most bytes of a message.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The size of a message when it is unpacked, in mebibytes.
const UNPACKED_MEBIBYTES: usize = 1024;

/// Sends messages of more than 1 MiB, of a declared length of 4 GiB, and of 1 GiB when unpacked.
/// Each has its own connection, since the server reads none to its end.
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
                // The attacker ignores the server's window of 1 MiB.
                if wire.seen().answers > 0 || !wire.send(&frame(DATA, NONE, 1, part)).await {
                    break;
                }
            }
            wire.send(&frame(DATA, END_STREAM, 1, &[])).await;
            let ended = |seen: &Seen| seen.is_cut() || seen.answers > 0 || seen.resets > 0;
            wire.sees(until + NOTICE, ended).await;
            report.note(&wire, 1);
        }
    }
    report
}
