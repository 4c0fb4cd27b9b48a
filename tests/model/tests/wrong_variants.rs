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

#[test]
fn p1_a_use_released_on_timeout_lets_in_too_many() {
    let configuration = Configuration {
        seat_limit: 0,
        ..two_persons(WayIn::token(1))
    };
    fails(
        configuration,
        Variant::ReleaseOnTimeout,
        &[ITS_WORD, LET_IN, SETTLES],
    );
}

#[test]
fn p1_admissions_without_a_key_admit_twice() {
    let configuration = Configuration {
        seat_limit: 0,
        departures: (vec![LEAVES], 1),
        ..two_persons(WayIn::token(1))
    };
    fails(
        configuration,
        Variant::NoKeyOnAdmissions,
        &[ITS_WORD, LET_IN, SETTLES],
    );
}

#[test]
fn p7_a_reset_without_a_fence_is_passed() {
    let configuration = Configuration {
        changes: (vec![Change::Reset], 1),
        ..two_persons(WayIn::token(1))
    };
    fails(configuration, Variant::NoFence, &[FENCE]);
}

#[test]
fn p7_a_fence_that_falls_is_passed() {
    let configuration = Configuration {
        redemptions_max: 3,
        changes: (vec![Change::Reset], 2),
        ..two_persons(WayIn::token(1))
    };
    fails(configuration, Variant::FenceCanFall, &[FENCE]);
}

#[test]
fn p4_uses_checked_before_they_are_taken_are_overdrawn() {
    let configuration = Configuration {
        seat_limit: 0,
        ..two_persons(WayIn::token(1))
    };
    fails(
        configuration,
        Variant::UsesCheckedThenTaken,
        &[USES, LET_IN],
    );
}

#[test]
fn p6_seats_checked_before_they_are_taken_are_oversold() {
    // Two transactions run at once: the decision of one is written after an approval took the seat.
    let configuration = Configuration {
        ends: vec![RequestState::Approved],
        ..Configuration::new(&[WayIn::token(2), WayIn::join_url()], &[(0, 0), (1, 1)])
    };
    fails(configuration, Variant::SeatsCheckedThenTaken, &[SEATS]);
}

#[test]
fn p6_a_fence_raised_between_check_and_act_is_passed() {
    let configuration = Configuration {
        changes: (vec![Change::Reset], 1),
        ..two_persons(WayIn::token(1))
    };
    fails(configuration, Variant::SeatsCheckedThenTaken, &[FENCE]);
}

#[test]
fn t3_that_overwrites_settled_rows_goes_back_and_overdraws() {
    let configuration = Configuration {
        ends: vec![RequestState::Approved, RequestState::Denied],
        ..two_persons(WayIn::guarded_token(1))
    };
    fails(configuration, Variant::SettleOverwrites, &[FORWARD, USES]);
}

#[test]
fn p8_an_admission_that_closes_nothing_leaves_a_member_waiting() {
    let configuration =
        Configuration::new(&[WayIn::join_url(), WayIn::token(1)], &[(0, 0), (0, 1)]);
    fails(configuration, Variant::AdmissionClosesNothing, &[ONE_OPEN]);
}

#[test]
fn p11_a_batch_that_ranks_before_it_counts_oversells() {
    let configuration = Configuration {
        batches: true,
        ..two_persons(WayIn::token(2))
    };
    fails(configuration, Variant::BatchDecidesAtOnce, &[SEATS]);
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

#[test]
fn p2_one_that_waits_and_is_bypassed_holds_a_second_use() {
    fails(
        let_in_while_waiting(2),
        Variant::WaitingIsBypassed,
        &[ONE_OPEN, ONE_USE],
    );
}

#[test]
fn p2_a_use_taken_for_good_lets_somebody_in_without_one() {
    let configuration = Configuration {
        departures: (vec![LEAVES], 1),
        ..let_in_while_waiting(1)
    };
    fails(configuration, Variant::TakenForGood, &[LET_IN]);
}

#[test]
fn p4_uses_by_visit_count_one_person_twice() {
    let configuration = Configuration {
        departures: (vec![LEAVES], 1),
        ..Configuration::new(&[WayIn::token(2)], &[(0, 0), (0, 0)])
    };
    fails(configuration, Variant::UsesByVisit, &[ONE_USE]);
}

#[test]
fn p13_without_recovery_a_reservation_stays() {
    let configuration = two_persons(WayIn::token(1));
    fails(configuration, Variant::NoRecovery, &[SETTLES]);
}

#[test]
fn p5_without_the_sweep_a_poisoned_event_holds_a_use_for_ever() {
    let configuration = Configuration {
        ends: vec![RequestState::Denied],
        poisoned_events_max: 1,
        ..two_persons(WayIn::guarded_token(1))
    };
    fails(configuration, Variant::NoSweep, &[SETTLES]);
}
