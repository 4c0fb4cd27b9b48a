//! All that can happen next. A step that changes nothing is none.

use homeroom_api::ids::UserId;
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
    /// Redeem arrives, for the first time or again: T1, or what its request id stands for.
    Redeem(usize),
    /// The second half of a T1 that checks first (variant).
    Insert(usize),
    /// Admit arrives, from a task, from recovery, late or again: T2. Whoever reserved may have sent it
    /// at any time since, so that every redemption's Admit is always on its way.
    Admit(usize),
    /// The second half of a T2 that checks first (variant).
    WriteDecided,
    /// `BatchAdmit` arrives with these two.
    BatchAdmit(usize, usize),
    /// A task that waits hears membership's answer and tells the caller (P12).
    Tell(usize, usize),
    /// T3 with a reply, by the task, by recovery or the sweep, late or again.
    Settle(usize),
    /// The follower takes the next event.
    Follow,
    /// The follower takes an event that it took before.
    FollowAgain(usize),
    /// The next event is poisoned, and skipped.
    SkipEvent,
    /// Staff change an invitation: its transaction.
    Change(usize, Change),
    /// `RaiseFence` arrives, with this epoch.
    RaiseFence(usize, i64),
    /// The reply to `RaiseFence` arrives, and the change is answered.
    ConfirmFence(usize),
    /// A waiting request ends so, by staff, the person or time.
    End(usize, RequestState),
    /// A member goes.
    Depart(usize, Departure),
    /// A reservation's time runs out (variant).
    TimeOut(usize),
    /// The invitations service crashes and starts.
    CrashInvitations,
    /// The membership service crashes and starts.
    CrashMembership,
}

/// One search's model: the protocol under a configuration.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// What it is about.
    pub configuration: Configuration,
    /// What the services' functions are given.
    pub values: Values,
}

impl Protocol {
    /// The protocol under `configuration`; None if an id of its values were malformed.
    #[must_use]
    pub fn new(configuration: Configuration) -> Option<Self> {
        let values = Values::of(&configuration)?;
        Some(Self {
            configuration,
            values,
        })
    }

    /// Whether `variant` is the rule left out.
    #[must_use]
    pub fn is(&self, variant: Variant) -> bool {
        self.configuration.variant == variant
    }

    /// Who decides requests.
    #[must_use]
    pub const fn decider(&self) -> &UserId {
        &self.values.decider
    }

    /// Makes the step, where it can be made.
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
            Step::TimeOut(redemption) => Self::time_out(state, redemption),
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
            let standing = state.invitations.invitations[0].standing;
            for change in &self.configuration.changes.0 {
                let possible = match change {
                    Change::Reset | Change::Off => standing == Standing::On,
                    Change::On => standing == Standing::Off,
                    Change::Revoke => standing != Standing::Revoked,
                };
                if possible {
                    steps.push(Step::Change(0, *change));
                }
            }
        }
        if !self.is(Variant::NoFence) {
            for (invitation, row) in state.invitations.invitations.iter().enumerate() {
                // Of every epoch so far: the older ones arrive late.
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
                    if person.memberships(departure.from) > 0 {
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
