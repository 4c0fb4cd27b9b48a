//! Every failpoint of the services, and the effect of a fault there.

use std::{collections::BTreeSet, fs, path::Path};

use homeroom_api::invitations::v1::RedemptionOutcome;
use homeroom_kit::failpoints::{disarm, hits};
use homeroom_tests::{Engine, Homeroom, School, reason};
use serde_json::json;
use tokio::sync::Mutex;
use tonic::Status;

#[path = "../src/command.rs"]
mod command;

use command::command;

/// The transactions that the story below commits: each has `before_commit` and `after_commit`.
const TRANSACTIONS_OF_THE_STORY: &[&str] = &[
    "invitations.audit",            // the audit of who reads a secret (R12)
    "invitations.change",           // changes of invitations by staff
    "invitations.begin_erasure",    // the start of an erasure (R13)
    "invitations.confirm_fence",    // the fence is up (P7)
    "invitations.erase",            // the erasure of a person (R13)
    "invitations.follow",           // a page of membership's feed (P5)
    "invitations.forget_logs",      // expired attempts and audit entries
    "invitations.forget_requests",  // expired request ids
    "invitations.hasten",           // the retry once membership is back
    "invitations.note_keys",        // the first use of a key ring
    "invitations.profile",          // membership's data on an organization
    "invitations.refused_attempts", // refused attempts, which leave no redemption
    "invitations.reserve",          // T1
    "invitations.set_next_tries",   // a failed try of recovery (P13)
    "invitations.settle",           // T3
    "invitations.take_due",         // recovery's lease (P13)
    "membership.admit",             // T2
    "membership.change",            // every change that people make in membership
    "membership.forget_requests",   // expired request ids
    "membership.raise_fence",       // RaiseFence (P7)
];

/// Transactions that need more than the story: two concurrent attempts of a person, days, a retention, a
/// poisoned event, a deleted class, 50 wrong guesses, another key, a request that waits for an hour.
const OTHER_TRANSACTIONS: &[&str] = &[
    "invitations.attach",
    "invitations.call_off_erasure",
    "invitations.fold_codes",
    "invitations.follow_one",
    "invitations.forget_persons",
    "invitations.free_codes",
    "invitations.guess_guard",
    "invitations.rotate_keys",
    "invitations.take_queued",
    "membership.expire",
    "membership.forget_persons",
];

/// Calls from invitations to membership: each has `sending` and `answered`.
const CALLS: &[&str] = &[
    "invitations.BatchAdmit",
    "invitations.CheckAccess",
    "invitations.EraseUser",
    "invitations.GetAdmission",
    "invitations.ListEvents",
    "invitations.RaiseFence",
];

/// Some of the calls that the servers receive: each has `received` and `answering`.
const SERVED: &[&str] = &[
    "invitations.GetClassCode",
    "invitations.GetRedemption",
    "invitations.Redeem",
    "invitations.ResetClassCode",
    "membership.BatchAdmit",
    "membership.CheckAccess",
    "membership.CreateOrganization",
    "membership.DenyJoinRequest",
    "membership.GetAdmission",
    "membership.ListEvents",
    "membership.RaiseFence",
];

/// Failpoints belong to the process, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

