//! The same person uses the same invitation again: one who waits, who presses several times at once, who left and comes
//! back, or who is a member (U2, U7, U8, U9).

use chrono::TimeDelta;
use futures::future::join_all;
use homeroom_api::{common::v1::ErrorReason, names::RedemptionName};
use homeroom_invitations::{
    domain::{
        invitation::{InvitationKind, Uses},
        redemption::{Outcome, RedemptionState},
    },
    limiter::Budgets,
    redemption::{reply::Redeemed, request::Attempt},
    store::InvitationRow,
};
use homeroom_kit::Result;
use uuid::Uuid;

use crate::{
    databases::Database,
    fake_membership::Mode,
    world::{
        CLASS_CODE, CODE, REQUEST, World, assert_outcome, assert_refused, class, redeem_in_vain,
        start, told, unlimited, uses,
    },
};

const PHRASE: &str = "zebra-ability";
const OTHER_REQUEST: &str = "01900000-0000-7000-8000-0000000000bb";

fn at_class(name: &str) -> (String, String) {
    (class().to_string(), name.to_owned())
}

/// The change by which a person who waits can be let in by the same invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    CodeUnlocked,
    RejoinAllowed,
    RemovalLifted,
    VouchedFor,
}

impl Way {
    const ALL: [Self; 4] = [
        Self::CodeUnlocked,
        Self::RejoinAllowed,
        Self::RemovalLifted,
        Self::VouchedFor,
    ];

    const fn credential(self) -> (InvitationKind, &'static str) {
        match self {
            Self::CodeUnlocked => (InvitationKind::ClassCode, CLASS_CODE),
            Self::RejoinAllowed | Self::RemovalLifted => (InvitationKind::EnrollmentCode, CODE),
            Self::VouchedFor => (InvitationKind::ClassToken, PHRASE),
        }
    }

    fn attempt(self, world: &World, request_id: &str, changed: bool) -> Attempt {
        let mut attempt = world.attempt("ann", self.credential().1, request_id);
        attempt.facts.vouched = changed && self == Self::VouchedFor;
        attempt
    }

    /// Makes an invitation with one use, by which ann waits.
    async fn wait(self, world: &World) -> (Uuid, Redeemed) {
        let (kind, credential) = self.credential();
        let id = world
            .invitation(kind, credential, |row| {
                row.invitation.max_uses = Some(1);
                let lock = row.invitation.lock.map(|lock| lock.locked(start()));
                row.invitation.lock = lock;
            })
            .await;
        match self {
            Self::CodeUnlocked => {}
            Self::RejoinAllowed | Self::RemovalLifted => {
                world.membership.state().removed.insert("ann".to_owned());
            }
            Self::VouchedFor => {
                for user in ["eve", "mallory", "oscar"] {
                    world.redeem(user, "zebra-zebra", "").await.unwrap_err();
                }
            }
        }
        let first = world.redeem_by(self.attempt(world, REQUEST, false)).await;
        let first = first.unwrap();
        assert_eq!(first.outcome, Outcome::PendingApproval, "{self:?}");
        world.advance(TimeDelta::milliseconds(1));
        (id, first)
    }

    async fn change(self, world: &World, id: Uuid) {
        let change = |row: &mut InvitationRow| match self {
            Self::CodeUnlocked => {
                let lock = row.invitation.lock.as_mut().unwrap();
                lock.manual_lock_time = None;
            }
            Self::RejoinAllowed => row.invitation.allow_rejoin = true,
            Self::RemovalLifted | Self::VouchedFor => {}
        };
        world.change(id, change).await;
        if self == Self::RemovalLifted {
            world.membership.state().removed.clear();
        }
    }
}

async fn who_waits_is_let_in(world: &World, way: Way) {
    // Given a person who waits by the only use of an invitation
    let (id, first) = way.wait(world).await;
    // When nothing has changed, pressing again is the same request
    let again = world
        .redeem_by(way.attempt(world, "", false))
        .await
        .unwrap();
    assert_eq!(again.outcome, Outcome::PendingApproval, "{way:?}");
    assert_eq!(again.join_request, first.join_request, "{way:?}");
    assert_eq!(world.uses(id).await, uses(0, 0, 1), "{way:?}");
    world.advance(TimeDelta::milliseconds(1));
    // When the invitation would let them in, it does,
    way.change(world, id).await;
    let attempt = || way.attempt(world, OTHER_REQUEST, true);
    let second = world.redeem_by(attempt()).await.unwrap();
    assert_eq!(second.outcome, Outcome::Admitted, "{way:?}");
    assert!(world.membership.state().waiting().is_empty(), "{way:?}");
    // by the use that was held, which nobody else gets,
    assert_eq!(world.uses(id).await, uses(1, 0, 0), "{way:?}");
    world.follow().await;
    assert_eq!(world.uses(id).await, uses(1, 0, 0), "{way:?}");
    let redemptions = world.redemptions().await;
    let state_of = |name: &RedemptionName| {
        let its = redemptions.iter().find(|one| one.name() == *name);
        its.unwrap().state
    };
    assert_eq!(state_of(&first.redemption), RedemptionState::Released);
    assert_eq!(state_of(&second.redemption), RedemptionState::Committed);
    // and each request id keeps its answer (R3).
    assert_eq!(world.redeem_by(attempt()).await.unwrap(), second, "{way:?}");
    let replayed = world.redeem_by(way.attempt(world, REQUEST, false)).await;
    assert_eq!(replayed.unwrap().outcome, Outcome::PendingApproval);
}

