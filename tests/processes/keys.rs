//! The keys of invitations' secrets: a key is added, every secret is rotated under load and through
//! a kill, and the old key is removed; a start with wrong keys is refused.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use homeroom_api::invitations::v1::{RedeemRequest, RedemptionOutcome};
use homeroom_kit::{
    clock::SystemClock,
    keys::KeyRing,
    random::{SystemRandomness, new_id},
};
use homeroom_tests::{
    Engine,
    databases::Reader,
    free_address,
    processes::{Callers, Processes, Service, binary},
    reason,
};
use serde_json::json;
use tonic::Status;

use crate::ways::{CLASS, Ways, class_code, make_class, make_code, make_token};

/// Another class of the teacher.
const CHEMISTRY: &str = "organizations/hamilton/classes/chemistry";

/// The time within which a service must stop, or refuse to start.
const END_SECONDS: u64 = 60;
/// The class tokens that are rotated under load: many batches.
const TOKENS: usize = 3_000;
/// The most tokens in one request.
const TOKENS_A_REQUEST: usize = 1_000;
/// The number of students who redeem concurrently meanwhile.
const REDEEMERS: usize = 10;
/// The number of students who are admitted before the rotation begins, and between its kill and its
/// end.
const ANSWERS_BETWEEN: usize = 30;

/// Returns another key, as an entry of a ring.
fn entry(version: u32) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    KeyRing::load_or_generate(&path, &SystemRandomness).unwrap();
    let text = fs::read_to_string(path).unwrap();
    let (_, key) = text.trim().split_once(':').unwrap();
    format!("{version}:{key}")
}

fn ring(processes: &Processes) -> String {
    let text = fs::read_to_string(processes.keys_file(Service::Invitations)).unwrap();
    text.trim().to_owned()
}

fn write_ring(processes: &Processes, entries: &[&str]) {
    fs::write(
        processes.keys_file(Service::Invitations),
        entries.join(",") + "\n",
    )
    .unwrap();
}

async fn stop(processes: &mut Processes) {
    processes.order_stop(Service::Invitations);
    let ended = processes.ended(Service::Invitations, Duration::from_secs(END_SECONDS));
    assert!(ended.await.success());
}

/// Restarts invitations with these keys.
async fn restart_with(processes: &mut Processes, entries: &[&str]) {
    stop(processes).await;
    write_ring(processes, entries);
    processes.launch(Service::Invitations).await;
}