fn names_at(moment: &str) -> BTreeSet<String> {
    let named = |point: &String| point.strip_suffix(moment).map(str::to_owned);
    hits().keys().filter_map(named).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_story_reaches_every_point() {
    let _alone = ALONE.lock().await;
    let homeroom = Homeroom::start(Engine::Sqlite).await;
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    let admitted = homeroom.outcome("ann", &code).await;
    assert_eq!(admitted, RedemptionOutcome::Admitted);

    // Two answers of membership are lost: recovery tries, waits, and tries again.
    command("arm invitations.BatchAdmit.sending fail 1 2").unwrap();
    let lost = homeroom.user("ben").redeem(&code).await.unwrap_err();
    assert_eq!(reason(&lost), "MEMBERSHIP_UNAVAILABLE");
    let tried_again = hits()["invitations.BatchAdmit.sending"] + 2;
    homeroom
        .eventually("it is settled by recovery", async || {
            homeroom.advance(chrono::TimeDelta::seconds(2));
            hits()["invitations.BatchAdmit.sending"] >= tried_again
                && school.roster().await.contains(&"ben".to_owned())
        })
        .await;

    // A request is filed and denied, which the feed reports.
    let url = school.join_url().await.url;
    let cleo = homeroom.user("cleo");
    let redeem = json!({"credential": url});
    let queued = cleo.done("RedemptionService.Redeem", redeem).await;
    let class_code = format!("{}/classCode", school.class);
    for (caller, method, name) in [
        (
            &cleo,
            "RedemptionService.GetRedemption",
            &queued["redemption"],
        ),
        (
            &school.teacher,
            "JoinRequestService.DenyJoinRequest",
            &queued["joinRequest"]["name"],
        ),
        (
            &school.teacher,
            "ClassCodeService.ResetClassCode",
            &json!(class_code),
        ),
    ] {
        caller.done(method, json!({"name": name})).await;
    }
    // A wrong guess, and a read of the code.
    let guessed = homeroom.user("dan").redeem(&code).await.unwrap_err();
    assert_eq!(reason(&guessed), "CODE_NOT_USABLE");
    school.class_code().await;
    let ann = json!({"name": "users/ann"});
    let erase = "invitations.v1.UserService.EraseUser";
    homeroom.platform().done(erase, ann).await;
    homeroom
        .eventually("every point is reached", async || {
            let committed = names_at(".after_commit");
            set(TRANSACTIONS_OF_THE_STORY).is_subset(&committed)
        })
        .await;
    homeroom.stop().await;

    for moment in [".before_commit", ".after_commit"] {
        assert_eq!(names_at(moment), set(TRANSACTIONS_OF_THE_STORY), "{moment}");
    }
    assert_eq!(names_at(".before_begin"), set(&["invitations.settle"]));
    for moment in [".sending", ".answered"] {
        assert_eq!(names_at(moment), set(CALLS), "{moment}");
    }
    for moment in [".received", ".answering"] {
        let reached = names_at(moment);
        assert!(set(SERVED).is_subset(&reached), "{moment}: {reached:?}");
        assert!(!reached.iter().any(|name| name.contains("Check.")));
    }
}

#[test]
fn the_tables_name_every_transaction() {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
    let mut named = BTreeSet::new();
    for service in ["membership", "invitations"] {
        for text in sources(&services.join(service).join("src")) {
            for commit in [".commit(\"", "repository, \"", "end(session, \""] {
                for after in text.split(commit).skip(1) {
                    named.insert(format!("{service}.{}", after.split('"').next().unwrap()));
                }
            }
        }
    }
    let mut tables = set(TRANSACTIONS_OF_THE_STORY);
    tables.append(&mut set(OTHER_TRANSACTIONS));
    assert_eq!(named, tables);
}

fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.append(&mut sources(&path));
        } else {
            texts.push(fs::read_to_string(&path).unwrap_or_default());
        }
    }
    texts
}

/// Adds a member while `point` fails once, and returns the answer and whether the member exists.
async fn add_member(school: &School, user: &str, point: &str) -> (Result<(), Status>, bool) {
    command(&format!("arm {point} fail")).unwrap();
    let member = json!({"user": user, "role": "STUDENT"});
    let add = json!({"parent": school.organization, "member": member});
    let added = school
        .admin
        .call("MemberService.AddOrganizationMember", &add)
        .await;
    disarm();
    let name = json!({"name": format!("{}/members/{user}", school.organization)});
    let found = school
        .admin
        .call("MemberService.GetOrganizationMember", &name)
        .await;
    (added.map(drop), found.is_ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_before_a_commit_leaves_nothing_and_one_after_it_lets_it_stand() {
    let _alone = ALONE.lock().await;
    let homeroom = Homeroom::start(Engine::Sqlite).await;
    let school = homeroom.school().await;
    for (user, point, stands) in [
        ("ann", "membership.AddOrganizationMember.received", false),
        ("ben", "membership.change.before_commit", false),
        ("cleo", "membership.change.after_commit", true),
        ("dan", "membership.AddOrganizationMember.answering", true),
    ] {
        let (answer, found) = add_member(&school, user, point).await;
        assert_eq!(reason(&answer.unwrap_err()), "DATABASE_UNAVAILABLE");
        assert_eq!(found, stands, "{point}");
    }
    homeroom.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_a_call_to_membership_is_that_it_does_not_answer() {
    let _alone = ALONE.lock().await;
    let homeroom = Homeroom::start(Engine::Sqlite).await;
    let school = homeroom.school().await;
    for moment in ["sending", "answered"] {
        command(&format!("arm invitations.CheckAccess.{moment} fail")).unwrap();
        let url = json!({"name": format!("{}/joinUrl", school.class)});
        let refused = school.teacher.refused("JoinUrlService.GetJoinUrl", url);
        assert_eq!(refused.await, "MEMBERSHIP_UNAVAILABLE");
        disarm();
    }
    homeroom.stop().await;
}

#[test]
fn what_is_no_command_is_refused() {
    for line in [
        "",
        "arm",
        "arm x",
        "arm x explode",
        "arm x fail y",
        "wrong",
        "wrong one",
    ] {
        assert!(command(line).is_err(), "{line}");
    }
}
