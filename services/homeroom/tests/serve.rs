//! `homeroom serve` and the commands for its data folder, run as the installed binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops where it stands"
)]

mod served;

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use served::{Served, TEACHER, folder, homeroom, printed, serve, succeeds, text, token};

/// The longest time that a test waits for an expected condition.
const EVENTUALLY: Duration = Duration::from_mins(1);
/// The prefix that takes root's file access rights away from the program it starts.
const WITHOUT_CAPABILITIES: [&str; 3] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

/// Waits until `found` returns a value.
fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(
            begun.elapsed() < EVENTUALLY,
            "not within {EVENTUALLY:?}: {what}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// Returns the output of a command that should end by itself. A command that goes on is ended after a minute.
fn ends(mut command: Command) -> Output {
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() >= EVENTUALLY {
            drop(child.kill());
            let printed = printed(&child.wait_with_output().unwrap());
            panic!("it goes on: {printed}");
        }
        thread::sleep(Duration::from_millis(50));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn f8_a_second_serve_on_one_data_folder_is_refused() {
    let (_folder, data) = folder();
    let served = Served::start(&data);
    let second = ends(serve(&data));
    assert!(!second.status.success());
    let said = printed(&second);
    let refusal = "is served by another `homeroom serve`";
    assert!(said.contains(refusal), "{said}");
    drop(served);
    Served::start(&data);
}

#[test]
fn f8_a_data_folder_whose_files_cannot_be_written_does_not_become_ready() {
    let root = rustix::process::getuid().is_root();
    for (file, mode) in [
        ("membership.db", 0o444),
        ("invitations.db", 0o444),
        ("membership.db-wal", 0o444),
        ("invitations.db-wal", 0o444),
        ("invitations.db-shm", 0o444),
        ("membership.db", 0o000),
        ("", 0o500),
    ] {
        // Given a folder that was served, and whose server was killed so that all its files remain,
        let (_folder, data) = folder();
        drop(Served::start(&data));
        let file = data.join(file);
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();

        // when it is served by a user who may not write the file,
        let mut wanted = serve(&data);
        if root {
            let [program, arguments @ ..] = WITHOUT_CAPABILITIES;
            let mut without = Command::new(program);
            without.args(arguments).arg(wanted.get_program());
            without.args(wanted.get_args());
            wanted = without;
        }
        let ended = ends(wanted);

        // then the program ends with the reason, and never reports that it serves.
        let said = printed(&ended);
        let serves = ended.status.success() || said.contains("http://");
        assert!(!serves, "{file:?}: {said}");
        let reasons = [
            "takes no writes",
            "cannot be used",
            "cannot be locked",
            "Permission denied",
        ];
        let is_said = reasons.iter().any(|reason| said.contains(reason));
        assert!(is_said, "{file:?}: {said}");
        fs::set_permissions(&file, Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn a_changed_jwks_file_is_read_by_both_services_while_they_serve() {
    // Given both services, and a platform that signs with its own key,
    let (folder, data) = folder();
    let served = Served::start(&data);
    let platform = folder.path().join("platform");
    succeeds(homeroom(&["keys", "--data", text(&platform)]));
    let arguments = ["--user", "platform", "--scope", "homeroom.platform"];
    let theirs = token(&platform, &arguments);
    let everywhere = json!({"parent": "organizations/-"});
    let calls = [
        ("OrganizationService/ListOrganizations", json!({})),
        ("RedemptionService/ListRefusedAttempts", everywhere),
    ];
    let answers = || {
        let answered = |(method, request): &(&str, Value)| {
            served.call(method, request, &["--token", &theirs]).is_ok()
        };
        calls.each_ref().map(answered)
    };
    assert_eq!(answers(), [false, false]);
    let log = fs::read_to_string(served.data.join("log")).unwrap();
    assert!(log.contains("an access token was refused"), "{log}");
    assert!(log.contains("no key of its issuer has its `kid`"), "{log}");
    assert!(theirs.split('.').all(|part| !log.contains(part)), "{log}");

    // when the platform's key is added and removed again, then both services have noticed it.
    let file = data.join("jwks.json");
    let before = fs::read_to_string(&file).unwrap();
    let keys = |text: &str| -> Vec<Value> {
        let set: Value = serde_json::from_str(text).unwrap();
        set["keys"].as_array().unwrap().clone()
    };
    let added = fs::read_to_string(platform.join("jwks.json")).unwrap();
    let all = [keys(&before), keys(&added).into_iter().take(1).collect()].concat();
    fs::write(&file, json!({ "keys": all }).to_string()).unwrap();
    eventually("both accept the key", || {
        (answers() == [true, true]).then_some(())
    });
    fs::write(&file, before).unwrap();
    eventually("both refuse the key", || {
        (answers() == [false, false]).then_some(())
    });
}

#[test]
fn a_token_made_by_hand_says_all_that_a_platform_may_say_and_call_acts_for_a_user() {
    let (_folder, data) = folder();
    let served = Served::start(&data);
    let code = served.school();

    // Given a token of an LMS that acts for users, with several scopes in one value,
    let scopes = "homeroom.act_as homeroom.vouch,homeroom.forward_ip";
    let lms = served.token(&["--user", "service:lms", "--scope", scopes]);
    // when it creates a class on behalf of a user, then the class is that user's.
    let class = json!({
        "parent": "organizations/hamilton", "classId": "chemistry", "class": {"displayName": "Chemistry"}
    });
    let as_teacher = ["--token", &lms, "--user", "teacher"];
    let made = served.call("ClassService/CreateClass", &class, &as_teacher);
    assert_eq!(made.unwrap()["owner"], "teacher");
    let for_itself = served.call("ClassService/CreateClass", &class, &["--token", &lms]);
    let refused = for_itself.unwrap_err();
    assert!(refused.contains("ORGANIZATION_NOT_FOUND"), "{refused}");

    // Given also a student whose token holds their name and address,
    let told = [
        ("--name", "displayName", "Ada Lovelace"),
        ("--external-id", "externalId", "s-1815"),
        ("--email", "email", "ada@school.example"),
    ];
    let flags = told.iter().flat_map(|(flag, _, value)| [*flag, *value]);
    let student: Vec<&str> = ["--user", "ada", "--email-verified"]
        .into_iter()
        .chain(flags)
        .collect();
    let redeem = json!({ "credential": code });
    let redeemed = served.ask("RedemptionService/Redeem", &redeem, &student);
    assert_eq!(redeemed.unwrap()["member"]["displayName"], "Ada Lovelace");
    let read = json!({"name": "organizations/hamilton/members/ada"});
    let read = served.ask("MemberService/GetOrganizationMember", &read, &TEACHER);
    let read = read.unwrap();
    for (_, field, value) in told {
        assert_eq!(read[field], value);
    }

    // and given a token bound to another organization, which sees nothing of this one.
    let read = json!({"name": "organizations/hamilton"});
    let read = |bound: &[&str]| {
        let holder = [&TEACHER[..], bound].concat();
        served.ask("OrganizationService/GetOrganization", &read, &holder)
    };
    read(&[]).unwrap();
    read(&["--organization", "elsewhere", "--organization", "hamilton"]).unwrap();
    let refused = read(&["--organization", "elsewhere"]).unwrap_err();
    assert!(refused.contains("ORGANIZATION_NOT_FOUND"), "{refused}");
}

/// Returns whether the auditor finds every invariant kept in a folder's databases, and its output.
#[test]
fn explain_tells_staff_every_rule_and_lists_are_tables() {
    // Given a class code and a person whom nothing keeps out,
    let (_folder, data) = folder();
    let served = Served::start(&data);
    let code = served.school();
    let staff = served.token(&["--user", "teacher", "--scope", "homeroom.act_as"]);
    let explain = |token: &str, credential: &str, more: &[&str]| {
        let mut command = homeroom(&["explain", "--user", "ada", "--token", token]);
        command
            .args(["--invitations", &served.invitations])
            .args(more);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(credential.as_bytes())
            .unwrap();
        printed(&child.wait_with_output().unwrap())
    };
    let explained = |token: &str, more: &[&str]| explain(token, &code, more);
    // then staff are told so, and that the class code entitles nobody to what its rules forbid,
    let told = explained(&staff, &[]);
    assert!(
        told.contains("the person would be admitted at once"),
        "{told}"
    );
    assert!(
        told.contains("  yes  a licensed seat is free") && !told.contains("\n  no "),
        "{told}"
    );
    // and once no seat is free, which rule keeps the person out.
    let platform = ["--user", "platform", "--scope", "homeroom.platform"];
    let limit = json!({"organization": {"name": "organizations/hamilton", "seatLimit": 1}});
    let update = "OrganizationService/UpdateOrganization";
    served.ask(update, &limit, &platform).unwrap();
    let redeem = json!({ "credential": code });
    let bob = ["--user", "bob"];
    served
        .ask("RedemptionService/Redeem", &redeem, &bob)
        .unwrap();
    let told = explained(&staff, &[]);
    assert!(told.contains("the person would be refused"), "{told}");
    assert!(
        told.contains("  no   a licensed seat is free: NO_SEATS."),
        "{told}"
    );
    let json: Value = serde_json::from_str(&explained(&staff, &["--json"])).unwrap();
    assert_eq!(json["failures"][0]["reason"], "NO_SEATS");
    // A join URL is told as the cause of approval, and what a code that opens nothing may lack.
    let url = json!({"name": "organizations/hamilton/classes/biology/joinUrl"});
    let url = served.ask("JoinUrlService/GetJoinUrl", &url, &TEACHER);
    let told = explain(&staff, url.unwrap()["url"].as_str().unwrap(), &[]);
    assert!(told.contains("it is a join URL"), "{told}");
    let hint = "without its prefix needs --organization";
    let told = explain(&staff, "BIO101", &[]);
    assert!(
        told.contains("CODE_NOT_USABLE") && told.contains(hint),
        "{told}"
    );
    let told = explain(&staff, "BIO101", &["--organization", "hamilton"]);
    assert!(
        told.contains("CODE_NOT_USABLE") && !told.contains(hint),
        "{told}"
    );
    // A list is a table, or JSON.
    let list = |words: &[&str]| {
        let mut command = homeroom(words);
        command.args(["--token", &staff, "--invitations", &served.invitations]);
        succeeds(command)
    };
    let table = list(&["redemption", "hamilton/biology"]);
    assert!(
        table.starts_with("name ") && table.contains("  bob   ADMITTED  COMMITTED"),
        "{table}"
    );
    let json: Value = serde_json::from_str(&list(&["redemption", "hamilton", "--json"])).unwrap();
    assert_eq!(json[0]["user"], "bob");
    assert!(succeeds(homeroom(&["completions", "bash"])).contains("redemption"));
}

fn audited(folder: &Path, quiescent: bool) -> (bool, String) {
    let url = |name: &str| format!("sqlite://{}", folder.join(name).display());
    let (membership, invitations) = (url("membership.db"), url("invitations.db"));
    let mut audit = homeroom(&["audit", "--membership", &membership]);
    audit.args(["--invitations", &invitations]);
    if quiescent {
        audit.arg("--quiescent");
    }
    let output = audit.output().unwrap();
    (output.status.success(), printed(&output))
}

#[test]
fn a_backup_under_load_is_of_one_moment_and_serves_again() {
    // Given a class that students join one after the other,
    let (folder, data) = folder();
    let served = Served::start(&data);
    let code = served.school();
    let redeem = json!({ "credential": code });
    let join = |from: usize| {
        for number in from..from + 8 {
            let student = ["--user", &format!("student-{number}")];
            let redeemed = served.ask("RedemptionService/Redeem", &redeem, &student);
            redeemed.unwrap();
        }
    };
    join(0);

    // when backups are made meanwhile, then each shows one moment.
    let mut backup = PathBuf::new();
    thread::scope(|scope| {
        let load = [100, 200, 300].map(|from| scope.spawn(move || join(from)));
        for number in 0.. {
            let over = load.iter().all(thread::ScopedJoinHandle::is_finished);
            backup = folder.path().join(format!("backup-{number}"));
            let arguments = ["backup", "--data", text(&data), "--to", text(&backup)];
            let said = succeeds(homeroom(&arguments));
            assert!(said.contains("membership.db"), "{said}");
            assert!(said.contains("keep a copy"), "{said}");
            let (holds, said) = audited(&backup, false);
            assert!(holds, "{said}");
            for name in ["membership.db", "invitations.db"] {
                let metadata = fs::metadata(backup.join(name)).unwrap();
                assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
            }
            // A folder that holds a backup is left unchanged.
            let again = homeroom(&arguments).output().unwrap();
            assert!(printed(&again).contains("is there already"), "{again:?}");
            if over {
                break;
            }
        }
    });

    // And with the key files copied beside it the last one can be served, with the same codes and members.
    for file in [
        "membership.keys",
        "invitations.keys",
        "invitations-signing-key.pem",
        "signing-key.pem",
        "jwks.json",
    ] {
        fs::copy(data.join(file), backup.join(file)).unwrap();
    }
    drop(served);
    let restored = Served::start(&backup);
    let name = json!({"name": "organizations/hamilton/classes/biology/classCode"});
    let shown = restored.ask("ClassCodeService/GetClassCode", &name, &TEACHER);
    assert_eq!(shown.unwrap()["code"], json!(code));
    let roster = json!({"parent": "organizations/hamilton/classes/biology", "pageSize": 100});
    let roster = restored.ask("MemberService/ListClassMembers", &roster, &TEACHER);
    assert_eq!(
        roster.unwrap()["members"].as_array().unwrap().len(),
        1 + 4 * 8
    );
    eventually("nothing is left under way", || {
        audited(&backup, true).0.then_some(())
    });
}
