//! Refused attempts and audit entries, as they are written, listed and pruned.

use std::sync::Arc;

use chrono::TimeDelta;
use homeroom_api::{common::v1::ErrorReason, ids::UserId, names::Place};
use homeroom_invitations::{
    domain::audit_entry::{AuditEntry, AuditFilter},
    domain::refused_attempt::{LimiterDecision, RefusedAttempt, RefusedAttemptFilter},
    store::Store,
};
use homeroom_kit::random::{SeededRandomness, new_id_at};

use crate::rows::{now, organization};

fn refused(number: u128, place: Option<&str>) -> RefusedAttempt {
    let create_time = now() + TimeDelta::milliseconds(i64::try_from(number).unwrap());
    RefusedAttempt {
        id: new_id_at(create_time, &SeededRandomness::new(1)),
        place: place.map(|place| Place::parse(place).unwrap()),
        invitation: String::new(),
        user: UserId::parse("mia").unwrap(),
        calling_service: "lms ✓ \"'".to_owned(),
        preview: number.is_multiple_of(2),
        reason: ErrorReason::CodeNotUsable,
        limiter_decision: LimiterDecision::ALL[usize::try_from(number).unwrap() % 5],
        create_time,
    }
}

pub(crate) async fn r10_refused_attempts_are_read_as_written_listed_and_pruned(store: Arc<Store>) {
    let class = "organizations/hamilton/classes/bio-101";
    let rows = [
        refused(0, None),
        refused(1, Some("organizations/hamilton")),
        refused(2, Some(class)),
        refused(3, Some("organizations/jefferson")),
    ];
    let mut session = store.write().await.unwrap();
    session.insert_refused_attempts(&rows).await.unwrap();
    session.commit("test").await.unwrap();
    let mut session = store.write().await.unwrap();
    let newest_first: Vec<RefusedAttempt> = rows.iter().rev().cloned().collect();
    let everything = RefusedAttemptFilter::default();
    let listed = session.list_refused_attempts(&everything, None, 9).await;
    assert_eq!(listed.unwrap(), newest_first);
    let page = session.list_refused_attempts(&everything, Some(rows[3].id), 2);
    assert_eq!(page.await.unwrap(), newest_first[1..3]);
    let mut filter = RefusedAttemptFilter {
        organization: Some(organization("hamilton")),
        ..everything
    };
    let listed = session.list_refused_attempts(&filter, None, 9).await;
    assert_eq!(listed.unwrap(), newest_first[1..3]);
    filter.user = Some(UserId::parse("mia").unwrap());
    filter.reason = Some(ErrorReason::CodeNotUsable);
    filter.from = Some(rows[1].create_time);
    filter.till = Some(rows[2].create_time);
    let listed = session.list_refused_attempts(&filter, None, 9).await;
    assert_eq!(listed.unwrap(), [rows[1].clone()]);
    let before = rows[2].create_time;
    assert_eq!(session.prune_refused_attempts(before, 1).await.unwrap(), 1);
    assert_eq!(session.prune_refused_attempts(before, 9).await.unwrap(), 1);
    assert_eq!(session.prune_refused_attempts(before, 9).await.unwrap(), 0);
}

fn entry(number: u128, place: Option<&str>) -> AuditEntry {
    let create_time = now() + TimeDelta::milliseconds(i64::try_from(number).unwrap());
    AuditEntry {
        id: new_id_at(create_time, &SeededRandomness::new(1)),
        place: place.map(|place| Place::parse(place).unwrap()),
        actor: format!("actor-{number}"),
        calling_service: "lms ✓ \"'".to_owned(),
        method: "homeroom.invitations.v1.ClassCodeService/GetClassCode".to_owned(),
        subject: format!("{}/classCode", place.unwrap_or_default()),
        request_id: "call-7".to_owned(),
        create_time,
    }
}

pub(crate) async fn r12_audit_entries_are_read_as_written_listed_and_pruned(store: Arc<Store>) {
    let class = "organizations/hamilton/classes/bio-101";
    let rows = [
        entry(0, None),
        entry(1, Some("organizations/hamilton")),
        entry(2, Some(class)),
        entry(3, Some("organizations/jefferson/classes/bio-101")),
    ];
    let mut session = store.write().await.unwrap();
    session.append_audit_entries(&rows).await.unwrap();
    session.commit("test").await.unwrap();
    let mut session = store.write().await.unwrap();
    let newest_first: Vec<AuditEntry> = rows.iter().rev().cloned().collect();
    let place = |place: &str| AuditFilter {
        place: Some(Place::parse(place).unwrap()),
        ..AuditFilter::default()
    };
    for (filter, expected) in [
        (AuditFilter::default(), &newest_first[..]),
        (place("organizations/hamilton"), &newest_first[1..3]),
        (place(class), &newest_first[1..2]),
    ] {
        let listed = session.list_audit_entries(&filter, None, 9).await;
        assert_eq!(listed.unwrap(), expected);
        for narrowed in [
            AuditFilter {
                actor: Some("actor-2".to_owned()),
                ..filter.clone()
            },
            AuditFilter {
                subject: Some(format!("{class}/classCode")),
                ..filter.clone()
            },
            AuditFilter {
                method: Some(rows[0].method.clone()),
                from: Some(rows[2].create_time),
                till: Some(rows[3].create_time),
                ..filter.clone()
            },
        ] {
            let listed = session.list_audit_entries(&narrowed, None, 9).await;
            assert_eq!(listed.unwrap(), newest_first[1..2]);
        }
    }
    let everything = AuditFilter::default();
    let page = session.list_audit_entries(&everything, Some(rows[3].id), 2);
    assert_eq!(page.await.unwrap(), newest_first[1..3]);
    let before = rows[2].create_time;
    assert_eq!(session.prune_audit_entries(before, 1).await.unwrap(), 1);
    assert_eq!(session.prune_audit_entries(before, 9).await.unwrap(), 1);
    assert_eq!(session.prune_audit_entries(before, 9).await.unwrap(), 0);
}
