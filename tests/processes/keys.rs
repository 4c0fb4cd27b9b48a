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

use homeroom_api::invitations::v1::{
    BatchCreateTokensRequest, CreateTokenRequest, EnrollmentCode, ListTokensRequest, RedeemRequest,
    RedemptionOutcome, ResetClassCodeRequest, RevealTokenRequest, RevokeTokenRequest, Token,
    UpdateEnrollmentCodeRequest,
};
use homeroom_kit::{keys::KeyRing, random::SystemRandomness};
use homeroom_tests::{
    Engine,
    databases::Reader,
    field_mask, free_address,
    processes::{Callers, Processes, Service, binary},
    reason,
};
use tonic::Status;
use uuid::Uuid;

use crate::ways::{CLASS, Ways, class_code, create_code, make_class, make_token};

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
    let mut teacher = callers.user("teacher");
    let shown = class_code(&teacher, CLASS).await;
    assert_eq!(shown.code, ways.class_code.code, "{when}");
    let reveal = RevealTokenRequest {
        name: ways.token.name.clone(),
    };
    let revealed = teacher.tokens.reveal_token(reveal).await.unwrap();
    let revealed = revealed.into_inner().token.unwrap();
    assert_eq!(revealed.phrase, ways.token.phrase, "{when}");
}

