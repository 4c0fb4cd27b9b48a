//! Records for later review: reads and changes of invitations (R12), and refused attempts (R5,
//! R10).

use std::collections::BTreeSet;

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        AuditEntry, EnrollmentCode, ListAuditEntriesResponse, ListRefusedAttemptsResponse,
        RefusedAttempt, Token, refused_attempt::LimiterDecision,
    },
};
use homeroom_tests::{Claims, Clients, on_both_engines, reason};
use serde_json::json;

const METHOD: &str = "homeroom.invitations.v1.";

async fn refused_attempts(clients: &Clients, parent: &str, filter: &str) -> Vec<RefusedAttempt> {
    let list = json!({"parent": parent, "filter": filter});
    let listed = clients.ask("RedemptionService.ListRefusedAttempts", list);
    let listed: ListRefusedAttemptsResponse = listed.await;
    listed.refused_attempts
}

async fn audit_entries(clients: &Clients, parent: &str, filter: &str) -> Vec<AuditEntry> {
    let list = json!({"parent": parent, "filter": filter, "page_size": 1_000});
    let listed = clients.ask("AuditService.ListAuditEntries", list);
    let listed: ListAuditEntriesResponse = listed.await;
    listed.audit_entries
}

on_both_engines! {
async fn r12_who_read_or_changed_an_invitation_is_kept_without_its_secret(homeroom) {
    let school = homeroom.school().await;
    // Given staff actions, one of them through a platform,
    let old = school.class_code().await;
    homeroom.advance(TimeDelta::milliseconds(1));
    let acting = homeroom.user_with(Claims { scopes: &["homeroom.act_as"], acting_user: "teacher", ..Claims::of("lms") });
    acting.done("ClassCodeService.ResetClassCode", json!({"name": old.name})).await;
    homeroom.advance(TimeDelta::milliseconds(1));
    let token = school.token(Token::default()).await;
    homeroom.advance(TimeDelta::milliseconds(1));
    school.co_teacher.done("TokenService.RevealToken", json!({"name": token.name})).await;

    // then the owner finds the actors and actions, the newest first,
    let entries = audit_entries(&school.teacher, &school.class, "").await;
    let told: Vec<[&str; 4]> = entries.iter().map(|entry| [
        entry.method.strip_prefix(METHOD).unwrap(), entry.actor.as_str(), entry.calling_service.as_str(), entry.subject.as_str(),
    ]).collect();
    assert_eq!(told, [
        ["TokenService/RevealToken", "co-teacher", "co-teacher", &token.name],
        ["TokenService/CreateToken", "teacher", "teacher", &token.name],
        ["ClassCodeService/ResetClassCode", "teacher", "lms", &old.name],
        ["ClassCodeService/GetClassCode", "teacher", "teacher", &old.name],
    ]);
    // each entry belongs to another call,
    let calls: BTreeSet<&str> = entries.iter().map(|entry| entry.request_id.as_str()).collect();
    assert_eq!(calls.len(), entries.len());
    // and no entry contains a secret.
    let text = format!("{entries:?}");
    let new = school.class_code().await;
    for secret in [&old.code, &new.code, &token.phrase, &token.phrase.replace(' ', "-"), &new.code.replace('-', "")] {
        assert!(!text.contains(secret.as_str()), "{secret}");
    }

    // Entries can be filtered by resource, and those of the organization are only for its
    // administrator.
    let of_token = format!("subject = \"{}\"", token.name);
    assert_eq!(audit_entries(&school.teacher, &school.class, &of_token).await.len(), 2);
    assert_eq!(school.teacher.refused("AuditService.ListAuditEntries", json!({"parent": school.organization})).await, "ROLE_REQUIRED");
    assert_eq!(audit_entries(&school.admin, &school.organization, "").await.len(), 5);
    assert_eq!(audit_entries(&school.platform, "organizations/-", "actor = co-teacher").await.len(), 1);
    assert_eq!(school.admin.refused("AuditService.ListAuditEntries", json!({"parent": "organizations/-"})).await, "SCOPE_MISSING");
}
}

