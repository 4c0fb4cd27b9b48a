//! The effect of an attempt, given the person's earlier redemptions of the same invitation: one live redemption, and
//! one use (P2, P4).

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;

use super::decide::{Decision, Facts, decide};
use super::invitation::{Epoch, Invitation};
use super::redemption::RedemptionState;

/// An earlier redemption of the person, with the facts that a later one depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierRedemption<T> {
    /// The redemption.
    pub redemption: T,
    /// The state.
    pub state: RedemptionState,
    /// The invitation's epoch when it began.
    pub epoch: Epoch,
    /// True if it holds the person's use.
    pub holds_use: bool,
}

/// The effect of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep<T> {
    /// The attempt joins this redemption (P2).
    Join(T),
    /// The attempt begins a redemption of its own.
    Begin {
        /// The decision for it; never [`Decision::Refuse`].
        decision: Decision,
        /// True if it holds a use. It is false if the redemption leads nowhere (P3), and if a use was spent on the
        /// person before (P4).
        holds_use: bool,
        /// The waiting redemption that hands its use over.
        takes_over: Option<T>,
    },
    /// The attempt is refused.
    Refuse(ErrorReason),
}

/// Returns the effect of an attempt at `now`. `earlier` are the person's live or COMMITTED redemptions of the
/// invitation, oldest first; uses are counted from the epoch `uses_since` on.
///
/// A redemption under way is joined, whatever would be decided now. A waiting redemption is joined as long as the
/// person would be queued now; a person who would be admitted by now takes its use over.
#[must_use]
pub fn next_step<T: Copy>(
    invitation: &Invitation,
    uses_since: Epoch,
    facts: &Facts,
    earlier: &[EarlierRedemption<T>],
    now: DateTime<Utc>,
) -> NextStep<T> {
    let newest = |state| {
        let mut newest_first = earlier.iter().rev();
        newest_first.find(|one| one.state == state && one.epoch == invitation.epoch)
    };
    let is_spent = facts.has_use
        || earlier.iter().any(|one| {
            one.state == RedemptionState::Committed && one.holds_use && one.epoch >= uses_since
        });
    let waiting = newest(RedemptionState::Queued);
    let takes_over = waiting.filter(|waiting| waiting.holds_use);
    let facts = Facts {
        has_use: is_spent || takes_over.is_some(),
        ..facts.clone()
    };
    let decision = decide(invitation, &facts, now);
    match (decision, newest(RedemptionState::Reserved), waiting) {
        // The missing use may be the person's own.
        (Decision::Refuse(reason), under_way, _)
            if reason != ErrorReason::UseInProgress || under_way.is_none() =>
        {
            NextStep::Refuse(reason)
        }
        (_, Some(under_way), _) => NextStep::Join(under_way.redemption),
        (Decision::Queue(_) | Decision::OnlyIfKnown(_), None, Some(waiting)) => {
            NextStep::Join(waiting.redemption)
        }
        (decision, None, _) => NextStep::Begin {
            decision,
            holds_use: decision.holds_use() && (takes_over.is_some() || !is_spent),
            takes_over: takes_over.map(|waiting| waiting.redemption),
        },
    }
}

/// Returns the redemption that gets a use back when another one of the person, of `epoch`, gives it up: one that
/// admitted them, otherwise the newest that waits. So no person is a member, or waits, without a use.
#[must_use]
pub fn use_goes_to<T: Copy>(earlier: &[EarlierRedemption<T>], epoch: Epoch) -> Option<T> {
    let newest_without = |state| {
        let mut newest_first = earlier.iter().rev();
        newest_first.find(|one| one.state == state && one.epoch == epoch && !one.holds_use)
    };
    newest_without(RedemptionState::Committed)
        .or_else(|| newest_without(RedemptionState::Queued))
        .map(|one| one.redemption)
}

#[cfg(test)]
#[path = "earlier_redemptions_tests.rs"]
mod tests;
