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

use homeroom_api::invitations::v1::{RedeemRequest, RedemptionOutcome, Token};
use homeroom_kit::{
    clock::SystemClock,
    keys::KeyRing,
    random::{SystemRandomness, new_id},
};
use homeroom_tests::{
    Engine, School,
    databases::Reader,
    free_address,
    processes::{Callers, Processes, Service, binary},
    reason,
};
use serde_json::json;
use tonic::Status;
use uuid::Uuid;

use crate::{
    request,
    ways::{Ways, code},
};

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

fn id() -> Uuid {
    new_id(&SystemClock, &SystemRandomness)
}

fn write_ring(processes: &Processes, entries: &[&str]) {
    let path = processes.keys_file(Service::Invitations);
    fs::write(path, entries.join(",") + "\n").unwrap();
}

/// Restarts invitations with these keys.
async fn restart_with(processes: &mut Processes, entries: &[&str]) {
    processes.end(Service::Invitations).await;
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
    command.arg("rotate-keys").stdout(Stdio::piped());
    command
}

/// Returns whether a rotation succeeded, and its output.
fn told(output: &Output) -> (bool, String) {
    let printed = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let printed = String::from_utf8(printed).unwrap();
    (output.status.success(), printed)
}

/// Rotates all secrets, and returns whether it succeeded, and its output.
fn rotate(processes: &Processes) -> (bool, String) {
    told(&rotate_keys(processes).output().unwrap())
}

async fn under(processes: &Processes, version: u32) -> i64 {
    let query = format!(
        "SELECT COUNT(*) FROM invitations WHERE sealed IS NOT NULL AND key_version = {version}"
    );
    let reader = Reader::open(&processes.databases().invitations).await;
    reader.unwrap().count(&query).await
}

/// Checks that each kind of invitation still admits another student by the secret from the
/// beginning, that staff see it, and that the typed code is taken, however it is typed.
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
    let school = ways.school.through(|claims| callers.user_with(claims));
    assert_eq!(school.class_code().await.code, ways.class_code.code);
    let name = json!({"name": ways.token.name});
    let revealed = school.teacher.call("TokenService.RevealToken", &name).await;
    assert_eq!(revealed.unwrap()["token"]["phrase"], ways.token.phrase);
    let typed = &ways.enrollment_code.code;
    for same in [
        typed.clone(),
        typed.to_lowercase().replace('-', " "),
        typed.replace('-', ""),
    ] {
        let made = school.try_enrollment_code(&school.class, code(&same)).await;
        assert_eq!(reason(&made.unwrap_err()), "CODE_TAKEN", "{same}");
    }
    // No other code may be changed into it either.
    let other = code(&format!("AB{}", id().simple()));
    let other = school.enrollment_code(other).await;
    let changed = json!({"name": other.name, "code": typed.replace('-', "")});
    let update =
        json!({"enrollment_code": changed, "update_mask": "code", "acknowledge_weak": true});
    let method = "EnrollmentCodeService.UpdateEnrollmentCode";
    let updated = school.admin.call(method, &update).await;
    assert_eq!(reason(&updated.unwrap_err()), "CODE_TAKEN");
}

/// Students who redeem by every kind of invitation, and a teacher who changes and resets, until
/// `over`.
struct Load {
    next: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Result<(), Status>>>,
}

impl Load {
    fn start(processes: &Processes, ways: &Arc<Ways>, chemistry: &School) -> Self {
        let (next, over) = <(Arc<AtomicUsize>, Arc<AtomicBool>)>::default();
        let redeemers = (0..REDEEMERS).map(|_| {
            let (callers, ways) = (processes.callers(), Arc::clone(ways));
            let (next, over) = (Arc::clone(&next), Arc::clone(&over));
            tokio::spawn(async move {
                let credentials = ways.credentials();
                while !over.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let student = callers.user(&format!("student-{number}"));
                    let credential = credentials[number % credentials.len()];
                    student.redeem(credential).await?;
                }
                Ok(())
            })
        });
        let (admin, ways) = (ways.school.admin.clone(), Arc::clone(ways));
        let reset = json!({"name": format!("{}/classCode", chemistry.class)});
        let ends = Arc::clone(&over);
        let editor = tokio::spawn(async move {
            let mut edits = 0;
            while !ends.load(Ordering::Relaxed) {
                edits += 1;
                let label = format!("edit {edits}");
                let code = json!({"name": ways.enrollment_code.name, "display_name": label});
                let update = json!({"enrollment_code": code, "update_mask": "displayName"});
                let method = "EnrollmentCodeService.UpdateEnrollmentCode";
                admin.call(method, &update).await?;
                admin
                    .call("ClassCodeService.ResetClassCode", &reset)
                    .await?;
            }
            Ok(())
        });
        Self {
            tasks: redeemers.chain([editor]).collect(),
            next,
            over,
        }
    }

    /// Waits until more students have redeemed.
    async fn goes_on(&self) {
        let before = self.next.load(Ordering::Relaxed);
        while self.next.load(Ordering::Relaxed) < before + ANSWERS_BETWEEN {
            assert!(!self.tasks.iter().any(tokio::task::JoinHandle::is_finished));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the load, in which nothing may have failed.
    async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap().unwrap();
        }
    }
}

