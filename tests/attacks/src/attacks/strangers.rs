//! Callers without an access token, who may call only health and reflection, and never end their
//! calls.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::{NOTICE, Report, Target, stream_ids};
use crate::{
    frames::{
        DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, NONE, call, frame, settings,
        whole_message,
    },
    wire::{Wire, answer},
};

/// The number of calls on one connection.
const CALLS: u32 = 200;
/// The methods, used in turn, their requests, and the flag of the only DATA frame.
const METHODS: [(&str, &[u8], u8); 3] = [
    ("/grpc.health.v1.Health/Watch", &[], END_STREAM),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        // This is `list_services`, field 7.
        &[0x3a, 0],
        NONE,
    ),
    ("/grpc.health.v1.Health/Check", &[], END_STREAM),
];

/// Opens connections with 200 calls each, whose answers have no window. They stay open until the
/// end.
pub async fn open_calls(target: &Target, connections: usize, until: Instant) -> Report {
    let mut report = Report::default();
    let mut held = Vec::new();
    for number in 0..connections {
        let Some(mut wire) = Wire::begin(target.address).await else {
            continue;
        };
        let (path, message, flags) = METHODS[number % METHODS.len()];
        let block = call(path, "", &[]);
        let calls = stream_ids(CALLS).flat_map(|stream| {
            [
                frame(HEADERS, END_HEADERS, stream, &block),
                frame(DATA, flags, stream, &whole_message(message)),
            ]
            .concat()
        });
        let no_window = settings(&[(INITIAL_WINDOW_SIZE, 0)]);
        if wire
            .send(&no_window.into_iter().chain(calls).collect::<Vec<_>>())
            .await
        {
            report.sent += u64::from(CALLS);
        }
        held.push(wire);
    }
    tokio::time::sleep_until(until).await;
    // A refused call is refused at once; an answered one waits for a window.
    for wire in &held {
        wire.sees(until + NOTICE, |seen| seen.is_cut() || seen.answers > 0)
            .await;
        report.note(wire, 0);
    }
    report
}

/// Returns true if the health service tells a probe that the server serves.
pub async fn is_probed_well(address: SocketAddr) -> bool {
    let block = call("/grpc.health.v1.Health/Check", "", &[]);
    let frames = answer(address, &block, &whole_message(&[])).await;
    // SERVING is 1, in field 1.
    let serving = whole_message(&[8, 1]);
    frames
        .iter()
        .any(|frame| frame.kind == DATA && frame.payload == serving)
}
