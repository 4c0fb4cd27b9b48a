//! The product's rules, over gRPC with both services running, on both engines.

mod again;
mod authorization;
mod bad_input;
mod class_codes;
mod crowds;
mod enrollment_codes;
mod erasures;
mod every_way;
mod good_requests;
mod guessing;
mod membership;
mod moves;
mod people;
mod provenance;
mod proxies;
mod records;
mod redemptions;
mod refusals;
mod retention;
mod rosters;
mod staff;
mod tokens;
mod typing;

use homeroom_api::invitations::v1::{
    ClassCode, EnrollmentCode, UnlockClassCodeResponse, UpdateEnrollmentCodeRequest,
};
use homeroom_audit::{Options, Report, audit};
use homeroom_tests::{Claims, Homeroom, School, reason};
use serde_json::{Value, json};

/// The numbers of rules: A for tokens, B for enrollment codes, C for class codes and join URLs, X
/// for what their descriptions leave open, R for every way in, S for
/// rosters of other systems.
const RULES: [(char, usize); 6] = [
    ('a', 14),
    ('b', 16),
    ('c', 14),
    ('x', 9),
    ('r', 15),
    ('s', 7),
];

#[test]
fn every_rule_has_a_test_that_bears_its_id() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/end_to_end")).unwrap();
    let read = |path| std::fs::read_to_string(path).ok();
    let sources = files.filter_map(|file| read(file.unwrap().path()));
    let sources: Vec<String> = sources.collect();
    let named: std::collections::BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.lines())
        .filter_map(|line| line.strip_prefix("async fn ")?.split_once("(homeroom)"))
        .flat_map(|(name, _)| name.split('_'))
        .collect();
    let missing: Vec<String> = RULES
        .into_iter()
        .flat_map(|(source, last)| (1..=last).map(move |number| format!("{source}{number}")))
        .filter(|rule| !named.contains(rule.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Calls a method of membership, such as `ClassService.GetClass`. Returns the answer, or the reason of the refusal.
async fn membership(
    homeroom: &Homeroom,
    caller: Claims<'_>,
    method: &str,
    body: Value,
) -> Result<Value, String> {
    let method = format!("homeroom.membership.v1.{method}");
    let answer = homeroom.call(caller, &method, &body).await;
    answer.map_err(|status| reason(&status))
}

/// Locks the class's code.
async fn lock(school: &School) {
    let name = json!({"name": format!("{}/classCode", school.class)});
    let locked = school.teacher.done("ClassCodeService.LockClassCode", name);
    assert_eq!(locked.await["classCode"]["state"], "LOCKED");
}

async fn unlock(school: &School) -> ClassCode {
    let name = json!({"name": format!("{}/classCode", school.class)});
    let unlock = school.teacher.ask("ClassCodeService.UnlockClassCode", name);
    let unlocked: UnlockClassCodeResponse = unlock.await;
    unlocked.class_code.unwrap()
}

fn code(text: &str) -> EnrollmentCode {
    EnrollmentCode {
        code: text.to_owned(),
        ..Default::default()
    }
}

/// Changes an enrollment code as the administrator.
async fn update(homeroom: &Homeroom, code: EnrollmentCode, paths: &[&str]) -> EnrollmentCode {
    let request = UpdateEnrollmentCodeRequest {
        enrollment_code: Some(code),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        }),
        acknowledge_weak: true,
        ..Default::default()
    };
    let admin = homeroom.user("admin");
    let method = "EnrollmentCodeService.UpdateEnrollmentCode";
    admin.call_typed(method, &request).await.unwrap()
}

/// Checks that both databases satisfy every invariant, with nothing under way.
async fn assert_audited(homeroom: &Homeroom) {
    homeroom.settled_row_counts().await;
    let report = audited(homeroom, true).await;
    assert_eq!(report.broken(), [], "{report:?}");
}

/// The same once the ends of requests have been followed.
async fn assert_audited_soon(homeroom: &Homeroom) {
    let holds = async || audited(homeroom, true).await.broken().is_empty();
    homeroom.eventually("every invariant holds", holds).await;
}

/// Returns the auditor's report; `quiescent` if nothing is under way.
async fn audited(homeroom: &Homeroom, quiescent: bool) -> Report {
    let databases = homeroom.databases();
    let options = Options {
        quiescent,
        ..Options::at(homeroom.now())
    };
    audit(&databases.membership, &databases.invitations, &options)
        .await
        .unwrap()
}
