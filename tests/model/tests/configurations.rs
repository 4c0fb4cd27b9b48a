//! The protocol holds in every state of each configuration. Each test searches one to its end.

use homeroom_api::common::v1::ErrorReason;
use homeroom_membership::domain::join_request::State::{
    self, Approved, Closed, Denied, Expired, Withdrawn,
};
use homeroom_model::{
    configuration::{
        Change, Configuration, Departure,
        Goal::{self, Answers, Attached, CameBack, Ends, HandedOver, WithoutUse},
        Place, WayIn,
    },
    search::exhaust,
    words::Word::{self, Admitted, AlreadyMember, AlreadyPending, Queued, StaleEpoch},
};

const DECISIONS: [State; 4] = [Approved, Denied, Withdrawn, Expired];

const LEAVES: Departure = Departure {
    from: Place::Organization,
    by_staff: false,
};

const REMOVED: Departure = Departure {
    from: Place::Class,
    by_staff: true,
};

const fn refused(reason: ErrorReason) -> Goal {
    Answers(Word::Refused(reason))
}

fn holds(configuration: Configuration) {
    let found = exhaust(configuration);
    println!("{:?}: {found}", std::thread::current().name());
    assert!(found.violations.is_empty(), "{found}");
    assert!(found.goals_missed.is_empty(), "{found}");
}

/// Declares a test for each configuration: the ways in, the person and the way of each attempt, and what differs.
macro_rules! configurations {
    ($(fn $name:ident: $ways:expr, $attempts:expr => { $($field:ident: $value:expr),+ $(,)? })+) => {
        $(
            #[test]
            fn $name() {
                holds(Configuration { $($field: $value,)+ ..Configuration::new(&$ways, &$attempts) });
            }
        )+
    };
}

