//! For each rule, invented histories break it and similar ones satisfy it.

use std::time::Duration;

use super::*;
use crate::history::facts::Redeemed;

const ORGANIZATION: &str = "organizations/hamilton";
const CLASS: &str = "organizations/hamilton/classes/biology";
const REQUEST: &str = "organizations/hamilton/classes/biology/joinRequests/1";

fn span(begin: u64, end: u64) -> Span {
    Span {
        begin: Duration::from_millis(begin),
        end: Duration::from_millis(end),
    }
}

fn accepted(redemption: &str, outcome: &str, join_request: &str) -> Answer {
    Answer::Accepted {
        redemption: format!("{ORGANIZATION}/redemptions/{redemption}"),
        outcome: outcome.to_owned(),
        join_request: join_request.to_owned(),
    }
}

fn asked(begin: u64, end: u64, answer: Answer) -> Entry {
    Entry::Asked(Asked {
        request_id: "request".to_owned(),
        user: "student".to_owned(),
        organization: ORGANIZATION.to_owned(),
        class: CLASS.to_owned(),
        secret: SecretId(1),
        span: span(begin, end),
        answer,
    })
}

fn admitted(begin: u64, end: u64) -> Entry {
    asked(begin, end, accepted("1", "ADMITTED", ""))
}

fn waits(join_request: &str) -> Entry {
    asked(0, 1, accepted("waits", "PENDING_APPROVAL", join_request))
}

fn decided(decision: Decision) -> Entry {
    Entry::Decided {
        join_request: REQUEST.to_owned(),
        decision,
    }
}

fn left(acknowledged: bool) -> Entry {
    Entry::Left {
        organization: ORGANIZATION.to_owned(),
        user: "student".to_owned(),
        span: span(2, 3),
        acknowledged,
    }
}

/// Returns the contents of the databases after the student was admitted, twice, and another of
/// their redemptions waits by a request that was approved.
fn facts() -> Facts {
    let mut facts = Facts::default();
    for (id, state, outcome, admission) in [
        ("1", "COMMITTED", "ADMITTED", "ADMITTED"),
        ("2", "COMMITTED", "ADMITTED", "ADMITTED"),
        ("waits", "QUEUED", "PENDING_APPROVAL", "QUEUED"),
    ] {
        let redeemed = Redeemed {
            user: "student".to_owned(),
            state: state.to_owned(),
            outcome: outcome.to_owned(),
        };
        facts.redemptions.insert(id.to_owned(), redeemed);
        facts.admissions.insert(id.to_owned(), admission.to_owned());
    }
    facts
        .join_requests
        .insert(REQUEST.to_owned(), "APPROVED".to_owned());
    for place in [ORGANIZATION, CLASS] {
        facts.members.insert(format!("{place}/members/student"));
    }
    facts
}

fn rules(entries: &[Entry], facts: &Facts) -> Vec<Rule> {
    let broken = check(entries, facts).into_iter();
    let mut rules: Vec<Rule> = broken.map(|broken| broken.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn an_acknowledged_redemption_that_does_not_stand_is_found() {
    assert_eq!(
        rules(&[admitted(0, 1), waits(REQUEST)], &facts()),
        [Rule::OneAnswer]
    );
    assert_eq!(rules(&[admitted(0, 1)], &facts()), []);
    assert_eq!(rules(&[waits(REQUEST)], &facts()), []);
    assert_eq!(rules(&[waits("")], &facts()), [Rule::RedemptionStands]);
    let mut gone = facts();
    gone.redemptions.remove("1");
    let mut released = facts();
    "RELEASED".clone_into(&mut released.redemptions.get_mut("1").unwrap().state);
    let mut anothers = facts();
    "other".clone_into(&mut anothers.redemptions.get_mut("1").unwrap().user);
    let mut unknown = facts();
    unknown.admissions.remove("1");
    for facts in [gone, released, anothers, unknown] {
        assert_eq!(rules(&[admitted(0, 1)], &facts), [Rule::RedemptionStands]);
    }
    let mut vanished = facts();
    vanished.join_requests.clear();
    assert_eq!(
        rules(&[waits(REQUEST)], &vanished),
        [Rule::RedemptionStands]
    );
}

#[test]
fn i7_another_answer_to_the_same_request_id_is_found() {
    for (answer, broken) in [
        (accepted("2", "ADMITTED", ""), &[Rule::OneAnswer][..]),
        (Answer::Refused("USED_UP".to_owned()), &[Rule::OneAnswer]),
        (accepted("1", "ADMITTED", ""), &[]),
        (Answer::Unknown, &[]),
    ] {
        assert_eq!(
            rules(&[admitted(0, 1), asked(2, 3, answer)], &facts()),
            broken
        );
    }
    let refused_before = asked(0, 1, Answer::Refused("NO_SEATS".to_owned()));
    assert_eq!(rules(&[refused_before, admitted(2, 3)], &facts()), []);
}

#[test]
fn i5_who_comes_in_by_a_closed_secret_is_found() {
    let closed = || Entry::Closed {
        secret: SecretId(1),
        span: span(0, 10),
    };
    let reopening = Entry::Reopening {
        secret: SecretId(1),
        begin: Duration::from_millis(11),
    };
    let begun_before = asked(5, 6, Answer::Unknown);
    for (entries, broken) in [
        (
            vec![closed(), admitted(11, 12)],
            &[Rule::ClosedStaysClosed][..],
        ),
        (vec![closed(), admitted(9, 12)], &[]),
        (vec![begun_before, closed(), admitted(11, 12)], &[]),
        (vec![closed(), reopening, admitted(11, 12)], &[]),
    ] {
        assert_eq!(rules(&entries, &facts()), broken, "{entries:?}");
    }
}

#[test]
fn i6_a_decision_that_was_undone_or_made_twice_is_found() {
    assert_eq!(rules(&[decided(Decision::Approved)], &facts()), []);
    assert_eq!(
        rules(&[decided(Decision::Denied)], &facts()),
        [Rule::DecisionStands]
    );
    let twice = [decided(Decision::Withdrawn), decided(Decision::Approved)];
    assert_eq!(check(&twice, &facts()).len(), 2);
}

#[test]
fn who_left_and_is_there_and_who_was_let_in_and_is_not_there_are_found() {
    for (entries, broken) in [
        ([admitted(0, 1), left(true)], &[Rule::DepartureStands][..]),
        ([admitted(0, 1), left(false)], &[]),
        ([admitted(0, 3), left(true)], &[]),
    ] {
        assert_eq!(rules(&entries, &facts()), broken, "{entries:?}");
    }
    let mut facts = facts();
    facts.members.remove(&format!("{CLASS}/members/student"));
    assert_eq!(rules(&[admitted(0, 1)], &facts), [Rule::MembershipStands]);
    assert_eq!(rules(&[admitted(0, 1), left(false)], &facts), []);
}
