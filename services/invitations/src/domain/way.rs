//! What an attempt comes to beside what stands of the person by the same
//! invitation: one redemption that lives, and one use (P2, P4).

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;

use super::decide::{Decision, Facts, decide};
use super::invitation::{Epoch, Invitation};
use super::redemption::RedemptionState;

/// An earlier redemption of the person by the invitation, as far as a later one
/// depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier<T> {
    /// Which it is.
    pub redemption: T,
    /// Where it stands.
    pub state: RedemptionState,
    /// The invitation's epoch when it began.
    pub epoch: Epoch,
    /// Whether it holds the person's use.
    pub holds_use: bool,
}

/// What an attempt comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<T> {
    /// It joins this one (P2).
    Join(T),
    /// It begins a redemption of its own.
    Begin {
        /// How that leads on; never [`Decision::Refuse`].
        decision: Decision,
        /// Whether it holds a use: not where it leads nowhere (P3), nor beside one
        /// that was spent on the person before (P4).
        holds_use: bool,
        /// The one that waits and hands its use over.
        takes_over: Option<T>,
    },
    /// Nobody gets in.
    Refuse(ErrorReason),
}

/// Decides what an attempt comes to at `now`. `earlier` is what is living or
/// COMMITTED of the person by the invitation, the oldest first; uses are counted
/// from the epoch `uses_since` on.
///
/// What is under way is joined, whatever would be decided now. What waits is joined
/// as long as the person would be led to wait; whoever would be let in by now goes
/// in by its use.
#[must_use]
pub fn way_of<T: Copy>(
    invitation: &Invitation,
    uses_since: Epoch,
    facts: &Facts,
    earlier: &[Earlier<T>],
    now: DateTime<Utc>,
) -> Way<T> {
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
        // The use that is short may be the person's own.
        (Decision::Refuse(reason), under_way, _)
            if reason != ErrorReason::UseInProgress || under_way.is_none() =>
        {
            Way::Refuse(reason)
        }
        (_, Some(under_way), _) => Way::Join(under_way.redemption),
        (Decision::Queue(_) | Decision::OnlyIfKnown(_), None, Some(waiting)) => {
            Way::Join(waiting.redemption)
        }
        (decision, None, _) => Way::Begin {
            decision,
            holds_use: decision.holds_use() && (takes_over.is_some() || !is_spent),
            takes_over: takes_over.map(|waiting| waiting.redemption),
        },
    }
}

/// Returns the redemption to which a use comes back that another one of the person
/// and of `epoch` gives up: one by which they were let in, or else the newest that
/// waits. So nobody is in, or waits, without a use.
#[must_use]
pub fn heir<T: Copy>(earlier: &[Earlier<T>], epoch: Epoch) -> Option<T> {
    let newest_without = |state| {
        let mut newest_first = earlier.iter().rev();
        newest_first.find(|one| one.state == state && one.epoch == epoch && !one.holds_use)
    };
    newest_without(RedemptionState::Committed)
        .or_else(|| newest_without(RedemptionState::Queued))
        .map(|heir| heir.redemption)
}

#[cfg(test)]
#[path = "way_tests.rs"]
mod tests;
