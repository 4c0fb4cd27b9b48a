//! Attempts that meet a live redemption of the same person (P2).

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::User, invitations::v1::RedeemRequest, membership::v1::join_request::State,
};
use homeroom_invitations::{
    domain::redemption::{Outcome, RedemptionState},
    redemption::request::Attempt,
    store::InvitationRow,
};
use homeroom_kit::auth::Scope;

use crate::{
    fake_membership::Mode,
    world::{
        CLASS, CLASS_CODE, CODE, REQUEST, World, assert_outcome, caller, person, platform,
        public_url, redeem_in_vain,
    },
};

async fn a_request_id_that_met_one_that_is_over_names_the_new_one(world: &World) {
    world.locked_class_code().await;
    let first = world.redeem("ann", CLASS_CODE, "").await.unwrap();
    // The feed is late: the redemption still stands as queued.
    world.membership.end_request("ann", State::Denied);
    world.advance(TimeDelta::milliseconds(1));
    let second = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_ne!(first.redemption, second.redemption);
    assert_eq!(second.outcome, Outcome::PendingApproval);
    assert_eq!(world.membership.state().waiting(), ["ann"]);
    assert_eq!(
        world.states().await,
        [RedemptionState::Released, RedemptionState::Queued]
    );
    let replayed = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(replayed.redemption, second.redemption);
    assert_eq!(world.redemptions().await.len(), 2);
}

#[tokio::test]
async fn p2_p9_a_request_id_that_met_one_that_is_over_names_the_new_one() {
    for world in [World::new().await, World::on_postgres().await] {
        a_request_id_that_met_one_that_is_over_names_the_new_one(&world).await;
    }
}

#[tokio::test]
async fn p2_who_was_approved_meanwhile_is_a_member_already() {
    let world = World::new().await;
    world.locked_class_code().await;
    world.redeem("ann", CLASS_CODE, "").await.unwrap();
    world.membership.end_request("ann", State::Approved);
    world.advance(TimeDelta::milliseconds(1));
    let second = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(second.outcome, Outcome::AlreadyMember);
    let replayed = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(replayed, second);
}

#[tokio::test]
async fn r2_who_was_let_in_is_a_member_already_also_before_the_redemption_is_settled() {
    let world = World::new().await;
    let code = world.class_code().await;
    // Given a person whom membership has let in, and an answer that got lost: the redemption stays reserved.
    redeem_in_vain(&world, Mode::LosesAnswers, "ann", CLASS_CODE, "").await;
    assert_eq!(world.states().await, [RedemptionState::Reserved]);
    // When the person tries again, the answer does not depend on who settles it first.
    world.advance(TimeDelta::milliseconds(1));
    let again = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyMember);
    let replayed = world.redeem("ann", CLASS_CODE, REQUEST).await;
    assert_eq!(replayed.unwrap(), again);
    let states = [RedemptionState::Committed, RedemptionState::Released];
    assert_eq!(world.states().await, states);
    assert_eq!(world.uses(code).await.used, 1);
}

#[tokio::test]
async fn p2_what_a_met_one_was_told_before_is_no_answer_to_who_asks_now() {
    let world = World::new().await;
    world.class_code().await;
    // Given a person who was a member already, whose answer got lost, and who was removed since.
    let ann = (CLASS.to_owned(), "ann".to_owned());
    world.membership.state().members.insert(ann.clone());
    redeem_in_vain(&world, Mode::LosesAnswers, "ann", CLASS_CODE, "").await;
    world.membership.state().members.remove(&ann);
    world.advance(TimeDelta::milliseconds(1));
    assert_outcome(&world, "ann", CLASS_CODE, REQUEST, Outcome::Admitted).await;
    assert!(world.membership.state().members.contains(&ann));
}

/// Sends one request id eight times at once for a person whose redemption is under way.
async fn a_request_id_that_attaches_at_once_has_one_answer(world: &World, mode: Mode) {
    world.class_code().await;
    redeem_in_vain(world, mode, "ann", CLASS_CODE, "").await;
    let sent = (0..8).map(|_| {
        let attempt = world.attempt("ann", CLASS_CODE, REQUEST);
        world.app.redemptions.redeem_many(vec![attempt])
    });
    let answers = futures::future::join_all(sent).await;
    world.quiet().await;
    let again = world.redeem("ann", CLASS_CODE, REQUEST).await;
    let answers = answers.into_iter().flatten();
    let mut told = answers.chain([again]).map(|answer| {
        let answer = answer.unwrap();
        (answer.redemption, answer.outcome)
    });
    let first = told.next().unwrap();
    assert!(told.all(|again| again == first));
}

