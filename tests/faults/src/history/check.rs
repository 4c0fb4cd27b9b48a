//! Checks that the answers that callers got still hold.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::{Answer, Asked, Decision, Entry, Moment, SecretId, Span, facts::Facts};

/// A rule that every history must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// An acknowledged redemption is in both databases, with the same outcome and person.
    RedemptionStands,
    /// A request id has one answer (I7).
    OneAnswer,
    /// Nobody gets in by a secret that was closed before the call began (I5).
    ClosedStaysClosed,
    /// A join request is decided once, and as acknowledged (I6).
    DecisionStands,
    /// A person whose departure was acknowledged, and who has not come back, is not a member.
    DepartureStands,
    /// A person who was admitted and never left is a member.
    MembershipStands,
}

impl Rule {
    pub(crate) const ALL: [Self; 6] = [
        Self::RedemptionStands,
        Self::OneAnswer,
        Self::ClosedStaysClosed,
        Self::DecisionStands,
        Self::DepartureStands,
        Self::MembershipStands,
    ];

    /// Returns the description for the report.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::RedemptionStands => "an acknowledged redemption stands in both databases",
            Self::OneAnswer => "one request id has one answer (I7)",
            Self::ClosedStaysClosed => {
                "nobody comes in by a secret closed before the call began (I5)"
            }
            Self::DecisionStands => "a join request is decided once, as acknowledged (I6)",
            Self::DepartureStands => "who left and has not come again is out",
            Self::MembershipStands => "who was let in and never left is in",
        }
    }
}

/// An answer that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) rule: Rule,
    pub(crate) detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.rule.title(), self.detail)
    }
}

/// Returns every answer that does not hold.
pub(crate) fn check(entries: &[Entry], facts: &Facts) -> Vec<Broken> {
    let asked: Vec<&Asked> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Asked(asked) => Some(asked),
            _ => None,
        })
        .collect();
    let mut by_request: HashMap<&str, Vec<&Asked>> = HashMap::new();
    for call in &asked {
        by_request.entry(&call.request_id).or_default().push(call);
    }
    let mut broken = Vec::new();
    let mut find = |rule, detail| broken.push(Broken { rule, detail });
    for call in &asked {
        if let Some(detail) = redemption_is_lost(call, facts) {
            find(Rule::RedemptionStands, detail);
        }
    }
    for calls in by_request.values() {
        if let Some(detail) = two_answers(calls) {
            find(Rule::OneAnswer, detail);
        }
    }
    for detail in came_in_by_closed_secrets(entries, &by_request) {
        find(Rule::ClosedStaysClosed, detail);
    }
    for detail in undone_decisions(entries, facts) {
        find(Rule::DecisionStands, detail);
    }
    for (rule, detail) in wrong_members(entries, &asked, &by_request, facts) {
        find(rule, detail);
    }
    broken
}

fn redemption_is_lost(call: &Asked, facts: &Facts) -> Option<String> {
    let Answer::Accepted {
        redemption,
        outcome,
        join_request,
    } = &call.answer
    else {
        return None;
    };
    let say = |what: &str| {
        Some(format!(
            "{} was told {outcome} as {redemption}: {what}",
            call.user
        ))
    };
    let id = redemption.rsplit('/').next().unwrap_or_default();
    let Some(row) = facts.redemptions.get(id) else {
        return say("there is no such redemption");
    };
    if row.user != call.user || row.outcome != *outcome {
        return say(&format!("invitations has {row:?}"));
    }
    let admission = facts.admissions.get(id).map_or("", String::as_str);
    let fits = match outcome.as_str() {
        "ADMITTED" => admission == "ADMITTED" && row.state == "COMMITTED",
        "PENDING_APPROVAL" => matches!(admission, "QUEUED" | "ALREADY_PENDING"),
        "ALREADY_MEMBER" => admission == "ALREADY_MEMBER",
        _ => false,
    };
    if !fits {
        return say(&format!("{row:?}, and membership answered '{admission}'"));
    }
    let waits = outcome == "PENDING_APPROVAL";
    if waits && !facts.join_requests.contains_key(join_request) {
        return say(&format!("the join request '{join_request}' is not there"));
    }
    None
}

