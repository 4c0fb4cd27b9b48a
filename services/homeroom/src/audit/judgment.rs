//! Compares one redemption with membership's admission: I4, I7 and I8 across both databases.
//!
//! The functions are pure. They take the three rows of one id: from the snapshot before, from
//! membership, and from the snapshot after.

use std::collections::HashSet;

use chrono::TimeDelta;
use homeroom_kit::clock::micros;
use sqlx::FromRow;

use super::{
    CLOCK_TOLERANCE_POSTGRES_SECONDS, Options, SWEEP_MINUTES,
    report::{Invariant, Report},
};

/// The columns in which a redemption and its admission agree.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Shared {
    pub(crate) organization_id: String,
    pub(crate) class_id: String,
    pub(crate) user_id: String,
    pub(crate) invitation: String,
    pub(crate) epoch: String,
}

impl Shared {
    fn named(&self) -> [(&'static str, &String); 5] {
        [
            ("organization", &self.organization_id),
            ("class", &self.class_id),
            ("user", &self.user_id),
            ("invitation", &self.invitation),
            ("epoch", &self.epoch),
        ]
    }
}

/// A redemption in the invitations database.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Redemption {
    #[sqlx(flatten)]
    pub(crate) shared: Shared,
    pub(crate) state: String,
    pub(crate) outcome: String,
    pub(crate) refuse_reason: String,
    pub(crate) join_request: String,
    pub(crate) create_time: i64,
    pub(crate) settle_time: Option<i64>,
}

impl Redemption {
    /// Returns true if membership must have answered.
    pub(crate) fn is_settled(&self) -> bool {
        self.state != "RESERVED"
    }
}

/// Membership's stored answer.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Admission {
    #[sqlx(flatten)]
    pub(crate) shared: Shared,
    pub(crate) outcome: String,
    pub(crate) refuse_reason: String,
    /// The request's resource name; empty if there is none.
    pub(crate) join_request: String,
    /// The state of the request, if the outcome is QUEUED and there is one.
    pub(crate) request_state: Option<String>,
    /// The time at which the request expires.
    pub(crate) expire_time: Option<i64>,
    /// The time at which the request's end was written.
    pub(crate) end_written_time: Option<i64>,
}

/// A day in microseconds.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// The inputs of every comparison. Times and spans are in microseconds.
#[derive(Debug)]
pub(crate) struct Circumstances {
    now: i64,
    quiescent: bool,
    stuck_after: i64,
    sweep: i64,
    tolerance: i64,
    /// The join requests whose end the feed skipped.
    skipped: HashSet<String>,
    /// The pseudonyms of erasures under way (R13).
    erasing: HashSet<String>,
}

impl Circumstances {
    pub(crate) fn new(
        options: &Options,
        skipped: HashSet<String>,
        erasing: HashSet<String>,
    ) -> Self {
        let span = |span: TimeDelta| span.num_microseconds().unwrap_or(i64::MAX);
        let tolerance = options
            .clock_tolerance
            .unwrap_or(TimeDelta::seconds(CLOCK_TOLERANCE_POSTGRES_SECONDS));
        Self {
            now: micros(options.now),
            quiescent: options.quiescent,
            stuck_after: span(options.stuck_after),
            sweep: span(TimeDelta::minutes(SWEEP_MINUTES)),
            tolerance: span(tolerance),
            skipped,
            erasing,
        }
    }

    fn is_older(&self, time: i64, span: i64) -> bool {
        self.now.saturating_sub(time) > span
    }
}

/// The rows of one id in the three snapshots.
pub(crate) type Seen<'row> = (
    Option<&'row Redemption>,
    Option<&'row Admission>,
    Option<&'row Redemption>,
);

/// Checks one redemption.
pub(crate) fn judge(id: &str, seen: Seen<'_>, by: &Circumstances, report: &mut Report) {
    let (before, admission, after) = seen;
    let subject = format!("redemption {id}");
    let mut broken = |invariant, what, detail: String| {
        report.find_row(invariant, what, &subject, detail);
    };
    let Some(after) = after else {
        // A redemption of a person who was a member already is kept for a day.
        if admission.is_some_and(|admission| admission.outcome == "ALREADY_MEMBER")
            && before.is_none_or(|before| by.is_older(before.create_time, DAY))
        {
            return;
        }
        let what = if before.is_some() {
            "a redemption has vanished"
        } else {
            "an admission has no redemption"
        };
        let outcome = admission.map_or("no admission", |admission| admission.outcome.as_str());
        broken(Invariant::I7, what, outcome.to_owned());
        return;
    };
    if !after.is_settled() {
        if before.is_some_and(Redemption::is_settled) {
            broken(
                Invariant::I4,
                "a settled redemption went back",
                after.state.clone(),
            );
        } else if by.quiescent {
            broken(
                Invariant::I4,
                "RESERVED, though nothing is under way",
                answer_of(admission),
            );
        } else if by.is_older(after.create_time, by.stuck_after) {
            broken(
                Invariant::I4,
                "stuck: RESERVED for too long",
                answer_of(admission),
            );
        }
    }
    let Some(admission) = admission else {
        if before.is_some_and(Redemption::is_settled) || (by.quiescent && after.is_settled()) {
            broken(
                Invariant::I7,
                "settled without membership's word",
                format!("{} for {}", after.state, after.shared.user_id),
            );
        }
        return;
    };
    if let Some(detail) = crossed(&after.shared, &admission.shared, by) {
        broken(
            Invariant::I8,
            "a redemption and its admission are not of the same place, person, invitation and epoch",
            detail,
        );
    }
    if !after.is_settled() {
        return;
    }
    if let Some((invariant, what)) = wrong_state(before, admission, after, by) {
        let request = admission.request_state.as_deref().unwrap_or_default();
        broken(
            invariant,
            what,
            format!("{}, but {} {request}", after.state, admission.outcome),
        );
    }
    let (outcome, reason) = told(admission);
    if (after.outcome.as_str(), after.refuse_reason.as_str()) != (outcome, reason) {
        broken(
            Invariant::I7,
            "the caller's outcome is not what membership answered",
            format!(
                "'{} {}', but {} {}",
                after.outcome, after.refuse_reason, admission.outcome, admission.refuse_reason
            ),
        );
    }
    let differs = !after.join_request.is_empty() && after.join_request != admission.join_request;
    if differs && !admission.join_request.is_empty() {
        broken(
            Invariant::I8,
            "a redemption names another join request than its admission",
            format!("{}, but {}", after.join_request, admission.join_request),
        );
    }
}

