//! The order in which transactions take their locks, and their behavior when they meet (P6, P11), tested on PostgreSQL,
//! since SQLite writes one transaction after the other.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::future::BoxFuture;
use homeroom_api::{common::v1::ErrorReason, ids::OrganizationId, names::OrganizationName};
use homeroom_kit::{
    database::{Error, Options, connect_postgres},
    rpc::Patch,
};
use homeroom_membership::{
    app::{classes, organizations},
    domain::{admission::Outcome, organization::OrganizationFields},
    store::{self, Effects, Locks, Store, StoredAdmission},
};

use crate::{
    harness::{ADMINISTRATOR, CO_TEACHER, School, caller, class, class_name, organization, reason},
    support::Database,
};

/// Opens a store whose sessions do not wait for locks.
async fn impatient(database: &Database) -> Arc<Store> {
    let options = Options {
        lock_timeout: Duration::from_millis(100),
        ..Options::default()
    };
    store::open(&database.url, options, false).await.unwrap()
}

/// Returns true if nobody holds the organization's lock.
async fn is_free(store: &Arc<Store>, id: &OrganizationId) -> bool {
    let mut session = store.write().await.unwrap();
    let locked = session.lock_organization(id).await;
    assert!(
        matches!(locked, Ok(_) | Err(Error::Unavailable(_))),
        "{locked:?}"
    );
    locked.is_ok()
}

#[tokio::test]
async fn p6_an_admission_shares_its_fence_before_it_locks_its_organization() {
    let database = Database::postgres().await;
    let school = Arc::new(School::on(&database).await);
    let redemption = school.redemption("eve");
    // Given a fence that is being raised
    let mut raising = school.app.store.write().await.unwrap();
    let raised = raising.raise_fence(&redemption.invitation, 1, school.now());
    assert_eq!(raised.await.unwrap(), 1);
    let admitting = school.admitting(redemption);
    // When an admission waits for it, then it holds nothing else.
    database.until_a_session_waits().await;
    let others = impatient(&database).await;
    assert!(is_free(&others, organization().organization()).await);
    // And it is decided by the fence that it waited for.
    raising.commit("test").await.unwrap();
    assert_eq!(admitting.await.unwrap(), Outcome::StaleEpoch);
    school.assert_counts(0, 0).await;
}

#[tokio::test]
async fn p6_who_may_not_change_an_organization_does_not_wait_for_its_lock() {
    let database = Database::postgres().await;
    let school = School::on(&database).await;
    let id = organization().organization().clone();
    // Given somebody who holds the organization's lock
    let mut holder = school.app.store.write().await.unwrap();
    holder.lock_organization(&id).await.unwrap();
    // When others try to rename it without the right to, then they are refused at once.
    for (user, refusal) in [
        ("eve", ErrorReason::OrganizationNotFound),
        (CO_TEACHER, ErrorReason::RoleRequired),
    ] {
        let id = OrganizationName(id.clone());
        let caller = caller(user);
        let rename = school.change(&caller, |change| {
            Box::pin(async move {
                let fields = OrganizationFields {
                    display_name: Patch::Set("Mine".to_owned()),
                    ..OrganizationFields::default()
                };
                let renamed = organizations::update(change, id, (fields, None, String::new()));
                renamed.await.map(drop)
            })
        });
        assert_eq!(reason(rename.await), refusal, "{user}");
    }
    holder.rollback().await;
}

#[tokio::test]
async fn p6_what_waited_for_a_lock_is_dated_after_what_went_first() {
    let database = Database::postgres().await;
    let school = Arc::new(School::on(&database).await);
    school.make_fence().await;
    let (waiting, redemption) = (school.queue("bob").await.name(), school.redemption("eve"));
    let [decide, admit, archive] = [0; 3].map(|_| Arc::clone(&school));
    let changes: [BoxFuture<'static, ()>; 3] = [
        Box::pin(async move { decide.approve(ADMINISTRATOR, &waiting).await.unwrap() }),
        Box::pin(async move { drop(admit.admit(&redemption).await) }),
        Box::pin(async move {
            let by = caller(ADMINISTRATOR);
            let archived = archive.change(&by, |change| {
                Box::pin(async move {
                    let archived = classes::archive(change, class_name(), String::new());
                    archived.await.map(drop)
                })
            });
            archived.await.unwrap();
        }),
    ];
    for change in changes {
        // Given somebody who holds the organization's lock
        let mut holder = school.app.store.write().await.unwrap();
        let locked = holder
            .lock_organization(organization().organization())
            .await;
        locked.unwrap();
        // When another change waits for it while time passes
        let changing = tokio::spawn(change);
        database.until_a_session_waits().await;
        school.advance(TimeDelta::minutes(1));
        holder.rollback().await;
        changing.await.unwrap();
        // Then it has the time at which it went on.
        let events = school.events().await;
        assert_eq!(events.last().unwrap().create_time, school.now());
    }
}

