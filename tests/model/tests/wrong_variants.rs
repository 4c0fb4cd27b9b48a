//! Proves that the search can fail: with a rule left out, it finds a path to the violation that the
//! rule prevents.

use homeroom_membership::domain::join_request::State as RequestState;
use homeroom_model::{
    configuration::{Change, Configuration, Departure, Place, Variant, WayIn},
    properties::{FENCE, FORWARD, ITS_WORD, LET_IN, ONE_OPEN, ONE_USE, SEATS, SETTLES, USES},
    search::refute,
};

const LEAVES: Departure = Departure {
    from: Place::Organization,
    by_staff: false,
};

fn fails(configuration: Configuration, variant: Variant, violated: &[&'static str]) {
    let configuration = Configuration {
        variant,
        ..configuration
    };
    let found = refute(configuration, violated);
    println!("{variant:?}: {found}");
    for property in violated {
        let mut violations = found.violations.iter();
        assert!(violations.any(|(found, _)| found == property), "{found}");
    }
}

fn two_persons(way_in: WayIn) -> Configuration {
    Configuration::new(&[way_in], &[(0, 0), (1, 0)])
}

/// Returns a configuration in which a person waits, would be let in by now, and comes again.
fn let_in_while_waiting(uses: u32) -> Configuration {
    Configuration {
        changes: (vec![Change::Admit], 1),
        ends: vec![RequestState::Approved],
        ..Configuration::new(
            &[WayIn::guarded_token(uses), WayIn::token(1)],
            &[(0, 0), (0, 0), (1, 1)],
        )
    }
}

/// Declares a test for each wrong variant: the properties that it violates, and the configuration in which it does.
macro_rules! variants {
    ($(fn $name:ident: $variant:ident violates $violated:expr, in $like:expr => { $($field:ident: $value:expr),* })+) => {
        $(
            #[test]
            fn $name() {
                let configuration = Configuration { $($field: $value,)* ..$like };
                fails(configuration, Variant::$variant, &$violated);
            }
        )+
    };
}

variants! {
    fn p1_a_use_released_on_timeout_lets_in_too_many:
        ReleaseOnTimeout violates [ITS_WORD, LET_IN, SETTLES], in two_persons(WayIn::token(1)) => {
        seat_limit: 0
    }

    fn p1_admissions_without_a_key_admit_twice:
        NoKeyOnAdmissions violates [ITS_WORD, LET_IN, SETTLES], in two_persons(WayIn::token(1)) => {
        seat_limit: 0, departures: (vec![LEAVES], 1)
    }

    fn p7_a_reset_without_a_fence_is_passed: NoFence violates [FENCE], in two_persons(WayIn::token(1)) => {
        changes: (vec![Change::Reset], 1)
    }

    fn p7_a_fence_that_falls_is_passed: FenceCanFall violates [FENCE], in two_persons(WayIn::token(1)) => {
        redemptions_max: 3, changes: (vec![Change::Reset], 2)
    }

    fn p4_uses_checked_before_they_are_taken_are_overdrawn:
        UsesCheckedThenTaken violates [USES, LET_IN], in two_persons(WayIn::token(1)) => {
        seat_limit: 0
    }

    // Two transactions run at once: the decision of one is written after an approval took the seat.
    fn p6_seats_checked_before_they_are_taken_are_oversold: SeatsCheckedThenTaken violates [SEATS],
        in Configuration::new(&[WayIn::token(2), WayIn::join_url()], &[(0, 0), (1, 1)]) => {
        ends: vec![RequestState::Approved]
    }

    fn p6_a_fence_raised_between_check_and_act_is_passed:
        SeatsCheckedThenTaken violates [FENCE], in two_persons(WayIn::token(1)) => {
        changes: (vec![Change::Reset], 1)
    }

    fn t3_that_overwrites_settled_rows_goes_back_and_overdraws:
        SettleOverwrites violates [FORWARD, USES], in two_persons(WayIn::guarded_token(1)) => {
        ends: vec![RequestState::Approved, RequestState::Denied]
    }

    fn p8_an_admission_that_closes_nothing_leaves_a_member_waiting: AdmissionClosesNothing violates [ONE_OPEN],
        in Configuration::new(&[WayIn::join_url(), WayIn::token(1)], &[(0, 0), (0, 1)]) => {}

    fn p11_a_batch_that_ranks_before_it_counts_oversells:
        BatchDecidesAtOnce violates [SEATS], in two_persons(WayIn::token(2)) => {
        batches: true
    }

    fn p2_one_that_waits_and_is_bypassed_holds_a_second_use:
        WaitingIsBypassed violates [ONE_OPEN, ONE_USE], in let_in_while_waiting(2) => {}

    fn p2_a_use_taken_for_good_lets_somebody_in_without_one:
        TakenForGood violates [LET_IN], in let_in_while_waiting(1) => {
        departures: (vec![LEAVES], 1)
    }

    fn p4_uses_by_visit_count_one_person_twice: UsesByVisit violates [ONE_USE],
        in Configuration::new(&[WayIn::token(2)], &[(0, 0), (0, 0)]) => {
        departures: (vec![LEAVES], 1)
    }

    fn p13_without_recovery_a_reservation_stays:
        NoRecovery violates [SETTLES], in two_persons(WayIn::token(1)) => {}

    fn p5_without_the_sweep_a_poisoned_event_holds_a_use_for_ever:
        NoSweep violates [SETTLES], in two_persons(WayIn::guarded_token(1)) => {
        ends: vec![RequestState::Denied], poisoned_events_max: 1
    }
}
