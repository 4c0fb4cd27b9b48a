//! Attackers with raw sockets beside good clients, against the two services as processes.

use std::{collections::BTreeMap, fmt::Write as _, fs, time::Duration};

use homeroom_attacks::{
    attacks::{
        Report, Target, headers, messages,
        silence::{idle, slow_preface},
        streams,
    },
    frames::whole_message,
    good::Good,
};
use homeroom_tests::{
    Claims, Engine, School,
    databases::Databases,
    eventually,
    processes::{Processes, Service},
    raw,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
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

/// The number of classes with the most labels, so that a list of them is a large answer.
const FAT_CLASSES: usize = 40;
/// A member of staff, who may request large answers.
const ATTACKER: &str = "attacker";
/// The most labels of a class, and the characters of each.
const LABELS: usize = 64;
const LABEL_CHARS: usize = 63;

/// Starts both services on SQLite.
async fn served() -> Processes {
    let mut processes = Processes::on(Databases::create(Engine::Sqlite).await);
    for service in Service::BOTH {
        processes = processes.with_setting(service, "RUST_LOG", "off");
    }
    processes.launch_both().await;
    processes
}

/// Creates a school with a class for good callers, and others whose list is a large answer.
async fn school(processes: &Processes) -> School {
    let school = processes.school().await;
    let member = json!({"user": ATTACKER, "role": "ADMIN"});
    let add = json!({"parent": school.organization, "member": member});
    let method = "MemberService.AddOrganizationMember";
    school.admin.call(method, &add).await.unwrap();
    let label = |number| format!("{:a<LABEL_CHARS$}", format!("l{number}"));
    let labels: BTreeMap<String, String> = (0..LABELS)
        .map(|number| (label(number), "€".repeat(LABEL_CHARS)))
        .collect();
    for number in 0..FAT_CLASSES {
        let class = json!({"display_name": "Fat", "labels": labels});
        let create = json!({
            "parent": school.organization, "class_id": format!("fat-{number}"), "class": class,
        });
        let created = school.teacher.call("ClassService.CreateClass", &create);
        created.await.unwrap();
    }
    school
}

/// Returns each service with a large request that an attacker on the staff may make.
fn targets(processes: &Processes) -> [Target; 2] {
    let page = json!({"parent": "organizations/hamilton", "page_size": 1_000});
    Service::BOTH.map(|service| {
        let path = match service {
            Service::Membership => "/homeroom.membership.v1.ClassService/ListClasses",
            Service::Invitations => {
                "/homeroom.invitations.v1.EnrollmentCodeService/ListEnrollmentCodes"
            }
        };
        let method = raw::method(&path[1..].replace('/', "."));
        Target {
            address: processes.address(service),
            token: processes.callers().access_token(Claims::of(ATTACKER)),
            path,
            request: whole_message(&raw::encode(method, &page)),
        }
    })
}

/// Returns true if both services are still running.
fn run(processes: &mut Processes) -> bool {
    Service::BOTH.into_iter().all(|one| processes.runs(one))
}

/// Returns the peak memory of a process, in bytes (`VmHWM`).
fn memory_bytes_max(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    kibibytes * 1024
}

/// Returns the number of its open files, including sockets.
fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Raises this process's limit of open files to the system's maximum.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_outlive_attackers_and_answer_everybody_else() {
    let mut served = served().await;
    raise_open_files();
    let school = school(&served).await;
    let token = served.callers().access_token(Claims::of("teacher"));
    let addresses = Service::BOTH.map(|service| served.address(service));
    let good = Good::start(GOOD_CLIENTS, addresses, &token, &school.class);
    good.calls(CALLS_ALONE).await;
    let ids = Service::BOTH.map(|service| served.id(service));
    let files_before = ids.map(open_files);
    let targets = targets(&served);
    let mut table = String::new();
    let mut told = |name: &str, report: &Report| {
        writeln!(table, "{name}: {report:?}").unwrap();
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
            assert!(run(&mut served), "{} is outlived", $name);
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
    let large = attack!("headers over 32 KiB", headers::oversized);
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
    assert!(run(&mut served));
    drop(held);
    good.begin("after");
    for (id, before) in ids.iter().zip(files_before) {
        let closed = async || open_files(*id) <= before + FILES_LEFT_MAX;
        eventually("the files are closed", closed).await;
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
