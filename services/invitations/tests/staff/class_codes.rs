//! C1 to C8.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        ClassCode, GetClassCodeRequest, LockClassCodeRequest, ResetClassCodeRequest,
        UnlockClassCodeRequest, UpdateClassCodeRequest, class_code::State,
        class_code_service_server::ClassCodeService,
    },
};
use homeroom_invitations::domain::{class_code, invitation::InvitationKind};
use homeroom_kit::clock::to_timestamp;
use prost_types::{Duration, FieldMask};

use crate::office::{CLASS, Office, by, by_owner, reason};

fn name() -> String {
    format!("{CLASS}/classCode")
}

async fn get(office: &Office) -> ClassCode {
    let request = GetClassCodeRequest { name: name() };
    let answer = office.class_codes.get_class_code(by_owner(request)).await;
    answer.unwrap().into_inner()
}

async fn reset(office: &Office) -> ClassCode {
    let request = ResetClassCodeRequest {
        name: name(),
        ..ResetClassCodeRequest::default()
    };
    let answer = office.class_codes.reset_class_code(by_owner(request)).await;
    answer.unwrap().into_inner().class_code.unwrap()
}

/// Returns true if a code opens anything.
async fn is_known(office: &Office, code: &str) -> bool {
    let canonical = class_code::canonical(code).unwrap();
    let macs = office
        .app
        .secrets()
        .lookup_macs(InvitationKind::ClassCode, &canonical);
    let mut session = office.app.store.read().await.unwrap();
    session.find_by_lookup_macs(&macs).await.unwrap().is_some()
}

#[tokio::test]
async fn c1_each_class_has_one_code_made_on_first_read() {
    let office = Office::open().await;
    let (a, b, c, d) = tokio::join!(get(&office), get(&office), get(&office), get(&office));
    assert!(a == b && b == c && c == d);
    assert_eq!(a.code.len(), 14, "12 characters in three groups");
    assert_eq!(
        a.join_link,
        format!("https://join.example/c/{}", a.code.replace('-', ""))
    );
    assert!(is_known(&office, &a.code).await);
    assert_eq!(office.event_types().await, ["class_code.created"]);
}

#[tokio::test]
async fn c3_a_class_code_is_not_for_the_public() {
    let office = Office::open().await;
    assert!(!get(&office).await.may_be_public);
}

#[tokio::test]
async fn c4_a_code_locks_itself_14_days_after_it_was_made() {
    let office = Office::open().await;
    let made = get(&office).await;
    assert_eq!(made.state(), State::Unlocked);
    assert_eq!(
        made.lock_time,
        Some(to_timestamp(office.now() + TimeDelta::days(14)))
    );
    office.advance(TimeDelta::days(14) - TimeDelta::microseconds(1));
    assert_eq!(get(&office).await.state(), State::Unlocked);
    office.advance(TimeDelta::microseconds(1));
    assert_eq!(get(&office).await.state(), State::Locked);
}

async fn set_period(office: &Office, seconds: i64) -> ErrorReason {
    let request = UpdateClassCodeRequest {
        class_code: Some(ClassCode {
            name: name(),
            lock_period: Some(Duration { seconds, nanos: 0 }),
            ..ClassCode::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["lock_period".to_owned()],
        }),
        ..UpdateClassCodeRequest::default()
    };
    reason(
        office
            .class_codes
            .update_class_code(by_owner(request))
            .await,
    )
}

#[tokio::test]
async fn c4_the_lock_period_is_an_hour_to_a_year_or_for_ever() {
    let office = Office::open().await;
    for (seconds, expected) in [
        (3_599, ErrorReason::InvalidRequest),
        (3_600, ErrorReason::Unspecified),
        (365 * 86_400, ErrorReason::Unspecified),
        (365 * 86_400 + 1, ErrorReason::InvalidRequest),
    ] {
        assert_eq!(set_period(&office, seconds).await, expected, "{seconds}");
    }
    assert_eq!(set_period(&office, 0).await, ErrorReason::Unspecified);
    office.advance(TimeDelta::days(10_000));
    let code = get(&office).await;
    assert_eq!(code.state(), State::Unlocked);
    assert_eq!(code.lock_time, None);
}

#[tokio::test]
async fn c7_x3_unlocking_restarts_the_clock_and_locking_is_at_once() {
    let office = Office::open().await;
    get(&office).await;
    let lock = LockClassCodeRequest {
        name: name(),
        ..LockClassCodeRequest::default()
    };
    let locked = office
        .class_codes
        .lock_class_code(by_owner(lock))
        .await
        .unwrap();
    assert_eq!(
        locked.into_inner().class_code.unwrap().state(),
        State::Locked
    );
    office.advance(TimeDelta::days(10));
    let unlock = UnlockClassCodeRequest {
        name: name(),
        ..UnlockClassCodeRequest::default()
    };
    let unlocked = office
        .class_codes
        .unlock_class_code(by_owner(unlock))
        .await
        .unwrap();
    let unlocked = unlocked.into_inner().class_code.unwrap();
    assert_eq!(unlocked.state(), State::Unlocked);
    assert_eq!(
        unlocked.lock_time,
        Some(to_timestamp(office.now() + TimeDelta::days(14)))
    );
    assert_eq!(
        office.event_types().await,
        [
            "class_code.created",
            "class_code.locked",
            "class_code.unlocked"
        ]
    );
    assert_eq!(
        office.membership.fence(&name()),
        0,
        "the lock is judged in T1, not by a fence"
    );
}

#[tokio::test]
async fn c8_a_reset_makes_a_new_unlocked_code_and_shuts_the_old_one_out() {
    let office = Office::open().await;
    let old = get(&office).await;
    office.advance(TimeDelta::days(15));
    let new = reset(&office).await;
    assert_ne!(new.code, old.code);
    assert_eq!(new.state(), State::Unlocked);
    assert_eq!(new.create_time, Some(to_timestamp(office.now())));
    assert_ne!(new.etag, old.etag);
    assert_eq!(
        office.membership.fence(&name()),
        2,
        "answered only when the fence is up"
    );
    assert!(!is_known(&office, &old.code).await);
    assert!(is_known(&office, &new.code).await);
    assert_eq!(get(&office).await, new);
    assert_eq!(
        office.event_types().await,
        ["class_code.created", "class_code.reset"]
    );
}

#[tokio::test]
async fn an_etag_that_is_not_the_current_one_changes_nothing() {
    let office = Office::open().await;
    let code = get(&office).await;
    let request = ResetClassCodeRequest {
        name: name(),
        etag: "\"99\"".to_owned(),
        ..ResetClassCodeRequest::default()
    };
    let refused = office.class_codes.reset_class_code(by_owner(request)).await;
    assert_eq!(reason(refused), ErrorReason::EtagMismatch);
    assert_eq!(get(&office).await, code);
    let request = ResetClassCodeRequest {
        name: name(),
        etag: code.etag,
        ..ResetClassCodeRequest::default()
    };
    assert!(
        office
            .class_codes
            .reset_class_code(by_owner(request))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn c1_a_co_teacher_reads_and_an_owner_changes() {
    let office = Office::open().await;
    let read = GetClassCodeRequest { name: name() };
    assert!(
        office
            .class_codes
            .get_class_code(by("co-teacher", read))
            .await
            .is_ok()
    );
    let lock = LockClassCodeRequest {
        name: name(),
        ..LockClassCodeRequest::default()
    };
    let refused = office
        .class_codes
        .lock_class_code(by("co-teacher", lock))
        .await;
    assert_eq!(reason(refused), ErrorReason::RoleRequired);
}