configurations! {
    fn p4_two_persons_want_the_last_use: [WayIn::token(1)], [(0, 0), (1, 0)] => {
        seat_limit: 0, redemptions_max: 4,
        reaches: vec![Answers(Admitted), WithoutUse, refused(ErrorReason::UsedUp)],
    }

    fn p2_one_person_comes_twice_at_once: [WayIn::token(1)], [(0, 0), (0, 0), (1, 0)] => {
        redemptions_max: 4,
        reaches: vec![Attached, WithoutUse, Answers(AlreadyMember), refused(ErrorReason::UsedUp)],
    }

    fn r3_retries_without_a_request_id_spend_nothing_twice: [WayIn::token(2)], [(0, 0), (0, 0), (1, 0)] => {
        seat_limit: 0, request_ids: false, redemptions_max: 4, departures: (vec![LEAVES], 1),
        reaches: vec![Attached, Answers(AlreadyMember)],
    }

    fn p6_two_persons_want_the_last_seat_and_one_leaves: [WayIn::token(4)], [(0, 0), (1, 0), (0, 0), (1, 0)] => {
        redemptions_max: 4, departures: (vec![LEAVES, REMOVED], 1),
        reaches: vec![Answers(Admitted), Answers(Queued), refused(ErrorReason::NoSeats)],
    }

    fn p2_u2_who_waits_is_let_in_by_the_use_that_is_held: [WayIn::guarded_token(1)], [(0, 0), (0, 0), (1, 0)] => {
        redemptions_max: 4, changes: (vec![Change::Admit], 1), ends: vec![Approved, Denied],
        departures: (vec![LEAVES], 1),
        reaches: vec![
            HandedOver, Attached, Answers(Queued), Answers(Admitted), Answers(AlreadyMember), Ends(Closed),
            Ends(Approved), refused(ErrorReason::UsedUp),
        ],
    }

    fn p2_u2_a_use_comes_back_to_the_one_that_waits:
        [WayIn::guarded_token(1), WayIn::token(1)], [(0, 0), (0, 0), (1, 1)] => {
        redemptions_max: 3, changes: (vec![Change::Admit, Change::Off], 2), ends: vec![Approved],
        reaches: vec![HandedOver, Answers(StaleEpoch), Ends(Approved), refused(ErrorReason::NoSeats)],
    }

    fn p2_u2_r8_who_was_removed_is_let_in_where_that_is_allowed:
        [WayIn::token(1), WayIn::token(1)], [(0, 1), (0, 0), (0, 0)] => {
        redemptions_max: 3, changes: (vec![Change::AllowRejoin], 1), departures: (vec![REMOVED], 1),
        ends: vec![Approved, Withdrawn],
        reaches: vec![HandedOver, Answers(Queued), Answers(AlreadyPending), Ends(Closed), Ends(Approved)],
    }

    fn p4_u8_who_comes_back_takes_no_second_use: [WayIn::token(1)], [(0, 0), (0, 0), (0, 0), (1, 0)] => {
        redemptions_max: 4, departures: (vec![LEAVES, REMOVED], 2), ends: vec![Approved, Denied],
        reaches: vec![CameBack, Answers(Queued), Answers(AlreadyMember), refused(ErrorReason::UsedUp)],
    }

    fn p5_requests_end_in_every_way: [WayIn::join_url()], [(0, 0), (1, 0)] => {
        ends: DECISIONS.to_vec(), redemptions_max: 3,
        reaches: vec![Answers(Queued), Ends(Approved), Ends(Denied), Ends(Withdrawn), Ends(Expired)],
    }

    fn p5_a_use_is_held_while_its_request_waits: [WayIn::guarded_token(1)], [(0, 0), (1, 0)] => {
        ends: vec![Approved, Denied], redemptions_max: 3,
        reaches: vec![Answers(Queued), WithoutUse, Ends(Approved), Ends(Denied)],
    }

    fn p5_a_poisoned_event_is_made_up_for_by_the_sweep: [WayIn::guarded_token(1)], [(0, 0), (1, 0)] => {
        ends: vec![Approved, Denied], redemptions_max: 3, poisoned_events_max: 1,
        reaches: vec![Ends(Denied)],
    }

    fn p7_a_reset_overtakes_redemptions: [WayIn::token(1)], [(0, 0), (0, 0), (1, 0)] => {
        redemptions_max: 4, changes: (vec![Change::Reset], 2),
        reaches: vec![Answers(Admitted), Answers(StaleEpoch)],
    }

    fn p7_a_switch_and_a_revocation_overtake_redemptions: [WayIn::token(1)], [(0, 0), (1, 0)] => {
        redemptions_max: 3, changes: (vec![Change::Off, Change::On, Change::Revoke], 3),
        reaches: vec![Answers(Admitted), Answers(StaleEpoch)],
    }

    fn p8_a_request_filed_before_a_reset_stays_approvable: [WayIn::guarded_token(1)], [(0, 0), (1, 0)] => {
        redemptions_max: 3, changes: (vec![Change::Reset], 1), ends: vec![Approved, Withdrawn],
        reaches: vec![Answers(StaleEpoch), Ends(Approved)],
    }

    fn p8_who_waits_is_admitted_by_another_invitation:
        [WayIn::guarded_token(1), WayIn::token(1)], [(0, 0), (0, 1), (1, 1)] => {
        redemptions_max: 3, ends: vec![Approved],
        reaches: vec![
            Answers(Admitted), Answers(Queued), Answers(AlreadyMember), Ends(Closed), Ends(Approved),
        ],
    }

    fn p2_two_ways_lead_to_one_request: [WayIn::guarded_token(1), WayIn::join_url()], [(0, 0), (0, 1), (1, 0)] => {
        redemptions_max: 3, ends: vec![Approved, Withdrawn],
        reaches: vec![Answers(AlreadyPending), Answers(AlreadyMember), Ends(Withdrawn)],
    }

    fn r8_who_was_removed_comes_back_by_approval: [WayIn::token(2)], [(0, 0), (0, 0)] => {
        redemptions_max: 3, departures: (vec![REMOVED, LEAVES], 2), changes: (vec![Change::Reset], 1),
        ends: vec![Approved, Denied],
        reaches: vec![Answers(Admitted), Answers(Queued), Answers(StaleEpoch), Ends(Approved)],
    }

    fn r7_leaving_the_organization_frees_the_seat_and_closes_what_waits:
        [WayIn::guarded_token(1), WayIn::organization_token()], [(0, 0), (0, 1), (1, 1)] => {
        redemptions_max: 3, departures: (vec![LEAVES], 1), ends: vec![Approved],
        reaches: vec![Ends(Closed), Ends(Approved), refused(ErrorReason::NoSeats)],
    }

    fn p11_batches_are_regrouped_on_retry: [WayIn::token(2), WayIn::join_url()], [(0, 0), (0, 1), (1, 0)] => {
        redemptions_max: 4, batches: true, ends: vec![Approved],
        reaches: vec![
            Answers(Admitted), Answers(Queued), Answers(AlreadyMember), Ends(Closed),
            refused(ErrorReason::NoSeats),
        ],
    }

    fn p4_three_persons_want_two_uses: [WayIn::token(2)], [(0, 0), (1, 0), (2, 0)] => {
        seat_limit: 2, redemptions_max: 5, departures: (vec![LEAVES], 1), changes: (vec![Change::Reset], 1),
        reaches: vec![Answers(Admitted), WithoutUse, refused(ErrorReason::UsedUp)],
    }

    fn p1_to_p9_all_at_once: [WayIn::guarded_token(1), WayIn::token(1)], [(0, 0), (0, 1), (1, 1)] => {
        redemptions_max: 3, changes: (vec![Change::Reset], 1), departures: (vec![LEAVES, REMOVED], 1),
        ends: vec![Approved, Denied],
        reaches: vec![
            Answers(Admitted), Answers(StaleEpoch), Answers(AlreadyMember), Ends(Approved), Ends(Denied),
            Ends(Closed), refused(ErrorReason::NoSeats),
        ],
    }
}
