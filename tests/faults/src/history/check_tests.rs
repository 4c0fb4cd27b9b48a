//! For each rule, one invented history breaks it and a similar one satisfies it.

use std::time::Duration;

use super::*;
use crate::history::facts::Redeemed;

const ORGANIZATION: &str = "organizations/hamilton";
const CLASS: &str = "organizations/hamilton/classes/biology";
const REDEMPTION: &str = "organizations/hamilton/redemptions/01900000-0000-7000-8000-000000000001";
const OTHER: &str = "organizations/hamilton/redemptions/01900000-0000-7000-8000-000000000002";
const REQUEST: &str = "organizations/hamilton/classes/biology/joinRequests/1";

fn span(begin: u64, end: u64) -> Span {
    Span {
        begin: Duration::from_millis(begin),
        end: Duration::from_millis(end),
    }
}

fn accepted(redemption: &str, outcome: RedemptionOutcome) -> Answer {
    Answer::Accepted {
        redemption: redemption.to_owned(),
        outcome,
        resource: String::new(),
    }
}

fn asked(span: Span, answer: Answer) -> Asked {
    Asked {
        request_id: "request".to_owned(),
        user: "student".to_owned(),
        organization: ORGANIZATION.to_owned(),
        class: CLASS.to_owned(),
        secret: SecretId(1),
        span,
        answer,
    }
}

fn admitted(span: Span) -> Entry {
    Entry::Asked(asked(
        span,
        accepted(REDEMPTION, RedemptionOutcome::Admitted),
    ))
}

/// Returns the contents of the databases after the student was admitted.
fn facts() -> Facts {
    let mut facts = Facts::default();
    for name in [REDEMPTION, OTHER] {
        let id = id_of(name).unwrap().to_string();
        let redeemed = Redeemed {
            user: "student".to_owned(),
            state: "COMMITTED".to_owned(),
            outcome: "ADMITTED".to_owned(),
        };
        facts.redemptions.insert(id.clone(), redeemed);
        facts.admissions.insert(id, "ADMITTED".to_owned());
    }
    for place in [ORGANIZATION, CLASS] {
        facts.members.insert(format!("{place}/members/student"));
    }
    facts
}

