//! What is past its retention goes, and what a promise rests on stays (F9).

use std::time::Duration;

use chrono::TimeDelta;
use homeroom_api::{
    invitations::v1::{
        GetRedemptionRequest, redemption::State as Shown,
        redemption_service_server::RedemptionService as _,
    },
    membership::v1::join_request::State,
};
use homeroom_invitations::{
    app::{
        retention::{REDEMPTIONS_DAYS_MIN, Retention},
        workers::{Pauses, retain, start},
    },
    domain::redemption::{Outcome, RedemptionState},
    grpc::redemption_service::RedemptionHandlers,
    redemption::{
        follow::{Followed, MEMBERSHIP_FEED},
        ledger::Redemption,
    },
};
use homeroom_kit::{
    Clock as _,
    auth::Scope,
    outbox::{self, Pruned},
    retention::RETENTION_EVENTS_DAYS_MIN,
    shutdown::Shutdown,
};

use crate::{
    fake_membership::Mode,
    world::{CLASS_CODE, CODE, World, assert_outcome, by, caller, list_redemptions, user, uses},
};

/// Redeems as a person of whom everything is told.
async fn redeem_known(world: &World, name: &str) {
    let mut attempt = world.attempt(name, CODE, "");
    attempt.person.display_name = format!("{name} Lovelace");
    attempt.person.email = format!("{name}@hamilton.example");
    attempt.person.external_id = format!("S-{name}");
    // Membership may be away.
    drop(world.redeem_by(attempt).await);
}

fn nameless(redemption: &Redemption) -> Redemption {
    let mut nameless = redemption.clone();
    nameless.person.display_name = String::new();
    nameless.person.email = String::new();
    nameless.person.external_id = String::new();
    nameless
}

/// Forgets once what is past the shortest retention. Returns true if there may be more.
async fn forget(world: &World) -> bool {
    let forgotten = world.app.forget_persons_once(REDEMPTIONS_DAYS_MIN).await;
    forgotten.unwrap()
}

#[tokio::test]
async fn p1_p4_r6_f9_an_old_redemption_loses_who_it_was_and_keeps_what_came_of_it() {
    for world in [World::new().await, World::on_postgres().await] {
        // Given people who came in, one of them a day later, and one of whom membership has not heard,
        let code = world.code(Some(9)).await;
        redeem_known(&world, "ann").await;
        world.membership.set(Mode::Away);
        world.advance(TimeDelta::milliseconds(1));
        redeem_known(&world, "cid").await;
        world.membership.set(Mode::Up);
        world.advance(TimeDelta::days(1) - TimeDelta::milliseconds(1));
        redeem_known(&world, "bob").await;
        let before = world.redemptions().await;
        let of = |all: &[Redemption], name: &str| {
            let one = all.iter().find(|one| one.person.user == user(name));
            one.unwrap().clone()
        };
        world.advance(TimeDelta::days(i64::from(REDEMPTIONS_DAYS_MIN) - 1));
        forget(&world).await;
        assert_eq!(world.redemptions().await, before);

        // when the first are older than redemptions keep their particulars,
        world.advance(TimeDelta::milliseconds(2));
        assert!(!forget(&world).await);

        // then the one that has ended has no particulars any more, and all else,
        let after = world.redemptions().await;
        assert_eq!(of(&after, "ann"), nameless(&of(&before, "ann")));
        assert_eq!(of(&after, "cid"), of(&before, "cid"));
        assert_eq!(of(&after, "bob"), of(&before, "bob"));
        assert_eq!(world.uses(code).await, uses(2, 1, 0));
        // it is read and listed as before,
        let name = of(&after, "ann").name().to_string();
        let handlers = RedemptionHandlers::new(world.app.clone());
        let read = handlers.get_redemption(by("ann", GetRedemptionRequest { name }));
        assert_eq!(read.await.unwrap().into_inner().state(), Shown::Committed);
        let listed = list_redemptions(&world, "user = ann", "").await.unwrap();
        assert_eq!(listed.len(), 1);
        // its person spends no second use,
        assert_outcome(&world, "ann", CODE, "", Outcome::AlreadyMember).await;
        assert_eq!(world.uses(code).await.used, 2);
        // and the one of whom membership had not heard is told to it by name.
        assert_eq!(world.recover().await.settled, 1);
        let cid = of(&world.redemptions().await, "cid");
        assert_eq!(cid.state, RedemptionState::Committed);
        assert_eq!(cid.person.display_name, "cid Lovelace");
        // From then on it is forgotten too.
        assert!(!forget(&world).await);
        let after = world.redemptions().await;
        assert_eq!(of(&after, "cid"), nameless(&cid));
        assert_eq!(of(&after, "bob"), of(&before, "bob"));
    }
}

