//! Runs only the workers: both services restart with empty memory, no further message is lost, and
//! fences, recovery, the follower and the sweep do their work.
//!
//! This decides whether every state can still settle (I4). [`Protocol::drive`] takes only steps of
//! the model that a worker repeats for as long as they are possible, so the drive from a state is
//! one path of the model from there. If it leads to a settled state from every state that the
//! search reaches, there is no dead end, and once faults cease every state settles.

use homeroom_invitations::domain::redemption::RedemptionState;
use homeroom_membership::domain::join_request::State as RequestState;

use crate::{
    configuration::Variant,
    state::{Reply, State},
    steps::{Protocol, Step},
};

impl Protocol {
    /// Returns the state that the workers reach from `state`.
    #[must_use]
    pub fn drive(&self, state: &State) -> State {
        let mut state = state.clone();
        self.step(&mut state, Step::CrashInvitations);
        self.step(&mut state, Step::CrashMembership);
        self.drive_fences(&mut state);
        if !self.is(Variant::NoRecovery) {
            self.ask_about(&mut state, RedemptionState::Reserved);
        }
        for _ in state.invitations.feed_position..state.membership.events.len() {
            self.step(&mut state, Step::Follow);
        }
        if !self.is(Variant::NoSweep) {
            self.ask_about(&mut state, RedemptionState::Queued);
        }
        state
    }

    fn drive_fences(&self, state: &mut State) {
        for invitation in 0..state.invitations.invitations.len() {
            let row = state.invitations.invitations[invitation];
            if row.fence < row.epoch.value() {
                self.step(state, Step::RaiseFence(invitation, row.epoch.value()));
                let stands = state.membership.fences[invitation];
                let reply = Reply::Fence { invitation, stands };
                if let Ok(index) = state.replies.binary_search(&reply) {
                    self.step(state, Step::ConfirmFence(index));
                }
            }
        }
    }

    /// Asks membership about a redemption. Recovery uses Admit, the sweep `GetAdmission`; both then
    /// answer with the stored admission.
    fn ask_about(&self, state: &mut State, standing: RedemptionState) {
        for redemption in 0..state.invitations.redemptions.len() {
            if state.invitations.redemptions[redemption].state != standing {
                continue;
            }
            self.step(state, Step::Admit(redemption));
            self.step(state, Step::WriteDecided);
            let Some(word) = state.membership.admissions[redemption] else {
                continue;
            };
            let request = state.membership.requests[redemption];
            let ended = request.filter(|request| *request != RequestState::Pending);
            let reply = Reply::Admission {
                redemption,
                word,
                ended,
            };
            if let Ok(index) = state.replies.binary_search(&reply) {
                self.step(state, Step::Settle(index));
            }
        }
    }
}