on_both_engines! {
async fn r12_every_change_and_every_read_of_a_secret_is_one_entry(homeroom) {
    let school = homeroom.school().await;
    let (organization, class) = (&school.organization, &school.class);
    let token = school.token(Token::default()).await.name;
    homeroom.advance(TimeDelta::milliseconds(1));
    let code = school.enrollment_code(EnrollmentCode { code: "ORCHID 2026".to_owned(), ..Default::default() }).await.name;
    let [class_code, join_url, invite_token] = [format!("{class}/classCode"), format!("{class}/joinUrl"), format!("{organization}/inviteToken")];
    let named = |name: &str| json!({"name": name});
    // Reads that show no secret make no entry.
    let calls = [
        ("ClassCodeService/GetClassCode", named(&class_code), Some(&class_code)),
        ("ClassCodeService/GetClassCode", named(&class_code), Some(&class_code)),
        ("ClassCodeService/ResetClassCode", named(&class_code), Some(&class_code)),
        ("ClassCodeService/LockClassCode", named(&class_code), Some(&class_code)),
        ("ClassCodeService/UnlockClassCode", named(&class_code), Some(&class_code)),
        ("ClassCodeService/UpdateClassCode", json!({"class_code": {"name": class_code, "lock_period": "7200s"}}), Some(&class_code)),
        ("JoinUrlService/GetJoinUrl", named(&join_url), Some(&join_url)),
        ("JoinUrlService/UpdateJoinUrl", json!({"join_url": {"name": join_url}, "update_mask": "enabled"}), Some(&join_url)),
        ("TokenService/GetInviteToken", named(&invite_token), Some(&invite_token)),
        ("TokenService/ResetInviteToken", named(&invite_token), Some(&invite_token)),
        ("TokenService/RevealToken", named(&token), Some(&token)),
        ("TokenService/GetToken", named(&token), None),
        ("TokenService/ListTokens", json!({"parent": class}), None),
        ("TokenService/RevokeToken", named(&token), Some(&token)),
        ("EnrollmentCodeService/ListEnrollmentCodes", json!({"parent": organization}), None),
        ("EnrollmentCodeService/GetEnrollmentCode", named(&code), Some(&code)),
        ("EnrollmentCodeService/ListEnrollmentCodes", json!({"parent": class}), Some(class)),
        ("EnrollmentCodeService/UpdateEnrollmentCode", json!({"enrollment_code": {"name": code, "code": "TULIP 2026"}, "acknowledge_weak": true}), Some(&code)),
        ("EnrollmentCodeService/DeleteEnrollmentCode", named(&code), Some(&code)),
    ];
    for (method, body, _) in &calls {
        homeroom.advance(TimeDelta::milliseconds(1));
        school.admin.done(&method.replace('/', "."), body.clone()).await;
    }
    let entries = audit_entries(&school.admin, organization, "").await;
    let told: Vec<(&str, &str)> = entries.iter().rev().skip(2).map(|entry| (entry.method.strip_prefix(METHOD).unwrap(), entry.subject.as_str())).collect();
    let expected: Vec<(&str, &str)> = calls.iter().filter_map(|(method, _, subject)| Some((*method, subject.as_ref()?.as_str()))).collect();
    assert_eq!(told, expected);
    assert_eq!(entries.iter().rev().take(2).map(|entry| &entry.subject).collect::<Vec<_>>(), [&token, &code]);
}
}

on_both_engines! {
async fn r5_r10_refused_attempts_are_kept_for_administrators_and_operators(homeroom) {
    let school = homeroom.school().await;
    homeroom.school_named("jefferson", 0).await;
    let old = school.class_code().await;
    school.teacher.done("ClassCodeService.ResetClassCode", json!({"name": old.name})).await;
    school.invite_token().await;

    // Given guesses that name the organization, one that names none, and a user who continues,
    let guesser = homeroom.user("guesser");
    for credential in ["HAMILTON-NOTHING", old.code.as_str()] {
        homeroom.advance(TimeDelta::milliseconds(1));
        assert_eq!(reason(&guesser.redeem(credential).await.unwrap_err()), "CODE_NOT_USABLE");
    }
    homeroom.advance(TimeDelta::milliseconds(1));
    assert_eq!(reason(&guesser.preview("HAMILTON-OTHER").await.unwrap_err()), "CODE_NOT_USABLE");
    for guess in 0..6 {
        homeroom.advance(TimeDelta::milliseconds(1));
        guesser.redeem(&format!("HAMILTON-NOTHING{guess}")).await.unwrap_err();
    }

    // then its administrators see those that name it, a moment later,
    homeroom.eventually("everything is logged", async || {
        refused_attempts(&school.platform, "organizations/-", "").await.len() == 6
    }).await;
    let named = refused_attempts(&school.admin, &school.organization, "").await;
    let told: Vec<(ErrorReason, LimiterDecision, bool)> =
        named.iter().map(|one| (one.reason(), one.limiter_decision(), one.preview)).collect();
    let guess = (ErrorReason::CodeNotUsable, LimiterDecision::Allowed, false);
    let refused = (ErrorReason::TooManyAttempts, LimiterDecision::RefusedUser, false);
    assert_eq!(told, [refused, guess, guess, (ErrorReason::CodeNotUsable, LimiterDecision::Allowed, true), guess]);
    assert!(named.iter().all(|one| one.user == "guesser" && one.invitation.is_empty() && one.class.is_empty()));
    let limited = refused_attempts(&school.admin, &school.organization, "user = guesser AND reason = TOO_MANY_ATTEMPTS AND create_time > \"2026-09-01T08:00:00Z\"").await;
    assert_eq!(limited.len(), 1, "one a minute");

    // the operators see those that name none,
    let all = refused_attempts(&school.platform, "organizations/-", "").await;
    let unnamed: Vec<_> = all.iter().filter(|one| one.name.starts_with("organizations/-/")).collect();
    assert_eq!(unnamed.len(), 1);
    assert_eq!(refused_attempts(&homeroom.user("admin"), "organizations/jefferson", "").await, []);
    // and the typed text appears nowhere.
    let text = format!("{all:?}");
    assert!(!text.contains("NOTHING") && !text.contains(&old.code));

    for (clients, parent, expected) in [
        (&school.teacher, school.organization.as_str(), "ROLE_REQUIRED"),
        (&guesser, &school.organization, "ORGANIZATION_NOT_FOUND"),
        (&school.admin, "organizations/-", "SCOPE_MISSING"),
        (&school.admin, &school.class, "INVALID_REQUEST"),
    ] {
        assert_eq!(clients.refused("RedemptionService.ListRefusedAttempts", json!({"parent": parent})).await, expected);
    }
}
}