#[tokio::test]
async fn f9_particulars_go_in_small_steps_each_of_which_continues_where_the_last_ended() {
    for world in [World::new().await, World::on_postgres().await] {
        world.code(None).await;
        for name in ["ann", "bob", "cid"] {
            redeem_known(&world, name).await;
            world.advance(TimeDelta::milliseconds(1));
        }
        let step = async || {
            let mut repository = world.app.store.write().await.unwrap();
            let passed = repository.forget_persons(world.clock.now(), 2).await;
            repository.commit("test").await.unwrap();
            passed.unwrap()
        };
        assert_eq!([step().await, step().await, step().await], [2, 1, 0]);
        let all = world.redemptions().await;
        assert!(all.iter().all(|one| *one == nameless(one)), "{all:?}");
    }
}

/// SQLite has one writer, so nobody is in the way there.
#[tokio::test]
async fn f9_forgetting_waits_for_nobody_and_passes_nobody_over() {
    let world = World::on_postgres().await;
    world.code(None).await;
    for name in ["ann", "bob"] {
        redeem_known(&world, name).await;
        world.advance(TimeDelta::milliseconds(1));
    }
    let step = async || {
        let mut repository = world.app.store.write().await.unwrap();
        let passed = repository.forget_persons(world.clock.now(), 9).await;
        repository.commit("test").await.unwrap();
        passed.unwrap()
    };
    // Given a transaction that has locked the second,
    let second = world.redemptions().await[1].id;
    let mut settling = world.app.store.write().await.unwrap();
    let handed = settling.hand_uses(&[second], false).await;
    assert!(handed.unwrap());
    // then the step ends before it, and a later one goes on with it.
    assert_eq!(step().await, 1);
    settling.rollback().await;
    assert_eq!(step().await, 1);
    let all = world.redemptions().await;
    assert!(all.iter().all(|one| *one == nameless(one)), "{all:?}");
}

#[tokio::test]
async fn r13_f9_a_person_whose_redemptions_lost_their_particulars_can_be_erased() {
    let world = World::new().await;
    world.code(None).await;
    redeem_known(&world, "ann").await;
    world.advance(TimeDelta::days(i64::from(REDEMPTIONS_DAYS_MIN) + 1));
    forget(&world).await;
    let platform = caller("platform").with_scopes([Scope::Platform]);
    let erased = world
        .app
        .replace_user(&platform, (user("ann"), None), None)
        .await;
    erased.unwrap();
    let [one] = &world.redemptions().await[..] else {
        panic!("there is one redemption");
    };
    let pseudonyms = world.membership.state().erasures.clone();
    assert_eq!(pseudonyms, [one.person.user.to_string()]);
    assert_eq!(one.state, RedemptionState::Committed);
}

#[tokio::test]
async fn p5_f9_a_follower_whose_events_were_deleted_says_so_and_goes_on_from_the_oldest() {
    let world = World::new().await;
    world.locked_class_code().await;
    for name in ["ann", "bob"] {
        world.redeem(name, CLASS_CODE, "").await.unwrap();
        world.advance(TimeDelta::milliseconds(1));
    }
    world.follow().await;
    // Given an end that was deleted before it was followed, and one that is kept,
    world.membership.end_request("ann", State::Approved);
    world.membership.state().pruned = 1;
    world.membership.end_request("bob", State::Denied);

    // then the follower records that it missed something, once,
    let told = Followed {
        skipped: 1,
        ..Followed::default()
    };
    assert_eq!(world.follow().await, told);
    let mut repository = world.app.store.read().await.unwrap();
    let skipped = repository.count_skipped_events(MEMBERSHIP_FEED).await;
    assert_eq!(skipped.unwrap(), 1);
    repository.release();
    // goes on with the oldest event that is kept,
    let followed = world.follow().await;
    assert_eq!((followed.events, followed.settled), (1, 1));
    assert_eq!(world.follow().await, Followed::default());
    // and the sweep settles what was missed.
    world.advance(TimeDelta::minutes(75));
    world.app.redemptions.sweep_once().await.unwrap();
    let states = [RedemptionState::Committed, RedemptionState::Released];
    assert_eq!(world.states().await, states);
}

