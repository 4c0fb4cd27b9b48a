//! The store, checked for the same guarantees on both engines; every statement is prepared on both.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "support/databases.rs"]
mod databases;
#[path = "store/keys.rs"]
mod keys;
#[path = "store/logs.rs"]
mod logs;
#[path = "support/rows.rs"]
mod rows;

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use databases::{Database, on_both_engines};
use homeroom_api::names::Place;
use homeroom_invitations::{
    domain::invitation::InvitationFilter,
    domain::{
        domain_rule::DomainRule,
        invitation::{Epoch, InvitationKind, Standing},
        lock::{Lock, LockPeriod},
    },
    store::{self, Store},
};
use homeroom_kit::{
    email::EmailAddress,
    outbox::{NewEvent, Scope},
    random::SeededRandomness,
};
use logs::{
    r10_refused_attempts_are_read_as_written_listed_and_pruned,
    r12_audit_entries_are_read_as_written_listed_and_pruned,
};
use rows::{class, get, id, insert, now, organization, row, update};

async fn what_is_written_is_read(store: Arc<Store>) {
    let mut full = row(1, InvitationKind::ClassCode);
    full.invitation.valid_from = Some(now());
    full.invitation.valid_till = Some(now() + TimeDelta::days(1));
    full.invitation.max_uses = Some(1_000_000);
    full.invitation.assigned_email = Some(EmailAddress::parse("mia@hamilton.example").unwrap());
    full.invitation.external_id = Some("S-1".to_owned());
    full.invitation.email_domains = vec![DomainRule::parse("*.hamiltonschools.org").unwrap()];
    full.invitation.allow_rejoin = true;
    full.invitation.lock = Some(Lock::open(now(), LockPeriod::DEFAULT).locked(now()));
    "Mia ✓".clone_into(&mut full.display_name);
    full.strength_bits = 42;
    full.words = 3;
    let plain = row(2, InvitationKind::ClassToken);
    let both = [full.clone(), plain.clone()];
    assert_eq!(insert(&store, &both).await, [true, true]);
    assert_eq!(get(&store, full.invitation.id).await, Some(full));
    assert_eq!(get(&store, plain.invitation.id).await, Some(plain));
    assert_eq!(get(&store, id(9)).await, None);
}

async fn a_secret_is_only_once_there(store: Arc<Store>) {
    let first = row(1, InvitationKind::ClassToken);
    let mut same = row(2, InvitationKind::ClassToken);
    same.secret.clone_from(&first.secret);
    assert_eq!(insert(&store, &[first.clone(), same]).await, [true, false]);
    let other = row(3, InvitationKind::ClassToken);
    assert_eq!(insert(&store, std::slice::from_ref(&other)).await, [true]);

    let mut taking = other;
    taking.secret.clone_from(&first.secret);
    taking.revision += 1;
    assert!(!update(&store, &taking).await);

    let mut session = store.read().await.unwrap();
    let macs = [[9; 32], [1; 32]];
    let found = session.find_all_by_lookup_macs(&macs).await.unwrap();
    assert_eq!(found[0].invitation.id, id(1));
    let found = session.find_all_by_lookup_macs(&[[9; 32]]).await.unwrap();
    assert!(found.is_empty());
}

async fn a_singleton_is_only_once_there(store: Arc<Store>) {
    let rows = [
        row(1, InvitationKind::ClassCode),
        row(2, InvitationKind::ClassCode),
        row(3, InvitationKind::JoinUrl),
    ];
    assert_eq!(insert(&store, &rows).await, [true, false, true]);
    let mut session = store.read().await.unwrap();
    let kind = InvitationKind::ClassCode;
    let found = session.find_singleton(&class(), kind).await.unwrap();
    assert_eq!(found.unwrap().invitation.id, id(1));
    let elsewhere = Place::Organization(organization("hamilton"));
    let found = session.find_singleton(&elsewhere, kind).await.unwrap();
    assert_eq!(found, None);
}