/// Returns the contradiction between the answers to one request id, if any. Refusals may precede an
/// answer, since they are decided afresh; only the same answer may follow it.
fn two_answers(calls: &[&Asked]) -> Option<String> {
    let accepted = calls.iter().filter(|call| call.answer.is_accepted());
    let first = accepted.min_by_key(|call| call.span.end)?;
    let differs = |call: &&&Asked| match &call.answer {
        Answer::Accepted { .. } => call.answer != first.answer,
        Answer::Refused(_) => call.span.begin > first.span.end,
        Answer::Unknown => false,
    };
    let other = calls.iter().find(differs)?;
    Some(format!(
        "{} by request id {}: {:?}, and then {:?}",
        first.user, first.request_id, first.answer, other.answer
    ))
}

fn came_in_by_closed_secrets(
    entries: &[Entry],
    by_request: &HashMap<&str, Vec<&Asked>>,
) -> Vec<String> {
    let mut closed: HashMap<SecretId, Vec<Moment>> = HashMap::new();
    let mut reopened: HashMap<SecretId, Vec<Moment>> = HashMap::new();
    for entry in entries {
        match entry {
            Entry::Closed { secret, span } => closed.entry(*secret).or_default().push(span.end),
            Entry::Reopening { secret, begin } => reopened.entry(*secret).or_default().push(*begin),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for calls in by_request.values() {
        let Some(first) = calls.iter().map(|call| call.span.begin).min() else {
            continue;
        };
        let opened = ["ADMITTED", "PENDING_APPROVAL"];
        let let_in = calls
            .iter()
            .find(|call| opened.contains(&call.answer.outcome()));
        let Some(call) = let_in else { continue };
        let was_closed = closed.get(&call.secret).into_iter().flatten().any(|&end| {
            let again = reopened.get(&call.secret).into_iter().flatten();
            end < first
                && !again
                    .clone()
                    .any(|&begin| begin >= end && begin <= call.span.end)
        });
        if was_closed {
            found.push(format!(
                "{} got {:?} by a secret of {} that was closed before {:?}",
                call.user,
                call.answer,
                call.place(),
                first
            ));
        }
    }
    found
}

fn undone_decisions(entries: &[Entry], facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    let mut decided: HashMap<&str, Decision> = HashMap::new();
    for entry in entries {
        let Entry::Decided {
            join_request,
            decision,
        } = entry
        else {
            continue;
        };
        let before = decided.insert(join_request, *decision);
        if before.is_some_and(|before| before != *decision) {
            found.push(format!("{join_request} was {before:?} and {decision:?}"));
        }
        let state = facts
            .join_requests
            .get(join_request)
            .map_or("gone", String::as_str);
        if state != decision.state() {
            found.push(format!(
                "{join_request} was acknowledged {decision:?} and is {state}"
            ));
        }
    }
    found
}

fn wrong_members(
    entries: &[Entry],
    asked: &[&Asked],
    by_request: &HashMap<&str, Vec<&Asked>>,
    facts: &Facts,
) -> Vec<(Rule, String)> {
    let mut found = Vec::new();
    let mut leavers: HashSet<(&str, &str)> = HashSet::new();
    for entry in entries {
        let Entry::Left {
            organization,
            user,
            span,
            acknowledged,
        } = entry
        else {
            continue;
        };
        leavers.insert((organization, user));
        let name = format!("{organization}/members/{user}");
        if *acknowledged && facts.members.contains(&name) {
            let may_be_back = by_request
                .values()
                .any(|calls| may_let_in(calls, organization, user, *span));
            if !may_be_back {
                found.push((Rule::DepartureStands, format!("{name} is there")));
            }
        }
    }
    for call in asked {
        let left = leavers.contains(&(call.organization.as_str(), call.user.as_str()));
        if call.answer.outcome() != "ADMITTED" || left {
            continue;
        }
        let name = format!("{}/members/{}", call.place(), call.user);
        if !facts.members.contains(&name) {
            found.push((Rule::MembershipStands, format!("{name} is not there")));
        }
    }
    found
}

/// Returns true if a request of that person may have taken effect after the departure began,
/// because its first final answer came later, or never.
fn may_let_in(calls: &[&Asked], organization: &str, user: &str, departure: Span) -> bool {
    let of_them = calls
        .first()
        .is_some_and(|call| call.user == user && call.organization == organization);
    let answered = calls
        .iter()
        .filter(|call| call.answer.is_accepted())
        .map(|call| call.span.end)
        .min();
    of_them && answered.is_none_or(|end| end >= departure.begin)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