/// Returns budgets with which three guesses that name no organization make short credentials queue.
fn guarded() -> Budgets {
    Budgets {
        service_hourly: 1,
        ..unlimited()
    }
}

#[tokio::test]
async fn u2_r2_who_waits_is_let_in_once_the_invitation_would() {
    for way in Way::ALL {
        for database in [Database::sqlite().await, Database::postgres().await] {
            let world = World::over(database, guarded()).await;
            who_waits_is_let_in(&world, way).await;
        }
    }
}

#[tokio::test]
async fn u2_p2_a_redemption_under_way_is_not_bypassed_and_led_on_once_it_waits() {
    for mode in [Mode::Away, Mode::LosesAnswers] {
        // Given a locked code, and a redemption that membership has not answered
        let world = World::new().await;
        let id = world.locked_class_code().await;
        redeem_in_vain(&world, mode, "ann", CLASS_CODE, "").await;
        assert_eq!(world.states().await, [RedemptionState::Reserved]);
        // When the code is unlocked and the person comes again
        world.advance(TimeDelta::milliseconds(1));
        Way::CodeUnlocked.change(&world, id).await;
        let again = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
        // Then the redemption under way has waited first, and the person is in.
        assert_eq!(again.outcome, Outcome::Admitted);
        let heard = world.membership.state().heard.clone();
        let (first, last) = (&heard[0].redemption, &heard.last().unwrap().redemption);
        let own = again.redemption.to_string();
        assert!(*first != own && *last == own);
        world.follow().await;
        assert_eq!(
            world.states().await,
            [RedemptionState::Released, RedemptionState::Committed]
        );
        assert_eq!(world.uses(id).await, uses(1, 0, 0));
    }
}

#[tokio::test]
async fn u2_p13_recovery_finishes_what_took_a_use_over() {
    let world = World::new().await;
    let way = Way::CodeUnlocked;
    let (id, _) = way.wait(&world).await;
    way.change(&world, id).await;
    world.membership.set(Mode::LosesAnswers);
    let lost = world.redeem_by(way.attempt(&world, OTHER_REQUEST, true));
    assert_eq!(told(lost.await), Err(ErrorReason::MembershipUnavailable));
    assert_eq!(world.uses(id).await, uses(0, 1, 0));
    // The feed comes first, and gives nothing back.
    world.membership.set(Mode::Up);
    world.follow().await;
    assert_eq!(world.uses(id).await, uses(0, 1, 0));
    world.advance(TimeDelta::seconds(5));
    assert_eq!(world.recover().await.settled, 1);
    assert_eq!(world.uses(id).await, uses(1, 0, 0));
    let replayed = world
        .redeem_by(way.attempt(&world, OTHER_REQUEST, true))
        .await;
    assert_eq!(replayed.unwrap().outcome, Outcome::Admitted);
}

/// The situation of an invitation when one person presses many times at once.
#[derive(Debug, Clone, Copy)]
enum Pressed {
    LetsIn,
    Queues,
    IsUsedUp,
    IsFull,
    /// The person's redemption is under way, and its answer was lost.
    IsUnderWay,
    Unlocked,
}

/// Returns the answer to each press, and the uses afterwards.
async fn presses(world: &World, situation: Pressed, count: usize) -> (Vec<Result<Redeemed>>, Uses) {
    let id = world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |row| {
            row.invitation.max_uses = match situation {
                Pressed::IsUsedUp => Some(0),
                _ => Some(1),
            };
            if matches!(situation, Pressed::Queues | Pressed::Unlocked) {
                row.invitation.lock = row.invitation.lock.map(|lock| lock.locked(start()));
            }
        })
        .await;
    match situation {
        Pressed::IsFull => world.membership.state().seats = Some(0),
        Pressed::IsUnderWay => {
            redeem_in_vain(world, Mode::LosesAnswers, "ann", CLASS_CODE, "").await;
        }
        Pressed::Unlocked => {
            world.redeem("ann", CLASS_CODE, "").await.unwrap();
            Way::CodeUnlocked.change(world, id).await;
        }
        _ => {}
    }
    world.advance(TimeDelta::milliseconds(1));
    let presses = (0..count).map(|number| {
        // Half of them have a request id of their own.
        let request_id = match number % 2 {
            0 => String::new(),
            _ => Uuid::from_u128(number as u128).to_string(),
        };
        world.spawn(world.attempt("ann", CLASS_CODE, &request_id))
    });
    let answers = join_all(presses.collect::<Vec<_>>()).await;
    world.quiet().await;
    world.follow().await;
    let answers = answers.into_iter().map(|answer| answer.unwrap());
    (answers.collect(), world.uses(id).await)
}