/// Rotates every secret from version 1 to 2, under load and through a kill.
async fn rotated_under_load(processes: &Processes, ways: &Arc<Ways>, chemistry: &School) {
    let load = Load::start(processes, ways, chemistry);
    load.goes_on().await;
    let all = under(processes, 1).await;

    // When a rotation is killed after its first batch,
    let mut rotation = rotate_keys(processes).spawn().unwrap();
    let mut lines = BufReader::new(rotation.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    rotation.kill().unwrap();
    rotation.wait().unwrap();
    let left = under(processes, 1).await;
    assert!(first.contains(" rotated"), "{first}");
    assert!(0 < left && left < all, "killed: {left} of {all} left");
    load.goes_on().await;

    // then the next one continues with the rest,
    let rotation = rotate_keys(processes).spawn().unwrap();
    let rotated = tokio::task::spawn_blocking(move || rotation.wait_with_output().unwrap());
    let (done, printed) = told(&rotated.await.unwrap());
    assert!(done, "{printed}");
    let count: i64 = printed
        .lines()
        .find_map(|line| line.split_once(" secrets are stored anew")?.0.parse().ok())
        .unwrap();
    assert!(0 < count && count <= left, "{printed}");
    for text in [
        "Left under version 1: 0",
        "Version 1 may be taken out of KEYS_FILE 24 hours after",
    ] {
        assert!(printed.contains(text), "{printed}");
    }
    load.goes_on().await;
    // no student's redemption and no action of the teacher failed meanwhile,
    load.end().await;
    assert_eq!(under(processes, 1).await, 0);
    // and a second rotation finds nothing to do.
    let (done, printed) = rotate(processes);
    assert!(done && printed.starts_with("0 secrets"), "{printed}");
}

async fn lived_through(engine: Engine) {
    // Given everything for which keys are used, under version 1,
    let mut processes = Processes::start(engine).await;
    let callers = processes.callers();
    let ring = fs::read_to_string(processes.keys_file(Service::Invitations)).unwrap();
    let (one, two) = (ring.trim().to_owned(), entry(2));
    let ways = Arc::new(Ways::create(&processes).await);
    let school = &ways.school;
    let teacher = &school.teacher;
    let chemistry = school.of_class(school.another_class("chemistry").await);
    let before_reset = chemistry.class_code().await;
    let revoked = school.token(Token::default()).await;
    for (method, name) in [
        ("ClassCodeService.ResetClassCode", &before_reset.name),
        ("TokenService.RevokeToken", &revoked.name),
    ] {
        teacher.call(method, &json!({"name": name})).await.unwrap();
    }
    let create = json!({"parent": school.class, "token": {}, "request_id": id()});
    let created = teacher.call("TokenService.CreateToken", &create).await;
    let created = created.unwrap();
    let redeem = request(&ways.class_code.code, 0);
    let ann = callers.user("ann");
    let redeemed = ann.redeem_with(redeem.clone()).await.unwrap();
    let mut list = json!({"parent": school.class, "page_size": 1});
    let page = teacher.call("TokenService.ListTokens", &list).await;
    list["page_token"] = page.unwrap()["nextPageToken"].clone();
    let batch =
        json!({"parent": school.class, "requests": vec![json!({"token": {}}); TOKENS_A_REQUEST]});
    for _ in 0..TOKENS / TOKENS_A_REQUEST {
        let made = teacher.call("TokenService.BatchCreateTokens", &batch).await;
        made.unwrap();
    }
    // nothing is rotated before any service has version 2.
    write_ring(&processes, &[&one, &two]);
    let (done, printed) = rotate(&processes);
    let early = "no service has started with version 2";
    assert!(!done && printed.contains(early), "{printed}");

    // When version 2 is introduced beside a process that only has version 1, and then made current
    // beside one that has it as the next,
    restart_with(&mut processes, &[&one, &format!("{two}:next")]).await;
    let mut beside = processes.beside();
    write_ring(&processes, &[&one, &two]);
    beside.launch_both().await;
    let ahead = beside.callers();
    let school_ahead = school.through(|claims| ahead.user_with(claims));
    let new = school_ahead.token(Token::default()).await;
    assert_eq!(under(&processes, 2).await, 1);
    callers.user("bob").redeem(&new.phrase).await.unwrap();
    each_way_in_works(&ahead, &ways, "ahead").await;
    each_way_in_works(&callers, &ways, "behind").await;
    let code = || code("MADE-AHEAD-OF-OTHERS");
    school_ahead.enrollment_code(code()).await;
    let made_again = school.try_enrollment_code(&school.class, code()).await;
    assert_eq!(reason(&made_again.unwrap_err()), "CODE_TAKEN");
    let again = ahead.user("ann").redeem_with(redeem.clone()).await.unwrap();
    assert_eq!(again.redemption, redeemed.redemption);
    beside.kill(Service::Invitations);
    beside.kill(Service::Membership);
    restart_with(&mut processes, &[&one, &two]).await;

    // then secrets made under version 1 work, and exist only once;
    each_way_in_works(&callers, &ways, "both").await;
    // a retry gets the same answer, and another body is detected;
    let again = teacher.call("TokenService.CreateToken", &create).await;
    assert_eq!(again.unwrap(), created);
    let again = ann.redeem_with(redeem.clone()).await.unwrap();
    assert_eq!(again.redemption, redeemed.redemption);
    let other = RedeemRequest {
        sign_up: true,
        ..redeem
    };
    let other = ann.redeem_with(other).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_CONFLICT");
    // and a list continues at its page token.
    let second_page = teacher.call("TokenService.ListTokens", &list).await;
    assert!(second_page.unwrap()["tokens"][0].is_object());

    // Without version 1 the service refuses to start while secrets need it, and says so.
    processes.end(Service::Invitations).await;
    let left = under(&processes, 1).await;
    let said = refusal(&processes, &[&two]);
    for text in ["lacks the key of version 1", &format!("{left} invitations")] {
        assert!(said.contains(text), "{said}");
    }
    // It also refuses another key under the same version, and does not rotate with it.
    for wrong in [[entry(1), two.clone()], [one.clone(), entry(2)]] {
        let said = refusal(&processes, &[&wrong[0], &wrong[1]]);
        let foreign = "KEYS_FILE does not belong to this database";
        assert!(said.contains(foreign), "{said}");
        assert!(wrong.iter().all(|one| !said.contains(&one[2..])), "{said}");
        assert!(!rotate(&processes).0);
    }
    assert_eq!(under(&processes, 1).await, left);

    // When every secret is rotated beside the running service,
    write_ring(&processes, &[&one, &two]);
    processes.launch(Service::Invitations).await;
    rotated_under_load(&processes, &ways, &chemistry).await;

    // then nothing needs version 1 any more.
    restart_with(&mut processes, &[&two]).await;
    each_way_in_works(&callers, &ways, "alone").await;
    // Destroyed secrets stay destroyed.
    for destroyed in [&before_reset.code, &revoked.phrase] {
        let refused = callers.user("late").redeem(destroyed).await.unwrap_err();
        assert_eq!(reason(&refused), "CODE_NOT_USABLE");
    }
    processes.settled().await;
    let (holds, printed) = processes.audit();
    assert!(holds, "{printed}");
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_live_through_a_change_of_keys_under_load_on_postgres() {
    lived_through(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_live_through_a_change_of_keys_under_load_on_sqlite() {
    lived_through(Engine::Sqlite).await;
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
    assert!(!served);
    assert!(
        said.contains("KEYS_FILE does not belong to this database"),
        "{said}"
    );
    fs::remove_file(&keys).unwrap();
    let (served, said) = serve_for_a_moment(&data);
    assert!(!served);
    assert!(
        said.contains("invitations.keys is missing beside invitations.db"),
        "{said}"
    );
    assert!(!keys.exists());
    fs::write(&keys, right).unwrap();
    assert!(serve_for_a_moment(&data).0);
}