#[tokio::test]
async fn p5_a_follower_ahead_of_a_restored_membership_follows_its_feed_again() {
    let world = World::new().await;
    world.locked_class_code().await;
    for name in ["ann", "bob"] {
        world.redeem(name, CLASS_CODE, "").await.unwrap();
        world.advance(TimeDelta::milliseconds(1));
    }
    // Given a follower that has followed an event which the restored database does not have,
    world.membership.end_request("ann", State::Approved);
    assert_eq!(world.follow().await.settled, 1);
    world.membership.state().events.clear();
    // when it follows, then it has skipped nothing,
    assert_eq!(world.follow().await, Followed::default());
    // and the event that gets the same position is followed.
    world.membership.end_request("bob", State::Denied);
    assert_eq!(world.follow().await.settled, 1);
    let states = [RedemptionState::Committed, RedemptionState::Released];
    assert_eq!(world.states().await, states);
}

#[tokio::test]
async fn f9_the_logs_are_kept_for_as_long_as_is_set() {
    let world = World::new().await;
    world.redeem("ann", CODE, "").await.unwrap_err();
    let retention = Retention {
        refused_attempts_days: 1,
        ..Retention::default()
    };
    let prune = async || world.app.prune_logs_once(&retention).await.unwrap();
    world.advance(TimeDelta::days(1));
    assert_eq!(prune().await, 0);
    world.advance(TimeDelta::milliseconds(1));
    assert_eq!(prune().await, 1);
}

#[tokio::test]
async fn f9_the_workers_delete_what_the_settings_say_and_keep_the_rest_for_ever() {
    let world = World::new().await;
    world.code(None).await;
    redeem_known(&world, "ann").await;
    let days = REDEMPTIONS_DAYS_MIN.max(RETENTION_EVENTS_DAYS_MIN);
    world.advance(TimeDelta::days(i64::from(days) + 1));
    redeem_known(&world, "bob").await;
    let pauses = Pauses {
        prune: Duration::from_millis(2),
        ..Pauses::default()
    };
    let everything = outbox::Scope::Everything;
    let pruned = async || world.app.store.pruned_events(&everything).await.unwrap();
    let is_done = async || {
        let first = &world.redemptions().await[0];
        matches!(pruned().await, Some(Pruned { .. })) && *first == nameless(first)
    };
    for set in [false, true] {
        let shutdown = Shutdown::new();
        let mut workers = start(&world.app, pauses, &shutdown);
        let retention = Retention {
            redemptions_days: set.then_some(REDEMPTIONS_DAYS_MIN),
            refused_attempts_days: 1,
            ..Retention::default()
        };
        let events_days = set.then_some(RETENTION_EVENTS_DAYS_MIN);
        world
            .redeem("ann", "HAMILTON-WRONG1", "")
            .await
            .unwrap_err();
        assert_eq!(world.refused_attempts().await.len(), 1);
        world.advance(TimeDelta::days(2));
        retain(&mut workers, pauses.prune, retention);
        workers.prune_events(pauses.prune, events_days, &world.app.clock);
        let over = async {
            while !world.refused_attempts().await.is_empty() || (set && !is_done().await) {
                tokio::task::yield_now().await;
            }
        };
        let patience = Duration::from_mins(1);
        tokio::time::timeout(patience, over).await.unwrap();
        shutdown.begin();
        workers.ended().await;
        assert_eq!(is_done().await, set);
    }
    let last = &world.redemptions().await[1];
    assert_eq!(last.person.display_name, "bob Lovelace");
}