fn rules(entries: &[Entry], facts: &Facts) -> Vec<Rule> {
    let mut rules: Vec<Rule> = check(entries, facts)
        .into_iter()
        .map(|broken| broken.rule)
        .collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

fn id() -> String {
    id_of(REDEMPTION).unwrap().to_string()
}

#[test]
fn what_stands_breaks_nothing() {
    assert_eq!(rules(&[admitted(span(0, 1))], &facts()), []);
}

#[test]
fn an_acknowledged_redemption_that_is_gone_released_another_persons_or_unknown_to_membership_is_found()
 {
    let entries = [admitted(span(0, 1))];
    let mut gone = facts();
    gone.redemptions.remove(&id());
    let mut released = facts();
    released.redemptions.get_mut(&id()).unwrap().state = "RELEASED".to_owned();
    let mut anothers = facts();
    anothers.redemptions.get_mut(&id()).unwrap().user = "other".to_owned();
    let mut unknown = facts();
    unknown.admissions.remove(&id());
    for facts in [gone, released, anothers, unknown] {
        assert_eq!(rules(&entries, &facts), [Rule::RedemptionStands]);
    }
}

#[test]
fn a_join_request_that_vanished_is_found() {
    let mut facts = facts();
    let row = facts.redemptions.get_mut(&id()).unwrap();
    "PENDING_APPROVAL".clone_into(&mut row.outcome);
    "QUEUED".clone_into(&mut row.state);
    facts.admissions.insert(id(), "QUEUED".to_owned());
    let answer = Answer::Accepted {
        redemption: REDEMPTION.to_owned(),
        outcome: RedemptionOutcome::PendingApproval,
        resource: REQUEST.to_owned(),
    };
    let entries = [Entry::Asked(asked(span(0, 1), answer))];
    assert_eq!(rules(&entries, &facts), [Rule::RedemptionStands]);
    facts
        .join_requests
        .insert(REQUEST.to_owned(), "PENDING".to_owned());
    assert_eq!(rules(&entries, &facts), []);
}

#[test]
fn an_acknowledged_wait_without_a_join_request_is_found() {
    let mut facts = facts();
    facts.redemptions.get_mut(&id()).unwrap().outcome = "PENDING_APPROVAL".to_owned();
    facts.admissions.insert(id(), "QUEUED".to_owned());
    let answer = accepted(REDEMPTION, RedemptionOutcome::PendingApproval);
    let entries = [Entry::Asked(asked(span(0, 1), answer))];
    assert_eq!(rules(&entries, &facts), [Rule::RedemptionStands]);
}

#[test]
fn an_acknowledged_redemption_whose_name_is_none_is_found() {
    for name in ["", "organizations/hamilton/redemptions/none"] {
        let answer = accepted(name, RedemptionOutcome::Admitted);
        let entries = [Entry::Asked(asked(span(0, 1), answer))];
        assert_eq!(
            rules(&entries, &facts()),
            [Rule::RedemptionStands],
            "{name}"
        );
    }
}

#[test]
fn i7_another_answer_to_the_same_request_id_is_found() {
    let again = |answer| {
        [
            admitted(span(0, 1)),
            Entry::Asked(asked(span(2, 3), answer)),
        ]
    };
    let another = again(accepted(OTHER, RedemptionOutcome::Admitted));
    assert_eq!(rules(&another, &facts()), [Rule::OneAnswer]);
    let refused = again(Answer::Refused("USED_UP".to_owned()));
    assert_eq!(rules(&refused, &facts()), [Rule::OneAnswer]);
    let the_same = again(accepted(REDEMPTION, RedemptionOutcome::Admitted));
    assert_eq!(rules(&the_same, &facts()), []);
    let unknown = again(Answer::Unknown);
    assert_eq!(rules(&unknown, &facts()), []);
}

#[test]
fn i7_a_refusal_may_precede_an_answer() {
    let refusal = asked(span(0, 1), Answer::Refused("NO_SEATS".to_owned()));
    assert_eq!(
        rules(&[Entry::Asked(refusal), admitted(span(2, 3))], &facts()),
        []
    );
}

#[test]
fn i5_who_comes_in_by_a_closed_secret_is_found() {
    let closed = Entry::Closed {
        secret: SecretId(1),
        span: span(0, 10),
    };
    let late = [closed.clone(), admitted(span(11, 12))];
    assert_eq!(rules(&late, &facts()), [Rule::ClosedStaysClosed]);
    let begun_before = [closed.clone(), admitted(span(9, 12))];
    assert_eq!(rules(&begun_before, &facts()), []);
    let retried = [
        Entry::Asked(asked(span(5, 6), Answer::Unknown)),
        closed.clone(),
        admitted(span(11, 12)),
    ];
    assert_eq!(rules(&retried, &facts()), []);
    let reopening = Entry::Reopening {
        secret: SecretId(1),
        begin: Duration::from_millis(11),
    };
    assert_eq!(
        rules(&[closed, reopening, admitted(span(11, 12))], &facts()),
        []
    );
}

#[test]
fn i6_a_decision_that_was_undone_or_made_twice_is_found() {
    let decided = |decision| Entry::Decided {
        join_request: REQUEST.to_owned(),
        decision,
    };
    let mut facts = facts();
    facts
        .join_requests
        .insert(REQUEST.to_owned(), "APPROVED".to_owned());
    assert_eq!(rules(&[decided(Decision::Approved)], &facts), []);
    assert_eq!(
        rules(&[decided(Decision::Denied)], &facts),
        [Rule::DecisionStands]
    );
    let twice = [decided(Decision::Withdrawn), decided(Decision::Approved)];
    assert_eq!(check(&twice, &facts).len(), 2);
}

fn left(span: Span, acknowledged: bool) -> Entry {
    Entry::Left {
        organization: ORGANIZATION.to_owned(),
        user: "student".to_owned(),
        span,
        acknowledged,
    }
}

#[test]
fn who_left_and_is_still_there_is_found() {
    let stayed = [admitted(span(0, 1)), left(span(2, 3), true)];
    assert_eq!(rules(&stayed, &facts()), [Rule::DepartureStands]);
    let not_known = [admitted(span(0, 1)), left(span(2, 3), false)];
    assert_eq!(rules(&not_known, &facts()), []);
    let at_once = [admitted(span(0, 3)), left(span(2, 3), true)];
    assert_eq!(rules(&at_once, &facts()), []);
}

#[test]
fn who_was_let_in_and_is_not_there_is_found() {
    let mut facts = facts();
    facts.members.remove(&format!("{CLASS}/members/student"));
    assert_eq!(
        rules(&[admitted(span(0, 1))], &facts),
        [Rule::MembershipStands]
    );
    let left = [admitted(span(0, 1)), left(span(2, 3), false)];
    assert_eq!(rules(&left, &facts), []);
}