#[tokio::test]
async fn p6_organizations_are_locked_in_the_order_of_their_ids() {
    let database = Database::postgres().await;
    let school = School::on(&database).await;
    let ids = ["school-a", "school-b", "school-c"];
    for id in ids {
        school.found(&format!("organizations/{id}"), 0).await;
    }
    let ids = ids.map(|id| OrganizationId::parse(id).unwrap());
    // Given somebody who holds the second
    let mut holder = school.app.store.write().await.unwrap();
    holder.lock_organization(&ids[1]).await.unwrap();
    // When all three are wanted
    let store = Arc::clone(&school.app.store);
    let wanted = BTreeSet::from(ids.clone());
    let locking = tokio::spawn(async move {
        let mut session = store.write().await.unwrap();
        session.lock_organizations(&wanted).await.unwrap();
    });
    database.until_a_session_waits().await;
    // Then the first is locked while the third is not.
    let others = impatient(&database).await;
    assert!(!is_free(&others, &ids[0]).await);
    assert!(is_free(&others, &ids[2]).await);
    holder.rollback().await;
    locking.await.unwrap();
}

#[tokio::test]
async fn p6_fences_are_shared_in_the_order_of_their_names() {
    let database = Database::postgres().await;
    let school = School::on(&database).await;
    let names = ["classCode", "inviteToken", "joinUrl"].map(|name| format!("{}/{name}", class()));
    for name in &names {
        school.app.raise_fence(name.clone(), 0).await.unwrap();
    }
    let now = school.now();
    // Given the second being raised
    let mut raising = school.app.store.write().await.unwrap();
    raising.raise_fence(&names[1], 1, now).await.unwrap();
    // When all three are shared
    let store = Arc::clone(&school.app.store);
    let wanted = BTreeSet::from(names.clone());
    let mut waited_for = school.redemption("eve");
    waited_for.invitation.clone_from(&names[1]);
    let sharing = tokio::spawn(async move {
        let mut session = store.write().await.unwrap();
        let no_organization = BTreeSet::new();
        let locked = session.lock(&wanted, &no_organization, Locks::All, now);
        assert_eq!(locked.await.unwrap().fences, wanted);
        session.facts(&[waited_for.wanted()]).await.unwrap().fences
    });
    database.until_a_session_waits().await;
    // Then the first cannot be raised while the third can.
    let others = impatient(&database).await;
    for (name, free) in [(&names[0], false), (&names[2], true)] {
        let mut session = others.write().await.unwrap();
        let raised = session.raise_fence(name, 1, now).await;
        assert_eq!(raised.is_ok(), free, "{name}");
        session.rollback().await;
    }
    // And the value after the wait is read, not the one before.
    raising.commit("test").await.unwrap();
    assert_eq!(sharing.await.unwrap()[&names[1]], 1);
}

#[tokio::test]
async fn p11_an_admission_whose_key_is_taken_meanwhile_undoes_itself_and_gives_that_answer() {
    let database = Database::postgres().await;
    let school = Arc::new(School::with_seats(&database, 1).await);
    school.make_fence().await;
    let redemption = school.redemption("eve");
    // Given another transaction that answers the redemption and has not committed
    let mut rival = school.app.store.write().await.unwrap();
    let answered = StoredAdmission {
        redemption: redemption.redemption.id,
        place: redemption.place.clone(),
        user: redemption.user.clone(),
        invitation: redemption.invitation.clone(),
        epoch: 0,
        outcome: Outcome::AlreadyMember,
        join_request: None,
        create_time: school.now(),
    };
    let effects = Effects {
        admissions: vec![answered],
        ..Effects::default()
    };
    rival.save(&effects).await.unwrap();
    // When the redemption is admitted beside it
    let admitting = school.admitting(redemption);
    database.until_a_session_waits().await;
    rival.commit("test").await.unwrap();
    // Then it returns the answer that was there first, and none of its own changes are kept.
    assert_eq!(admitting.await.unwrap(), Outcome::AlreadyMember);
    assert!(school.member(&organization(), "eve").await.is_none());
    assert!(school.member(&class(), "eve").await.is_none());
    assert_eq!(school.events().await, []);
    school.assert_counts(0, 0).await;
}

#[tokio::test]
async fn p6_a_transaction_that_writes_is_read_committed_whatever_the_database_prefers() {
    let database = Database::postgres().await;
    // Connections made from now on default to another isolation level.
    let prefer = "DO $$ BEGIN EXECUTE format( \
         'ALTER DATABASE %I SET default_transaction_isolation = serializable', \
         current_database()); END $$";
    database.run(prefer).await;
    let level = "SHOW transaction_isolation";
    assert_eq!(database.select::<String>(level).await, ["serializable"]);
    let pools = connect_postgres(&database.url, Options::default()).await;
    let pools = pools.unwrap();
    let mut session = pools.write().await.unwrap();
    let written = sqlx::query_scalar::<_, String>(level).fetch_one(session.connection());
    assert_eq!(written.await.unwrap(), "read committed");
}