/// Checks that the same code is refused as taken, however it is typed.
async fn the_typed_code_is_taken(callers: &Callers, ways: &Ways) {
    let mut teacher = callers.user("teacher");
    for typed in [
        ways.enrollment_code.code.clone(),
        ways.enrollment_code.code.to_lowercase().replace('-', " "),
        ways.enrollment_code.code.replace('-', ""),
    ] {
        let made = teacher
            .enrollment_codes
            .create_enrollment_code(create_code(&typed))
            .await;
        assert_eq!(reason(&made.unwrap_err()), "CODE_TAKEN", "{typed}");
    }
    // No other code may be changed into it either.
    let other = teacher
        .enrollment_codes
        .create_enrollment_code(create_code(&format!("AB{}", Uuid::now_v7().simple())))
        .await
        .unwrap()
        .into_inner();
    let update = UpdateEnrollmentCodeRequest {
        enrollment_code: Some(EnrollmentCode {
            name: other.name,
            code: ways.enrollment_code.code.replace('-', ""),
            ..Default::default()
        }),
        update_mask: field_mask(&["code"]),
        acknowledge_weak: true,
        ..Default::default()
    };
    let updated = teacher
        .enrollment_codes
        .update_enrollment_code(update)
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
    let mut teacher = callers.user("teacher");
    make_class(&teacher, "chemistry").await;
    let chemistry = "organizations/hamilton/classes/chemistry";
    let before_reset = class_code(&teacher, chemistry).await;
    let reset = ResetClassCodeRequest {
        name: before_reset.name.clone(),
        ..Default::default()
    };
    teacher.class_codes.reset_class_code(reset).await.unwrap();
    let revoked = make_token(&teacher).await;
    let revoke = RevokeTokenRequest {
        name: revoked.name.clone(),
        ..Default::default()
    };
    teacher.tokens.revoke_token(revoke).await.unwrap();
    let create = CreateTokenRequest {
        parent: CLASS.to_owned(),
        token: Some(Token::default()),
        request_id: Uuid::now_v7().to_string(),
    };
    let created = teacher.tokens.create_token(create.clone()).await;
    let created = created.unwrap().into_inner();
    let redeem = RedeemRequest {
        credential: ways.class_code.code.clone(),
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    };
    let ann = callers.user("ann");
    let redeemed = ann.redeem_with(redeem.clone()).await.unwrap();
    let list = ListTokensRequest {
        parent: CLASS.to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let page = teacher.tokens.list_tokens(list.clone()).await;
    let next = ListTokensRequest {
        page_token: page.unwrap().into_inner().next_page_token,
        ..list
    };

    // when version 2 is introduced beside a process that only has version 1, and then made current
    // beside one that has it as the next,
    restart_with(&mut processes, &[&one, &format!("{two}:next")]).await;
    let mut beside = processes.beside();
    write_ring(&processes, &[&one, &two]);
    beside.launch_both().await;
    let ahead = beside.callers();
    let mut teacher_ahead = ahead.user("teacher");
    let new = make_token(&teacher_ahead).await;
    assert_eq!(under(&processes, 2).await, 1);
    callers.user("bob").redeem(&new.phrase).await.unwrap();
    each_way_in_works(&ahead, &ways, "ahead").await;
    the_typed_code_is_taken(&ahead, &ways).await;
    the_typed_code_is_taken(&callers, &ways).await;
    let made_ahead = create_code("MADE-AHEAD-OF-OTHERS");
    teacher_ahead
        .enrollment_codes
        .create_enrollment_code(made_ahead.clone())
        .await
        .unwrap();
    let made_again = teacher
        .enrollment_codes
        .create_enrollment_code(made_ahead)
        .await;
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
    let again = teacher.tokens.create_token(create.clone()).await;
    assert_eq!(again.unwrap().into_inner(), created);
    let again = ann.redeem_with(redeem.clone()).await.unwrap();
    assert_eq!(again.redemption, redeemed.redemption);
    let other = RedeemRequest {
        sign_up: true,
        ..redeem.clone()
    };
    let other = ann.redeem_with(other).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_CONFLICT");
    // and a list continues at its page token.
    let second_page = teacher.tokens.list_tokens(next).await.unwrap();
    assert!(!second_page.into_inner().tokens.is_empty());

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
        let rotated = rotate_keys(&processes)
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert!(!rotated.status.success(), "{}", text(&rotated));
    }
    assert_eq!(under(&processes, 1).await, left);

    // When every secret is rotated beside the running service,
    write_ring(&processes, &[&one, &two]);
    processes.launch(Service::Invitations).await;
    let rotated = rotate_keys(&processes)
        .stdout(Stdio::piped())
        .output()
        .unwrap();
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
    let again = rotate_keys(&processes)
        .stdout(Stdio::piped())
        .output()
        .unwrap();
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
    let mut teacher = callers.user("teacher");
    let mut edits = 0;
    while !over.load(Ordering::Relaxed) {
        edits += 1;
        teacher
            .enrollment_codes
            .update_enrollment_code(UpdateEnrollmentCodeRequest {
                enrollment_code: Some(EnrollmentCode {
                    name: ways.enrollment_code.name.clone(),
                    display_name: format!("edit {edits}"),
                    ..Default::default()
                }),
                update_mask: field_mask(&["display_name"]),
                ..Default::default()
            })
            .await?;
        teacher
            .class_codes
            .reset_class_code(ResetClassCodeRequest {
                name: "organizations/hamilton/classes/chemistry/classCode".to_owned(),
                ..Default::default()
            })
            .await?;
    }
    Ok(())
}

async fn rotated_under_load(engine: Engine) {
    // Given thousands of secrets under version 1, an added version 2, and students who redeem,
    let mut processes = Processes::start(engine).await;
    let callers = processes.callers();
    let ways = Arc::new(Ways::create(&callers).await);
    let mut teacher = callers.user("teacher");
    make_class(&teacher, "chemistry").await;
    class_code(&teacher, "organizations/hamilton/classes/chemistry").await;
    for _ in 0..TOKENS / TOKENS_A_REQUEST {
        let batch = BatchCreateTokensRequest {
            parent: CLASS.to_owned(),
            tokens: vec![Token::default(); TOKENS_A_REQUEST],
            ..Default::default()
        };
        teacher.tokens.batch_create_tokens(batch).await.unwrap();
    }
    let (one, two) = (ring(&processes), entry(2));

    // Before any service has version 2, nothing is rotated.
    write_ring(&processes, &[&one, &two]);
    let early = rotate_keys(&processes)
        .stdout(Stdio::piped())
        .output()
        .unwrap();
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