async fn contention_is_no_outage(pressed: Pressed, count: usize) {
    let world = World::on_postgres().await;
    let (answers, uses_then) = presses(&world, pressed, count).await;
    for answer in answers {
        let told = told(answer);
        let right = match pressed {
            Pressed::LetsIn | Pressed::IsUnderWay | Pressed::Unlocked => {
                matches!(told, Ok(Outcome::Admitted | Outcome::AlreadyMember))
            }
            Pressed::Queues => told == Ok(Outcome::PendingApproval),
            Pressed::IsUsedUp => told == Err(ErrorReason::UsedUp),
            Pressed::IsFull => told == Err(ErrorReason::NoSeats),
        };
        assert!(right, "{pressed:?}, {count} at once: {told:?}");
    }
    let expected = match pressed {
        Pressed::LetsIn | Pressed::IsUnderWay | Pressed::Unlocked => uses(1, 0, 0),
        Pressed::Queues => uses(0, 0, 1),
        Pressed::IsUsedUp | Pressed::IsFull => uses(0, 0, 0),
    };
    assert_eq!(uses_then, expected, "{pressed:?}, {count} at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u7_p2_contention_of_one_person_is_no_outage() {
    for pressed in [
        Pressed::LetsIn,
        Pressed::Queues,
        Pressed::IsUsedUp,
        Pressed::IsFull,
        Pressed::IsUnderWay,
        Pressed::Unlocked,
    ] {
        for count in [2, 4, 16] {
            contention_is_no_outage(pressed, count).await;
        }
    }
}

#[tokio::test]
async fn u9_p3_a_member_is_told_so_while_the_last_use_is_being_taken() {
    let world = World::new().await;
    let id = world.code(Some(1)).await;
    redeem_in_vain(&world, Mode::Away, "bob", CODE, "").await;
    world.membership.state().members.insert(at_class("ann"));
    assert_outcome(&world, "ann", CODE, "", Outcome::AlreadyMember).await;
    assert_refused(&world, "eve", CODE, "", ErrorReason::UseInProgress).await;
    assert_eq!(world.uses(id).await, uses(0, 1, 0));
}

#[tokio::test]
async fn u9_what_opens_nothing_and_what_cannot_be_asked_is_said_as_it_is() {
    let world = World::new().await;
    let id = world
        .invitation(InvitationKind::EnrollmentCode, CODE, |row| {
            row.invitation.valid_from = Some(start() + TimeDelta::days(1));
        })
        .await;
    world.membership.state().members.insert(at_class("ann"));
    // While membership is unreachable, it is unknown whether the person is a member.
    world.membership.set(Mode::Away);
    assert_refused(&world, "ann", CODE, "", ErrorReason::MembershipUnavailable).await;
    world.membership.set(Mode::Up);
    // R5: an invitation that is switched off gives the same answer to everybody.
    world.change(id, |row| row.enabled = false).await;
    assert_refused(&world, "ann", CODE, "", ErrorReason::CodeNotUsable).await;
    assert!(world.redemptions().await.is_empty());
}

#[tokio::test]
async fn u9_p11_of_a_batch_each_is_told_for_themselves() {
    let world = World::new().await;
    world
        .invitation(InvitationKind::EnrollmentCode, CODE, |row| {
            row.invitation.valid_from = Some(start() + TimeDelta::days(1));
        })
        .await;
    world.class_code().await;
    for name in ["ann", "bob"] {
        world.membership.state().members.insert(at_class(name));
    }
    let batch = [
        ("ann", CODE),
        ("eve", CODE),
        ("bob", CODE),
        ("ann", CODE),
        ("cid", CLASS_CODE),
    ];
    let batch = batch.map(|(name, credential)| world.attempt(name, credential, ""));
    let answers = world.redeem_all(batch).await.into_iter().map(told);
    let member = Ok(Outcome::AlreadyMember);
    let early = Err(ErrorReason::NotYetValid);
    let expected = [member, early, member, member, Ok(Outcome::Admitted)];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
}