/// Returns the error of invitations when it refuses to start with these keys.
fn refusal(processes: &Processes, entries: &[&str]) -> String {
    write_ring(processes, entries);
    let output = processes.command(Service::Invitations).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

fn rotate_keys(processes: &Processes) -> Command {
    let mut command = processes.command(Service::Invitations);
    command.arg("rotate-keys");
    command
}

/// Returns the output of a rotation that has ended.
fn rotate(processes: &Processes) -> Output {
    let mut command = rotate_keys(processes);
    command.stdout(Stdio::piped()).output().unwrap()
}

fn text(output: &Output) -> String {
    let printed = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(printed).unwrap()
}

async fn under(processes: &Processes, version: u32) -> i64 {
    let query = format!(
        "SELECT COUNT(*) FROM invitations WHERE sealed IS NOT NULL AND key_version = {version}"
    );
    let reader = Reader::open(&processes.databases().invitations).await;
    reader.unwrap().count(&query).await
}

/// Checks that each kind of invitation still admits another student, by the secret from the
/// beginning.
async fn each_way_in_works(callers: &Callers, ways: &Ways, when: &str) {
    for (index, credential) in ways.credentials().into_iter().enumerate() {
        let student = callers.user(&format!("{when}-{index}"));
        let redeemed = student.redeem(credential).await;
        let redeemed = redeemed.unwrap_or_else(|status| panic!("{when} {index}: {status:?}"));
        let expected = if credential == ways.join_url.url {
            RedemptionOutcome::PendingApproval
        } else {
            RedemptionOutcome::Admitted
        };
        assert_eq!(redeemed.outcome(), expected, "{when} {index}");
    }
    let teacher = callers.user("teacher");
    let shown = class_code(&teacher, CLASS).await;
    assert_eq!(shown.code, ways.class_code.code, "{when}");
    let name = json!({"name": ways.token.name});
    let revealed = teacher
        .call("TokenService.RevealToken", &name)
        .await
        .unwrap();
    assert_eq!(revealed["token"]["phrase"], ways.token.phrase, "{when}");
}

/// Checks that the same code is refused as taken, however it is typed.
async fn the_typed_code_is_taken(callers: &Callers, ways: &Ways) {
    let teacher = callers.user("teacher");
    let code = &ways.enrollment_code.code;
    for typed in [
        code.clone(),
        code.to_lowercase().replace('-', " "),
        code.replace('-', ""),
    ] {
        let made = make_code(&teacher, &typed).await;
        assert_eq!(reason(&made.unwrap_err()), "CODE_TAKEN", "{typed}");
    }
    // No other code may be changed into it either.
    let other = make_code(
        &teacher,
        &format!("AB{}", new_id(&SystemClock, &SystemRandomness).simple()),
    )
    .await;
    let changed = json!({"name": other.unwrap()["name"], "code": code.replace('-', "")});
    let update =
        json!({"enrollment_code": changed, "update_mask": "code", "acknowledge_weak": true});
    let updated = teacher
        .call("EnrollmentCodeService.UpdateEnrollmentCode", &update)
        .await;
    assert_eq!(reason(&updated.unwrap_err()), "CODE_TAKEN");
}

async fn lived_through(engine: Engine) {
    // Given everything for which keys are used, under version 1,
    let mut processes = Processes::start(engine).await;
    let callers = processes.callers();
    let one = ring(&processes);
    let two = entry(2);
    let ways = Ways::create(&callers).await;
    let teacher = callers.user("teacher");
    make_class(&teacher, "chemistry").await;
    let before_reset = class_code(&teacher, CHEMISTRY).await;
    let name = json!({"name": before_reset.name});
    teacher
        .call("ClassCodeService.ResetClassCode", &name)
        .await
        .unwrap();
    let revoked = make_token(&teacher).await;
    let name = json!({"name": revoked.name});
    teacher
        .call("TokenService.RevokeToken", &name)
        .await
        .unwrap();
    let create = json!({"parent": CLASS, "token": {}, "request_id": new_id(&SystemClock, &SystemRandomness).to_string()});
    let created = teacher
        .call("TokenService.CreateToken", &create)
        .await
        .unwrap();
    let redeem = RedeemRequest {
        credential: ways.class_code.code.clone(),
        request_id: new_id(&SystemClock, &SystemRandomness).to_string(),
        ..Default::default()
    };
    let ann = callers.user("ann");
    let redeemed = ann.redeem_with(redeem.clone()).await.unwrap();
    let mut list = json!({"parent": CLASS, "page_size": 1});
    let page = teacher
        .call("TokenService.ListTokens", &list)
        .await
        .unwrap();
    list["page_token"] = page["nextPageToken"].clone();

    // when version 2 is introduced beside a process that only has version 1, and then made current
    // beside one that has it as the next,
    restart_with(&mut processes, &[&one, &format!("{two}:next")]).await;
    let mut beside = processes.beside();
    write_ring(&processes, &[&one, &two]);
    beside.launch_both().await;
    let ahead = beside.callers();
    let teacher_ahead = ahead.user("teacher");
    let new = make_token(&teacher_ahead).await;
    assert_eq!(under(&processes, 2).await, 1);
    callers.user("bob").redeem(&new.phrase).await.unwrap();
    each_way_in_works(&ahead, &ways, "ahead").await;
    the_typed_code_is_taken(&ahead, &ways).await;
    the_typed_code_is_taken(&callers, &ways).await;
    make_code(&teacher_ahead, "MADE-AHEAD-OF-OTHERS")
        .await
        .unwrap();
    let made_again = make_code(&teacher, "MADE-AHEAD-OF-OTHERS").await;
    assert_eq!(reason(&made_again.unwrap_err()), "CODE_TAKEN");
    let again = ahead.user("ann").redeem_with(redeem.clone()).await.unwrap();
    assert_eq!(again.redemption, redeemed.redemption);
    beside.kill(Service::Invitations);
    beside.kill(Service::Membership);
    restart_with(&mut processes, &[&one, &two]).await;

    // then secrets made under version 1 work, and exist only once;
    each_way_in_works(&callers, &ways, "both").await;
    the_typed_code_is_taken(&callers, &ways).await;
    // a retry gets the same answer, and another body is detected;
    let again = teacher.call("TokenService.CreateToken", &create).await;
    assert_eq!(again.unwrap(), created);
    let again = ann.redeem_with(redeem.clone()).await.unwrap();
    assert_eq!(again.redemption, redeemed.redemption);
    let other = RedeemRequest {
        sign_up: true,
        ..redeem.clone()
    };
    let other = ann.redeem_with(other).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_CONFLICT");
    // and a list continues at its page token.
    let second_page = teacher
        .call("TokenService.ListTokens", &list)
        .await
        .unwrap();
    assert!(second_page["tokens"][0].is_object());

    // Without version 1 the service refuses to start while secrets need it, and says so.
    stop(&mut processes).await;
    let left = under(&processes, 1).await;
    let said = refusal(&processes, &[&two]);
    assert!(
        said.contains("lacks the key of version 1")
            && said.contains(&format!("{left} invitations")),
        "{said}"
    );
    // It also refuses another key under the same version, and does not rotate with it.
    for wrong in [vec![entry(1), two.clone()], vec![one.clone(), entry(2)]] {
        let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
        let said = refusal(&processes, &wrong);
        assert!(
            said.contains("KEYS_FILE does not belong to this database"),
            "{said}"
        );
        assert!(
            !said.contains(&wrong[0][2..]) && !said.contains(&wrong[1][2..]),
            "{said}"
        );
        let rotated = rotate(&processes);
        assert!(!rotated.status.success(), "{}", text(&rotated));
    }
    assert_eq!(under(&processes, 1).await, left);

    // When every secret is rotated beside the running service,
    write_ring(&processes, &[&one, &two]);
    processes.launch(Service::Invitations).await;
    let rotated = rotate(&processes);
    let printed = text(&rotated);
    assert!(rotated.status.success(), "{printed}");
    assert!(printed.contains("Left under version 1: 0"), "{printed}");
    assert!(
        printed.contains("Version 1 may be taken out of KEYS_FILE 24 hours after"),
        "{printed}"
    );
    assert_eq!(under(&processes, 1).await, 0);
    each_way_in_works(&callers, &ways, "rotated").await;
    the_typed_code_is_taken(&callers, &ways).await;
    // A second rotation finds nothing to do.
    let again = rotate(&processes);
    assert!(
        again.status.success() && text(&again).starts_with("0 secrets"),
        "{}",
        text(&again)
    );

    // then nothing needs version 1 any more.
    restart_with(&mut processes, &[&two]).await;
    each_way_in_works(&callers, &ways, "alone").await;
    the_typed_code_is_taken(&callers, &ways).await;
    // Destroyed secrets stay destroyed.
    for destroyed in [&before_reset.code, &revoked.phrase] {
        let refused = callers.user("late").redeem(destroyed).await.unwrap_err();
        assert_eq!(reason(&refused), "CODE_NOT_USABLE");
    }
    let (holds, printed) = processes.audit();
    assert!(holds, "{printed}");
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_live_through_a_change_of_keys_on_postgres() {
    lived_through(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_live_through_a_change_of_keys_on_sqlite() {
    lived_through(Engine::Sqlite).await;
}

/// Admits students by every kind of invitation, one after the other, until `over`.
async fn redeem_on(
    callers: Callers,
    ways: Arc<Ways>,
    next: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
) -> Result<(), (usize, Status)> {
    while !over.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let credentials = ways.credentials();
        let credential = credentials[number % credentials.len()];
        let student = callers.user(&format!("student-{number}"));
        student
            .redeem(credential)
            .await
            .map_err(|status| (number, status))?;
    }
    Ok(())
}

/// Edits the enrollment code, and creates and resets secrets, until `over`.
async fn edit_on(callers: Callers, ways: Arc<Ways>, over: Arc<AtomicBool>) -> Result<(), Status> {
    let teacher = callers.user("teacher");
    let mut edits = 0;
    let reset = json!({"name": format!("{CHEMISTRY}/classCode")});
    while !over.load(Ordering::Relaxed) {
        edits += 1;
        let code =
            json!({"name": ways.enrollment_code.name, "display_name": format!("edit {edits}")});
        let update = json!({"enrollment_code": code, "update_mask": "displayName"});
        teacher
            .call("EnrollmentCodeService.UpdateEnrollmentCode", &update)
            .await?;
        teacher
            .call("ClassCodeService.ResetClassCode", &reset)
            .await?;
    }
    Ok(())
}

async fn rotated_under_load(engine: Engine) {
    // Given thousands of secrets under version 1, an added version 2, and students who redeem,
    let mut processes = Processes::start(engine).await;
    let callers = processes.callers();
    let ways = Arc::new(Ways::create(&callers).await);
    let teacher = callers.user("teacher");
    make_class(&teacher, "chemistry").await;
    class_code(&teacher, CHEMISTRY).await;
    for _ in 0..TOKENS / TOKENS_A_REQUEST {
        let batch = json!({"parent": CLASS, "tokens": vec![json!({}); TOKENS_A_REQUEST]});
        teacher
            .call("TokenService.BatchCreateTokens", &batch)
            .await
            .unwrap();
    }
    let (one, two) = (ring(&processes), entry(2));

    // Before any service has version 2, nothing is rotated.
    write_ring(&processes, &[&one, &two]);
    let early = rotate(&processes);
    assert!(
        !early.status.success() && text(&early).contains("no service has started with version 2"),
        "{}",
        text(&early)
    );
    restart_with(&mut processes, &[&one, &two]).await;
    let all = under(&processes, 1).await;
    let (next, over) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let redeemers: Vec<_> = (0..REDEEMERS)
        .map(|_| {
            tokio::spawn(redeem_on(
                callers.clone(),
                ways.clone(),
                next.clone(),
                over.clone(),
            ))
        })
        .collect();
    let editor = tokio::spawn(edit_on(callers.clone(), ways.clone(), over.clone()));
    let more_get_in = async |more: usize| {
        let before = next.load(Ordering::Relaxed);
        while next.load(Ordering::Relaxed) < before + more {
            assert!(!redeemers.iter().all(tokio::task::JoinHandle::is_finished));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    more_get_in(ANSWERS_BETWEEN).await;

    // when a rotation is killed after its first batch,
    let mut rotation = rotate_keys(&processes)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(rotation.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    rotation.kill().unwrap();
    rotation.wait().unwrap();
    let left = under(&processes, 1).await;
    assert!(first.contains(" rotated"), "{first}");
    assert!(
        0 < left && left < all,
        "killed half-way: {left} of {all} left"
    );
    more_get_in(ANSWERS_BETWEEN).await;

    // then the next one continues with the rest,
    let rotation = rotate_keys(&processes).stdout(Stdio::piped()).spawn();
    let rotation = rotation.unwrap();
    let rotated = tokio::task::spawn_blocking(move || rotation.wait_with_output().unwrap());
    let rotated = rotated.await.unwrap();
    let printed = text(&rotated);
    assert!(rotated.status.success(), "{printed}");
    let count: i64 = printed
        .lines()
        .find_map(|line| line.split_once(" secrets are stored anew")?.0.parse().ok())
        .unwrap();
    assert!(0 < count && count <= left, "{printed}");
    assert_eq!(under(&processes, 1).await, 0, "{printed}");
    more_get_in(ANSWERS_BETWEEN).await;
    over.store(true, Ordering::Relaxed);

    // and no student's redemption and no action of the teacher failed meanwhile.
    for redeemer in redeemers {
        if let Err((number, status)) = redeemer.await.unwrap() {
            panic!("student-{number}: {status:?}");
        }
    }
    editor.await.unwrap().unwrap();
    println!(
        "{} redemptions while {all} secrets were rotated, {left} of them after the kill",
        next.load(Ordering::Relaxed)
    );
    assert_eq!(under(&processes, 1).await, 0);
    restart_with(&mut processes, &[&two]).await;
    each_way_in_works(&callers, &ways, "alone").await;
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_rotated_under_load_and_through_a_kill_on_postgres() {
    rotated_under_load(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_rotated_under_load_and_through_a_kill_on_sqlite() {
    rotated_under_load(Engine::Sqlite).await;
}

/// Runs `homeroom serve` on a folder until it serves or refuses, and returns its output.
fn serve_for_a_moment(data: &Path) -> (bool, String) {
    let mut child = Command::new(binary("homeroom"))
        .arg("serve")
        .arg("--data")
        .arg(data)
        .args(["--membership", &free_address().to_string()])
        .args(["--invitations", &free_address().to_string()])
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let served = lines
        .map_while(Result::ok)
        .any(|line| line.starts_with("invitations  "));
    if served {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    (served, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn secrets_the_embedded_default_refuses_the_key_of_another_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let keys = data.join("invitations.keys");
    assert!(serve_for_a_moment(&data).0);
    let right = fs::read(&keys).unwrap();
    // A wrong key is refused even before there is a secret; and a lost file is not replaced by a
    // new key.
    fs::write(&keys, entry(1)).unwrap();
    let (served, said) = serve_for_a_moment(&data);
    assert!(
        !served && said.contains("KEYS_FILE does not belong to this database"),
        "{said}"
    );
    fs::remove_file(&keys).unwrap();
    let (served, said) = serve_for_a_moment(&data);
    assert!(
        !served && said.contains("invitations.keys is missing beside invitations.db"),
        "{said}"
    );
    assert!(!keys.exists());
    fs::write(&keys, right).unwrap();
    assert!(serve_for_a_moment(&data).0);
}