#[tokio::test]
async fn p9_a_request_id_that_attaches_eight_times_at_once_has_one_answer() {
    for mode in [Mode::Away, Mode::LosesAnswers] {
        for world in [World::new().await, World::on_postgres().await] {
            a_request_id_that_attaches_at_once_has_one_answer(&world, mode).await;
        }
    }
}

#[tokio::test]
async fn p2_who_meets_a_redemption_that_was_refused_is_decided_again() {
    let world = World::new().await;
    world.class_code().await;
    // Given a full organization, and a refusal that got lost: the redemption stays reserved.
    world.membership.state().seats = Some(0);
    redeem_in_vain(&world, Mode::LosesAnswers, "ann", CLASS_CODE, "").await;
    assert_eq!(world.states().await, [RedemptionState::Reserved]);
    // When a seat becomes free and the person tries again, the old refusal is not the answer.
    world.membership.state().seats = Some(1);
    world.advance(TimeDelta::milliseconds(1));
    let again = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(again.outcome, Outcome::Admitted);
    let replayed = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(replayed.redemption, again.redemption);
}

#[tokio::test]
async fn u14_who_meets_a_living_redemption_tells_membership_what_is_said_of_them_now() {
    let world = World::new().await;
    world.locked_class_code().await;
    let mut ann = caller("ann");
    for name in ["Ann", "Anna"] {
        ann.display_name = Some(name.to_owned());
        let attempt = world.attempt_of(&ann, CLASS_CODE, "");
        let redeemed = world.redeem_by(attempt).await.unwrap();
        assert_eq!(redeemed.outcome, Outcome::PendingApproval);
        world.advance(TimeDelta::seconds(1));
    }
    let heard = world.membership.state().heard.clone();
    let said = heard.iter().map(|request| {
        let user = request.user.as_ref().unwrap();
        (user.display_name.as_str(), request.vouch_time.unwrap())
    });
    let [(first, before), (second, after)]: [_; 2] = said.collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((first, second), ("Ann", "Anna"));
    assert_eq!(after.seconds, before.seconds + 1);
    assert_eq!(heard[0].redemption, heard[1].redemption);
    // The redemption itself stays as it was.
    let [redemption]: [_; 1] = world.redemptions().await.try_into().unwrap();
    assert_eq!(redemption.person.display_name, "Ann");
}

#[tokio::test]
async fn u14_recovery_tells_what_was_said_when_the_redemption_began() {
    let world = World::new().await;
    world.code(None).await;
    let acts = caller("portal").with_scopes([Scope::ActAs]);
    for (name, portal, vouches) in [("ann", platform(), true), ("bob", acts, false)] {
        let request = RedeemRequest {
            credential: CODE.to_owned(),
            user: Some(User {
                display_name: "Somebody".to_owned(),
                ..person(name)
            }),
            ..RedeemRequest::default()
        };
        let attempt = Attempt::of_redeem(&portal, &request, "", &public_url(), &world.app.keys);
        world.membership.set(Mode::LosesAnswers);
        world.redeem_by(attempt.unwrap()).await.unwrap_err();
        world.membership.set(Mode::Up);
        world.advance(TimeDelta::seconds(60));
        world.recover().await;
        let mut heard = world.membership.state().heard.clone();
        let (again, first) = (heard.pop().unwrap(), heard.pop().unwrap());
        assert_eq!(first, again);
        assert_eq!(first.vouch_time.is_some(), vouches, "{name}");
    }
}

#[tokio::test]
async fn u13_a_token_whose_external_id_was_stored_with_blanks_opens_for_its_person() {
    let world = World::new().await;
    let code = world.code(None).await;
    let blanks = |row: &mut InvitationRow| row.invitation.external_id = Some(" s-1 ".to_owned());
    world.change(code, blanks).await;
    let migration = include_str!("../../migrations/sqlite/0009_trimmed_external_ids.sql");
    world.tamper(migration).await;
    let mut ann = caller("ann");
    ann.external_id = Some("s-1 ".to_owned());
    let attempt = world.attempt_of(&ann, CODE, "");
    let redeemed = world.redeem_by(attempt).await.unwrap();
    assert_eq!(redeemed.outcome, Outcome::Admitted);
}