fn answer_of(admission: Option<&Admission>) -> String {
    admission.map_or_else(
        || "membership has not answered".to_owned(),
        |admission| format!("membership answered {}", admission.outcome),
    )
}

/// Returns a difference between them that is never allowed.
fn crossed(here: &Shared, there: &Shared, by: &Circumstances) -> Option<String> {
    let erasing = by.erasing.contains(&there.user_id) || by.erasing.contains(&here.user_id);
    let pairs = here.named().into_iter().zip(there.named());
    let differing =
        pairs.filter(|((name, here), (_, there))| here != there && !(erasing && *name == "user"));
    let details: Vec<String> = differing
        .map(|((name, here), (_, there))| format!("{name} '{here}' and '{there}'"))
        .collect();
    (!details.is_empty()).then(|| details.join(", "))
}

/// Returns the outcome and the reason that the caller gets for membership's answer (P9).
fn told(admission: &Admission) -> (&str, &str) {
    match admission.outcome.as_str() {
        "QUEUED" | "ALREADY_PENDING" => ("PENDING_APPROVAL", ""),
        "STALE_EPOCH" => ("", ""),
        // A redemption into a deleted place gets the same answer as any useless credential (R5).
        "REFUSED"
            if matches!(
                admission.refuse_reason.as_str(),
                "CLASS_NOT_FOUND" | "ORGANIZATION_NOT_FOUND"
            ) =>
        {
            ("REFUSED", "CODE_NOT_USABLE")
        }
        outcome => (outcome, &admission.refuse_reason),
    }
}

/// Returns the error in the state of a settled redemption, if any (T3, P5).
fn wrong_state(
    before: Option<&Redemption>,
    admission: &Admission,
    after: &Redemption,
    by: &Circumstances,
) -> Option<(Invariant, &'static str)> {
    const OTHERWISE: (Invariant, &str) =
        (Invariant::I7, "settled otherwise than membership answered");
    let state = after.state.as_str();
    let right = match admission.outcome.as_str() {
        "ADMITTED" => state == "COMMITTED",
        "ALREADY_PENDING" | "ALREADY_MEMBER" | "STALE_EPOCH" => state == "RELEASED",
        "REFUSED" => state == "REFUSED",
        "QUEUED" => match &admission.request_state {
            // A missing request violates I6.
            None => true,
            Some(state) => return wrong_state_of_queued(before, state, admission, after, by),
        },
        _ => false,
    };
    (!right).then_some(OTHERWISE)
}

fn wrong_state_of_queued(
    before: Option<&Redemption>,
    request_state: &str,
    admission: &Admission,
    after: &Redemption,
    by: &Circumstances,
) -> Option<(Invariant, &'static str)> {
    let wrong = Some((
        Invariant::I7,
        "settled otherwise than its join request ended",
    ));
    match (after.state.as_str(), request_state) {
        ("QUEUED", "PENDING") | ("COMMITTED", "APPROVED") => None,
        ("QUEUED", _) => {
            let patience = if by.skipped.contains(&admission.join_request) {
                by.sweep
            } else {
                by.stuck_after
            };
            let written = admission.end_written_time.unwrap_or(i64::MIN);
            (by.quiescent || by.is_older(written, patience)).then_some((
                Invariant::I4,
                "stuck: QUEUED, though its join request has ended",
            ))
        }
        ("RELEASED", "PENDING") if lapsed(admission, after, by) => None,
        // The request may have ended after membership was read, unless the redemption was settled
        // before.
        ("RELEASED" | "COMMITTED", "PENDING") => {
            let settled_before = before.is_some_and(|before| before.state == after.state);
            if settled_before || by.quiescent {
                wrong
            } else {
                None
            }
        }
        ("RELEASED", ended) if ended != "APPROVED" => None,
        _ => wrong,
    }
}

/// Returns true if the request had expired when it was settled: membership reports it as expired
/// from that time on, even before its sweep.
fn lapsed(admission: &Admission, settled: &Redemption, by: &Circumstances) -> bool {
    let times = admission.expire_time.zip(settled.settle_time);
    times.is_some_and(|(expires, settled)| expires <= settled.saturating_add(by.tolerance))
}

#[cfg(test)]
#[path = "judgment_tests.rs"]
mod tests;
