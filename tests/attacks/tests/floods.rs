//! Attackers with raw sockets beside good clients, against the two services as processes.

mod served;

use std::{fmt::Write as _, time::Duration};

use homeroom_attacks::{
    attacks::{
        Report, headers, messages,
        silence::{idle, slow_preface},
        streams,
    },
    good::Good,
    process::{memory_bytes_max, open_files, raise_open_files},
};
use served::Served;
use tokio::time::Instant;

/// The number of idle connections, on all services together.
const IDLE_CONNECTIONS: usize = 5_000;
/// The number of connections that begin slowly, on each service.
const SLOW_CONNECTIONS: usize = 100;
/// The number of good clients, each with its own connections.
const GOOD_CLIENTS: usize = 8;
/// The number of their calls before the first attack, and after the last.
const CALLS_ALONE: usize = 400;
/// The duration of each attack.
const ATTACK: Duration = Duration::from_secs(1);
/// The time within which a connection that does not begin is closed: 5 seconds, plus a margin for a
/// busy machine.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The most memory that a process may use.
const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The most files that a process may have open beyond the earlier number, once the attackers have
/// gone.
const FILES_LEFT_MAX: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_outlive_attackers_and_answer_everybody_else() {
    let mut served = Served::start().await;
    raise_open_files();
    let school = served.school().await;
    let token = served.token("teacher");
    let good = Good::start(GOOD_CLIENTS, served.addresses(), &token, &school.class);
    good.calls(CALLS_ALONE).await;
    let files_before: Vec<usize> = served.ids().into_iter().map(open_files).collect();
    let targets = served.targets();
    let mut table = format!(
        "{:<24}{:>12}{:>8}{:>12}{:>10}{:>10}\n",
        "attack", "connections", "cut", "sent", "answered", "reset"
    );
    let mut told = |name: &str, report: &Report| {
        writeln!(
            table,
            "{name:<24}{:>12}{:>8}{:>12}{:>10}{:>10}",
            report.connections, report.cut, report.sent, report.answers, report.resets
        )
        .unwrap();
    };

    // These connections stay open until the end.
    good.begin("5,000 idle connections");
    let mut held = Vec::new();
    for target in &targets {
        held.extend(idle(target.address, IDLE_CONNECTIONS / targets.len()).await);
    }
    assert_eq!(held.len(), IDLE_CONNECTIONS);
    let begun = Instant::now();
    let slow = targets.clone().into_iter().map(|target| {
        tokio::spawn(async move {
            slow_preface(target.address, SLOW_CONNECTIONS, begun + HANDSHAKE).await
        })
    });
    let slow: Vec<_> = slow.collect();

    let mut wrong = Vec::new();
    macro_rules! check {
        ($right:expr, $report:ident) => {
            if !$right {
                wrong.push(format!("{}: {:?}", stringify!($right), $report));
            }
        };
    }
    macro_rules! attack {
        ($name:literal, $attack:expr) => {{
            good.begin($name);
            let until = Instant::now() + ATTACK;
            let attacks = targets.iter().map(|target| ($attack)(target, until));
            let reports = futures::future::join_all(attacks).await;
            let report = reports.iter().fold(Report::default(), Report::and);
            told($name, &report);
            assert!(served.run(), "{} is outlived", $name);
            report
        }};
    }
    // The attack may end before the last connections to each service have done enough to be closed.
    let spared = 3 * targets.len() as u64;
    let resets = attack!("rapid reset", streams::rapid_reset);
    check!(
        resets.cut > 0 && resets.cut + spared >= resets.connections,
        resets
    );
    let resets = attack!("made to reset", streams::made_to_reset);
    check!(
        resets.cut > 0 && resets.cut + spared >= resets.connections,
        resets
    );
    let many = attack!("more than 200 streams", streams::too_many);
    let open_still = 200 * targets.len() as u64;
    check!(
        many.resets > 0 && many.resets + many.answers + open_still >= many.sent,
        many
    );
    let flood = attack!("CONTINUATION", headers::continuation_flood);
    check!(
        flood.cut > 0 && flood.cut + spared >= flood.connections,
        flood
    );
    let large = attack!("headers over 16 KiB", headers::oversized);
    check!(
        large.cut > 0 || large.answers + large.resets >= large.sent,
        large
    );
    let large = attack!("messages over 1 MiB", messages::oversized);
    check!(
        large.connections > 0 && large.answers + large.resets >= large.connections,
        large
    );

    good.begin("all at once");
    let until = Instant::now() + 2 * ATTACK;
    let all = targets.iter().map(|target| async move {
        tokio::join!(
            streams::rapid_reset(target, until),
            streams::made_to_reset(target, until),
            headers::continuation_flood(target, until),
            messages::oversized(target, until),
        )
    });
    futures::future::join_all(all).await;
    for slow in slow {
        let slow = slow.await.unwrap();
        told("slow prefaces", &slow);
        assert_eq!(
            (slow.connections, slow.cut),
            (SLOW_CONNECTIONS as u64, SLOW_CONNECTIONS as u64)
        );
    }
    assert!(served.run());
    drop(held);
    good.begin("after");
    let ids = served.ids();
    let deadline = Instant::now() + HANDSHAKE;
    for (id, before) in ids.iter().zip(files_before) {
        while open_files(*id) > before + FILES_LEFT_MAX {
            assert!(
                Instant::now() < deadline,
                "{} files are left open",
                open_files(*id)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    good.calls(CALLS_ALONE).await;
    let (waited, failures) = good.end();
    println!("{table}\n{waited}");
    for (name, id) in ["membership", "invitations"].into_iter().zip(ids) {
        let bytes = memory_bytes_max(id);
        println!("{name}: at most {} MiB", bytes / 1024 / 1024);
        assert!(bytes < MEMORY_BYTES_MAX, "{name} has had {bytes} bytes");
    }
    assert!(
        failures.is_empty(),
        "{} failed: {:#?}",
        failures.len(),
        &failures[..failures.len().min(10)]
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    served.stop().await;
}
