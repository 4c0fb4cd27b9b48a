//! Connections that send nothing, or send slowly.

use std::{net::SocketAddr, time::Duration};

use futures::StreamExt as _;
use tokio::time::Instant;

use super::{Report, in_time};
use crate::{
    frames::{PREFACE, hello},
    wire::{Seen, Wire},
};

/// The number of connections that are opened at a time.
const AT_ONCE: usize = 64;
/// The interval between two bytes of a slow preface.
const DRIP: Duration = Duration::from_millis(500);

/// Opens connections that begin HTTP/2 and then send nothing more, not even answers to PING.
pub async fn idle(address: SocketAddr, connections: usize) -> Vec<Wire> {
    futures::stream::iter(0..connections)
        .map(|_| async move {
            let mut wire = Wire::connect_unread(address).await?;
            wire.send(&hello()).await.then_some(wire)
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// Opens connections that never finish their first 24 bytes: half of them send nothing, half one
/// byte at a time.
pub async fn slow_preface(address: SocketAddr, connections: usize, until: Instant) -> Report {
    let slow = (0..connections).map(|number| async move {
        let mut report = Report::default();
        let Some(mut wire) = Wire::connect(address).await else {
            return report;
        };
        let mut sent = 0;
        if number % 2 == 0 {
            for byte in &PREFACE[..PREFACE.len() - 1] {
                if wire.seen().is_cut() || !in_time(until) || !wire.send(&[*byte]).await {
                    break;
                }
                sent += 1;
                tokio::time::sleep(DRIP).await;
            }
        }
        wire.sees(until, Seen::is_cut).await;
        report.note(&wire, sent);
        report
    });
    futures::future::join_all(slow)
        .await
        .iter()
        .fold(Report::default(), Report::and)
}
