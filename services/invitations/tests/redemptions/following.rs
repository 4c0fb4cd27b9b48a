//! Membership's feed, the sweep, and the redemptions that they settle.

use chrono::TimeDelta;
use homeroom_api::{common::v1::Event, membership::v1::join_request::State};
use homeroom_invitations::{
    domain::{invitation::Uses, redemption::RedemptionState},
    redemption::follow::{Followed, MEMBERSHIP_FEED},
};
use uuid::Uuid;

use crate::{
    fake_membership::Mode,
    world::{CLASS_CODE, CODE, World, redeem_in_vain, uses},
};

/// Follows the feed, and checks how many events were read, settled something and were skipped.
async fn assert_followed(world: &World, [events, settled, skipped]: [usize; 3]) {
    let expected = Followed {
        events,
        settled,
        skipped,
    };
    assert_eq!(world.follow().await, expected);
}

async fn with_queued(names: &[&str]) -> (World, Uuid) {
    let world = World::new().await;
    let code = world.locked_class_code().await;
    for name in names {
        world.redeem(name, CLASS_CODE, "").await.unwrap();
        world.advance(TimeDelta::milliseconds(1));
    }
    (world, code)
}

#[tokio::test]
async fn p5_an_approval_commits_and_every_other_end_releases() {
    for (end, state, used) in [
        (State::Approved, RedemptionState::Committed, 1),
        (State::Denied, RedemptionState::Released, 0),
        (State::Withdrawn, RedemptionState::Released, 0),
        (State::Expired, RedemptionState::Released, 0),
        (State::Closed, RedemptionState::Released, 0),
    ] {
        let (world, code) = with_queued(&["ann"]).await;
        world.membership.end_request("ann", end);
        assert_followed(&world, [1, 1, 0]).await;
        assert_eq!(world.states().await, [state], "{end:?}");
        assert_eq!(world.uses(code).await, uses(used, 0, 0));
        assert_followed(&world, [0, 0, 0]).await;
    }
}

#[tokio::test]
async fn p5_the_feed_settles_what_is_still_reserved() {
    let world = World::new().await;
    let code = world.locked_class_code().await;
    redeem_in_vain(&world, Mode::LosesAnswers, "ann", CLASS_CODE, "").await;
    world.membership.end_request("ann", State::Approved);
    world.follow().await;
    assert_eq!(world.states().await, [RedemptionState::Committed]);
    // T2's answer arrives later, and overwrites nothing.
    world.advance(TimeDelta::seconds(5));
    world.recover().await;
    assert_eq!(world.states().await, [RedemptionState::Committed]);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p5_p8_another_invitation_that_admits_releases_the_waiting_one() {
    let (world, code) = with_queued(&["ann"]).await;
    let other = world.code(None).await;
    world.advance(TimeDelta::milliseconds(1));
    world.redeem("ann", CODE, "").await.unwrap();
    world.follow().await;
    let states = [RedemptionState::Released, RedemptionState::Committed];
    assert_eq!(world.states().await, states);
    assert_eq!(world.uses(code).await, Uses::default());
    assert_eq!(world.uses(other).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p5_a_poisoned_event_is_recorded_and_blocks_nothing() {
    let (world, _) = with_queued(&["ann", "bob"]).await;
    world.membership.end_request("ann", State::Denied);
    for (id, data) in [
        ("bad-1", None),
        ("bad-2", Some("organizations/x/redemptions/y")),
    ] {
        let data = data.map(|name| ("redemption".to_owned(), name.to_owned()));
        let event = Event {
            id: id.to_owned(),
            r#type: "join_request.denied".to_owned(),
            data: data.into_iter().collect(),
            ..Event::default()
        };
        world.membership.state().events.push(event);
    }
    world.membership.end_request("bob", State::Approved);
    assert_followed(&world, [4, 2, 2]).await;
    let mut repository = world.app.store.read().await.unwrap();
    let skipped = repository.count_skipped_events(MEMBERSHIP_FEED).await;
    assert_eq!(skipped.unwrap(), 2);
    let states = [RedemptionState::Released, RedemptionState::Committed];
    assert_eq!(world.states().await, states);
}

#[tokio::test]
async fn p5_unknown_redemptions_and_other_events_are_passed_over() {
    let (world, _) = with_queued(&[]).await;
    let unknown = "organizations/hamilton/redemptions/01900000-0000-7000-8000-000000000001";
    for kind in [
        "class.deleted",
        "organization.deleted",
        "member.joined",
        "join_request.closed",
    ] {
        world.membership.state().events.push(Event {
            r#type: kind.to_owned(),
            data: [("redemption".to_owned(), unknown.to_owned())].into(),
            ..Event::default()
        });
    }
    assert_followed(&world, [4, 0, 0]).await;
}

#[tokio::test]
async fn p5_the_feed_waits_while_membership_is_away() {
    let (world, _) = with_queued(&["ann"]).await;
    world.membership.end_request("ann", State::Approved);
    world.membership.set(Mode::Away);
    assert!(world.app.redemptions.follow_once().await.is_err());
    world.membership.set(Mode::Up);
    assert_eq!(world.follow().await.settled, 1);
}

#[tokio::test]
async fn p5_the_sweep_asks_about_old_queued_ones() {
    let (world, code) = with_queued(&["ann", "bob"]).await;
    world.membership.end_request("ann", State::Approved);
    world.membership.state().events.clear();
    assert_eq!(world.app.redemptions.sweep_once().await.unwrap(), 0);
    world.advance(TimeDelta::minutes(60));
    assert_eq!(world.app.redemptions.sweep_once().await.unwrap(), 2);
    let asked = world.membership.state().reads.clone();
    assert!(asked[0].is_some() && asked == [asked[0]; 2], "{asked:?}");
    let mut states = world.states().await;
    states.sort();
    let expected = [RedemptionState::Queued, RedemptionState::Committed];
    assert_eq!(states, expected);
    assert_eq!(world.uses(code).await, uses(1, 0, 1));
    assert_eq!(world.app.redemptions.sweep_once().await.unwrap(), 0);
}

#[tokio::test]
async fn p5_the_sweep_asks_again_soon_where_it_was_not_answered() {
    let (world, _) = with_queued(&["ann"]).await;
    world.advance(TimeDelta::minutes(60));
    world.membership.set(Mode::Away);
    assert_eq!(world.app.redemptions.sweep_once().await.unwrap(), 1);
    assert_eq!(world.states().await, [RedemptionState::Queued]);
    world.membership.set(Mode::Up);
    world.advance(TimeDelta::seconds(60));
    assert_eq!(world.app.redemptions.sweep_once().await.unwrap(), 1);
}