async fn an_update_needs_the_revision_before(store: Arc<Store>) {
    let mut changed = row(1, InvitationKind::EnrollmentCode);
    insert(&store, std::slice::from_ref(&changed)).await;
    changed.revision = 2;
    "new".clone_into(&mut changed.display_name);
    changed.enabled = false;
    changed.invitation.standing = Standing::Off;
    changed.secret = None;
    assert!(update(&store, &changed).await);
    let again = update(&store, &changed).await;
    assert!(!again, "the stored revision is 2 now");
    assert_eq!(get(&store, id(1)).await, Some(changed.clone()));

    changed.revision = 3;
    changed.delete_time = Some(now());
    changed.invitation.standing = Standing::Revoked;
    assert!(update(&store, &changed).await);
    let mut session = store.read().await.unwrap();
    let (place, kind) = (class(), InvitationKind::EnrollmentCode);
    let all = InvitationFilter::default();
    let listed = session.list_invitations(&place, kind, &all, None, 10);
    assert_eq!(listed.await.unwrap(), [], "deleted ones are left out");
}

async fn p7_a_fence_is_pending_until_it_is_confirmed(store: Arc<Store>) {
    let mut raised = row(1, InvitationKind::ClassCode);
    insert(&store, std::slice::from_ref(&raised)).await;
    let pending = async |after| {
        let mut session = store.read().await.unwrap();
        let rows = session.list_pending_fences(after, 10).await.unwrap();
        let ids = rows.into_iter().map(|row| row.invitation.id);
        ids.collect::<Vec<_>>()
    };
    assert!(pending(None).await.is_empty());
    raised.revision = 2;
    raised.invitation.epoch = Epoch::new(2);
    assert!(update(&store, &raised).await);
    assert_eq!(pending(None).await, [id(1)]);
    assert!(pending(Some(id(1))).await.is_empty());

    for epoch in [2, 1] {
        let mut session = store.write().await.unwrap();
        let confirmed = session.confirm_fence(id(1), Epoch::new(epoch)).await;
        confirmed.unwrap();
        session.commit("test").await.unwrap();
    }
    let stored = get(&store, id(1)).await.unwrap();
    assert_eq!(stored.fence_epoch, Epoch::new(2), "never lowered");
    assert!(pending(None).await.is_empty());
}

async fn r11_events_of_an_organization_stand_in_the_order_of_its_changes(store: Arc<Store>) {
    let mut writers = Vec::new();
    for writer in 0..8 {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            let random = SeededRandomness::new(writer);
            let mut session = store.write().await.unwrap();
            let hamilton = [organization("hamilton")];
            session.lock_organizations(&hamilton, now()).await.unwrap();
            for part in ["first", "second"] {
                let event = NewEvent {
                    event_type: "class_code.updated".into(),
                    organization: organization("hamilton"),
                    class: None,
                    subject: format!("{writer} {part}"),
                    actor: "staff".to_owned(),
                    notify: Vec::new(),
                    data: BTreeMap::new(),
                };
                let appended = session.outbox().append(&[event], now(), &random).await;
                appended.unwrap();
                tokio::task::yield_now().await;
            }
            session.commit("test").await.unwrap();
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let events = store.events(&Scope::Everything, 0, 100).await.unwrap();
    assert_eq!(events.len(), 16);
    for pair in events.chunks(2) {
        let (writer, _) = pair[0].subject.split_once(' ').unwrap();
        assert_eq!(pair[0].subject, format!("{writer} first"));
        assert_eq!(pair[1].subject, format!("{writer} second"));
    }
}

on_both_engines!(
    what_is_written_is_read,
    a_secret_is_only_once_there,
    a_singleton_is_only_once_there,
    an_update_needs_the_revision_before,
    p7_a_fence_is_pending_until_it_is_confirmed,
    r11_events_of_an_organization_stand_in_the_order_of_its_changes,
    r10_refused_attempts_are_read_as_written_listed_and_pruned,
    r12_audit_entries_are_read_as_written_listed_and_pruned,
);

#[tokio::test]
async fn every_statement_can_be_prepared() {
    for database in [Database::sqlite().await, Database::postgres().await] {
        database.assert_prepares(store::statements).await;
    }
}