on_both_engines! {
async fn i8_who_mistyped_what_may_be_another_schools_is_shown_to_operators_alone(homeroom) {
    let school = homeroom.school().await;
    school.invite_token().await;
    // Given a text that may be a class code, a class code and a phrase with a typo, all of which
    // begin with the school's prefix, and one that can only be the school's,
    let guesser = homeroom.user("guesser");
    for credential in ["HAMI-LTON-ABCD", "HAMI-LTON-ABCD-E", "hamiltonzebro", "hamilton nothing"] {
        homeroom.advance(TimeDelta::milliseconds(1));
        assert_eq!(reason(&guesser.redeem(credential).await.unwrap_err()), "CODE_NOT_USABLE");
    }
    // then its administrators see only the last one.
    homeroom.eventually("everything is logged", async || {
        refused_attempts(&school.platform, "organizations/-", "").await.len() == 4
    }).await;
    let names = |rows: Vec<RefusedAttempt>| rows.into_iter().map(|one| one.name).collect::<Vec<_>>();
    let all = names(refused_attempts(&school.platform, "organizations/-", "").await);
    let own = names(refused_attempts(&school.admin, &school.organization, "").await);
    assert_eq!(own, [all[0].as_str()]);
}
}

on_both_engines! {
async fn r10_refusals_that_cost_nothing_are_logged_once_a_user_a_minute_where_the_credential_lives(homeroom) {
    // Given a school without a free seat, and another one,
    let school = homeroom.school_named("hamilton", 1).await;
    let other = homeroom.school_named("jefferson", 0).await;
    let code = school.class_code().await.code;
    homeroom.outcome("first", &code).await;
    let refused = async |user: &str| {
        homeroom.advance(TimeDelta::milliseconds(1));
        assert_eq!(reason(&homeroom.user(user).preview(&code).await.unwrap_err()), "NO_SEATS");
    };
    let logged = async |count: usize| {
        homeroom.eventually("it is logged", async || {
            refused_attempts(&school.platform, "organizations/-", "").await.len() >= count
        }).await;
        // Repeats were reported earlier than the awaited entry, so no further entry can follow.
        let all = refused_attempts(&school.admin, &school.organization, "").await;
        let users: Vec<String> = all.iter().map(|one| one.user.clone()).collect();
        assert!(all.iter().all(|one| one.reason() == ErrorReason::NoSeats && one.class == school.class && !one.invitation.is_empty()), "{all:?}");
        assert_eq!(users.len(), count, "{users:?}");
        users
    };
    // when two users repeatedly see that there is none,
    for user in ["second", "second", "second", "third", "second", "third"] {
        refused(user).await;
    }
    // then each is logged once,
    assert_eq!(logged(2).await, ["third", "second"]);
    // and once more a minute later,
    homeroom.advance(TimeDelta::minutes(1));
    for user in ["second", "second"] {
        refused(user).await;
    }
    assert_eq!(logged(3).await, ["second", "third", "second"]);
    // in the code's organization and in no other.
    assert_eq!(refused_attempts(&other.admin, &other.organization, "").await, []);
    assert_eq!(refused_attempts(&school.platform, "organizations/-", "").await.len(), 3);
}
}
