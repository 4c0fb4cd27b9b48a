//! Every possible next step. A step that changes nothing is not listed.

use homeroom_invitations::domain::{invitation::Standing, redemption::RedemptionState};
use homeroom_membership::domain::join_request::State as RequestState;
use stateright::{Model, Property};

use crate::{
    configuration::{Change, Configuration, Departure, Values, Variant},
    properties,
    state::{Reply, State},
};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Redeem arrives, for the first time or again: T1, or the answer of its request id.
    Redeem(usize),
    /// The second half of a T1 that checks first (variant).
    Insert(usize),
    /// Admit arrives, from a task, from recovery, late or again: T2. It may have been sent at any
    /// time since T1, so the Admit of every redemption is always under way.
    Admit(usize),
    /// The second half of a T2 that checks first (variant).
    WriteDecided,
    /// `BatchAdmit` arrives with these two redemptions.
    BatchAdmit(usize, usize),
    /// A waiting task gets membership's answer and returns it to the caller (P12).
    Tell(usize, usize),
    /// T3 runs with a reply, in the task, in recovery or in the sweep, late or again.
    Settle(usize),
    /// The follower takes the next event.
    Follow,
    /// The follower takes an event a second time.
    FollowAgain(usize),
    /// The next event cannot be followed, and is skipped.
    SkipEvent,
    /// Staff change an invitation, in one transaction.
    Change(usize, Change),
    /// `RaiseFence` arrives with this epoch.
    RaiseFence(usize, i64),
    /// The reply to `RaiseFence` arrives, and the change is answered.
    ConfirmFence(usize),
    /// A waiting request ends in this state, by staff, the person or expiry.
    End(usize, RequestState),
    /// A member leaves or is removed.
    Depart(usize, Departure),
    /// The time limit of a reservation passes (variant).
    TimeOut(usize),
    /// The invitations service crashes and restarts.
    CrashInvitations,
    /// The membership service crashes and restarts.
    CrashMembership,
}

/// The model of one search: the protocol under a configuration.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// The configuration.
    pub configuration: Configuration,
    /// The values that are passed to the services' functions.
    pub values: Values,
}

