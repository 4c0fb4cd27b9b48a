use chrono::{DateTime, Utc};
use homeroom_kit::clock::from_micros;

use super::*;

const MINUTE: i64 = 60_000_000;
const NOW: i64 = 1_000 * MINUTE;

fn shared(organization: &str, user: &str) -> Shared {
    Shared {
        organization_id: organization.to_owned(),
        class_id: String::new(),
        user_id: user.to_owned(),
        invitation: "organizations/hamilton/inviteToken".to_owned(),
        epoch: "1".to_owned(),
    }
}

fn redemption(state: &str, create_time: i64) -> Redemption {
    let outcome = match state {
        "RESERVED" => "",
        _ => "PENDING_APPROVAL",
    };
    Redemption {
        shared: shared("hamilton", "eve"),
        state: state.to_owned(),
        outcome: outcome.to_owned(),
        refuse_reason: String::new(),
        join_request: String::new(),
        create_time,
        settle_time: (state != "RESERVED").then_some(NOW),
    }
}

fn queued(state: &str, expire_time: i64, end_written_time: Option<i64>) -> Admission {
    Admission {
        shared: shared("hamilton", "eve"),
        outcome: "QUEUED".to_owned(),
        refuse_reason: String::new(),
        join_request: "the request".to_owned(),
        request_state: Some(state.to_owned()),
        expire_time: Some(expire_time),
        end_written_time,
    }
}

fn broken(seen: Seen<'_>, skipped: &[&str]) -> Vec<Invariant> {
    broken_while_erasing(seen, skipped, &[])
}

fn broken_while_erasing(seen: Seen<'_>, skipped: &[&str], erasing: &[&str]) -> Vec<Invariant> {
    let now: DateTime<Utc> = from_micros(NOW);
    let skipped = skipped.iter().map(|&name| name.to_owned()).collect();
    let erasing = erasing.iter().map(|&name| name.to_owned()).collect();
    let circumstances = Circumstances::new(&Options::at(now), skipped, erasing);
    let mut report = Report::new(false, 20);
    judge("1", seen, &circumstances, &mut report);
    report.broken()
}

#[test]
fn i4_a_redemption_may_be_reserved_for_10_minutes() {
    let at_most = redemption("RESERVED", NOW - 10 * MINUTE);
    let longer = redemption("RESERVED", NOW - 10 * MINUTE - 1);
    assert_eq!(broken((None, None, Some(&at_most)), &[]), []);
    assert_eq!(broken((None, None, Some(&longer)), &[]), [Invariant::I4]);
}

#[test]
fn i4_an_end_may_wait_for_the_feed_10_minutes_and_for_the_sweep_90() {
    let row = redemption("QUEUED", 0);
    for (minutes, skipped) in [(10, &[][..]), (90, &["the request"][..])] {
        let written = NOW - minutes * MINUTE;
        let at_most = queued("DENIED", i64::MAX, Some(written));
        let longer = queued("DENIED", i64::MAX, Some(written - 1));
        assert_eq!(broken((None, Some(&at_most), Some(&row)), skipped), []);
        let late = broken((None, Some(&longer), Some(&row)), skipped);
        assert_eq!(late, [Invariant::I4]);
    }
}

#[test]
fn i7_what_was_settled_before_membership_was_read_is_judged_and_what_was_settled_after_is_not() {
    let (reserved, committed) = (redemption("RESERVED", NOW), redemption("COMMITTED", NOW));
    let pending = queued("PENDING", i64::MAX, None);
    for admission in [None, Some(&pending)] {
        let after = (Some(&reserved), admission, Some(&committed));
        let before = (Some(&committed), admission, Some(&committed));
        assert_eq!(broken(after, &[]), []);
        assert_eq!(broken(before, &[]), [Invariant::I7]);
    }
}

#[test]
fn i7_a_request_past_its_expiry_releases_though_the_sweep_has_not_come_by() {
    let released = redemption("RELEASED", NOW);
    let tolerance = CLOCK_TOLERANCE_POSTGRES_SECONDS * 1_000_000;
    let lapsed = queued("PENDING", NOW + tolerance, None);
    let waiting = queued("PENDING", NOW + tolerance + 1, None);
    let judge = |admission| broken((Some(&released), Some(admission), Some(&released)), &[]);
    assert_eq!(judge(&lapsed), []);
    assert_eq!(judge(&waiting), [Invariant::I7]);
}

#[test]
fn i4_what_was_settled_never_goes_back() {
    let (reserved, released) = (redemption("RESERVED", NOW), redemption("RELEASED", NOW));
    let seen = (Some(&released), None, Some(&reserved));
    assert!(broken(seen, &[]).contains(&Invariant::I4));
}

#[test]
fn r5_who_comes_to_a_place_that_is_gone_is_told_that_the_code_is_not_usable() {
    for (answered, told, expected) in [
        ("CLASS_NOT_FOUND", "CODE_NOT_USABLE", &[][..]),
        ("ORGANIZATION_NOT_FOUND", "CODE_NOT_USABLE", &[]),
        ("CLASS_NOT_FOUND", "CLASS_NOT_FOUND", &[Invariant::I7]),
        ("NO_SEATS", "CODE_NOT_USABLE", &[Invariant::I7]),
    ] {
        let row = Redemption {
            outcome: "REFUSED".to_owned(),
            refuse_reason: told.to_owned(),
            ..redemption("REFUSED", NOW)
        };
        let admission = Admission {
            outcome: "REFUSED".to_owned(),
            refuse_reason: answered.to_owned(),
            join_request: String::new(),
            request_state: None,
            ..queued("PENDING", 0, None)
        };
        let found = broken((None, Some(&admission), Some(&row)), &[]);
        assert_eq!(found, expected, "{answered}");
    }
}

#[test]
fn i8_r13_while_an_erasure_is_under_way_the_services_may_name_the_person_differently() {
    let row = redemption("QUEUED", NOW);
    let elsewhere = Admission {
        shared: shared("hamilton", "erased-1"),
        ..queued("PENDING", i64::MAX, None)
    };
    let seen = || (Some(&row), Some(&elsewhere), Some(&row));
    assert_eq!(broken_while_erasing(seen(), &[], &["erased-1"]), []);
    let another = broken_while_erasing(seen(), &[], &["erased-2"]);
    assert_eq!(another, [Invariant::I8]);
    // Nothing else may differ.
    let stranger = Admission {
        shared: shared("oxford", "erased-1"),
        ..elsewhere.clone()
    };
    let seen = (Some(&row), Some(&stranger), Some(&row));
    let elsewhere = broken_while_erasing(seen, &[], &["erased-1"]);
    assert_eq!(elsewhere, [Invariant::I8]);
}