impl Protocol {
    /// Returns the protocol under `configuration`.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        let values = Values::of(&configuration);
        Self {
            configuration,
            values,
        }
    }

    /// Returns true if `variant` is the rule left out.
    #[must_use]
    pub fn is(&self, variant: Variant) -> bool {
        self.configuration.variant == variant
    }

    /// Makes the step if it is possible.
    pub fn step(&self, state: &mut State, step: Step) {
        match step {
            Step::Redeem(call) => self.redeem(state, call),
            Step::Insert(call) => self.insert_judged(state, call),
            Step::Admit(redemption) if self.is(Variant::SeatsCheckedThenTaken) => {
                self.decide_only(state, redemption);
            }
            Step::Admit(redemption) => self.admit(state, redemption),
            Step::WriteDecided => self.write_decided(state),
            Step::BatchAdmit(first, second) => self.batch_admit(state, first, second),
            Step::Tell(call, reply) => Self::tell(state, call, reply),
            Step::Settle(reply) => self.settle(state, reply),
            Step::Follow => self.follow_next(state),
            Step::FollowAgain(event) => self.follow_event(state, event),
            Step::SkipEvent => {
                if state.invitations.feed_position < state.membership.events.len() {
                    state.invitations.feed_position += 1;
                    state.history.poisoned_left -= 1;
                }
            }
            Step::Change(invitation, change) => self.change(state, invitation, change),
            Step::RaiseFence(invitation, epoch) => self.raise_fence(state, invitation, epoch),
            Step::ConfirmFence(reply) => Self::confirm_fence(state, reply),
            Step::End(redemption, end) => self.end_request(state, redemption, end),
            Step::Depart(user, departure) => self.depart(state, user, departure),
            Step::TimeOut(redemption) => self.time_out(state, redemption),
            Step::CrashInvitations => state.crash_invitations(),
            Step::CrashMembership => state.crash_membership(),
        }
    }

    fn redeeming(&self, state: &State, steps: &mut Vec<Step>) {
        for call in 0..self.configuration.calls.len() {
            if state.memory.judged[call].is_some() {
                steps.push(Step::Insert(call));
            } else if state.memory.waiting[call].is_none() && state.history.told[call].is_none() {
                steps.push(Step::Redeem(call));
            }
        }
        let redemptions = state.invitations.redemptions.len();
        if state.memory.decided.is_some() {
            steps.push(Step::WriteDecided);
        } else {
            steps.extend((0..redemptions).map(Step::Admit));
        }
        if self.configuration.batches {
            for first in 0..redemptions {
                let others = (0..redemptions).filter(|second| *second != first);
                steps.extend(others.map(|second| Step::BatchAdmit(first, second)));
            }
        }
        if self.is(Variant::ReleaseOnTimeout) {
            let rows = state.invitations.redemptions.iter().enumerate();
            let reserved = rows.filter(|(_, row)| row.state == RedemptionState::Reserved);
            steps.extend(reserved.map(|(redemption, _)| Step::TimeOut(redemption)));
        }
    }

    fn hearing(state: &State, steps: &mut Vec<Step>) {
        for (index, reply) in state.replies.iter().enumerate() {
            match *reply {
                Reply::Admission { redemption, .. } => {
                    steps.push(Step::Settle(index));
                    let waiting = state.memory.waiting.iter().enumerate();
                    let its = waiting.filter(|(_, waiting)| **waiting == Some(redemption));
                    steps.extend(its.map(|(call, _)| Step::Tell(call, index)));
                }
                Reply::Fence { .. } => steps.push(Step::ConfirmFence(index)),
            }
        }
        let followed = state.invitations.feed_position;
        if followed < state.membership.events.len() {
            steps.push(Step::Follow);
            if state.history.poisoned_left > 0 {
                steps.push(Step::SkipEvent);
            }
        }
        steps.extend((0..followed).map(Step::FollowAgain));
    }

    fn managing(&self, state: &State, steps: &mut Vec<Step>) {
        if state.history.changes_left > 0 {
            let row = &state.invitations.invitations[0];
            let standing = row.standing;
            for change in &self.configuration.changes.0 {
                let possible = match change {
                    Change::Reset | Change::Off => standing == Standing::On,
                    Change::On => standing == Standing::Off,
                    Change::Revoke => standing != Standing::Revoked,
                    Change::Admit => row.guess_guarded,
                    Change::AllowRejoin => !row.allow_rejoin,
                };
                if possible {
                    steps.push(Step::Change(0, *change));
                }
            }
        }
        if !self.is(Variant::NoFence) {
            for (invitation, row) in state.invitations.invitations.iter().enumerate() {
                // Any epoch so far may arrive, because an older `RaiseFence` can be late.
                steps.extend(
                    (2..=row.epoch.value()).map(|epoch| Step::RaiseFence(invitation, epoch)),
                );
            }
        }
        for (redemption, request) in state.membership.requests.iter().enumerate() {
            if *request == Some(RequestState::Pending) {
                let ends = self.configuration.ends.iter();
                steps.extend(ends.map(|end| Step::End(redemption, *end)));
            }
        }
        if state.history.departures_left > 0 {
            for (user, person) in state.membership.persons.iter().enumerate() {
                for departure in &self.configuration.departures.0 {
                    if person.memberships[departure.from as usize] > 0 {
                        steps.push(Step::Depart(user, *departure));
                    }
                }
            }
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(&self.configuration)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        self.redeeming(state, steps);
        Self::hearing(state, steps);
        self.managing(state, steps);
        steps.push(Step::CrashInvitations);
        steps.push(Step::CrashMembership);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        self.step(&mut next, step);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.configuration)
    }
}
