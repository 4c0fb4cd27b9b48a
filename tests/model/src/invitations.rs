//! The transactions of the invitations service: T1, T3, the feed, and changes of an invitation.

use homeroom_api::common::v1::ErrorReason;
use homeroom_invitations::domain::{
    decide::{Decision, decide},
    invitation::{Invitation, Standing, Uses},
    redemption::{MembershipAnswer, Outcome, RedemptionState, RequestEnd, follow, settle},
};

use crate::{
    configuration::{Change, Variant, moment},
    state::{RedemptionRow, Reply, State},
    steps::Protocol,
    words::{Route, Told, end_of},
};

/// The decision of T1.
enum Judgement {
    /// A new reservation.
    New(Route),
    /// The person's living redemption (P2).
    Attach(usize),
    /// Writes nothing.
    Refuse,
}

/// Membership's answer on a redemption.
#[derive(Clone, Copy)]
enum Heard {
    Answer(MembershipAnswer),
    End(RequestEnd),
}

impl Protocol {
    /// Redeem: follows the request id to its redemption, otherwise runs T1. A refusal writes
    /// nothing and is decided afresh on a retry (P9), so the model need not record it.
    pub(crate) fn redeem(&self, state: &mut State, call: usize) {
        if let Some(known) = state.invitations.request_ids[call] {
            let row = &state.invitations.redemptions[known];
            match row.outcome {
                _ if row.state == RedemptionState::Reserved => {
                    state.memory.waiting[call] = Some(known);
                    return;
                }
                Some(first) => {
                    state.history.told[call] = Some(first);
                    return;
                }
                // The stored answer was stale, so the request counts as new (P7).
                None => {}
            }
        }
        match self.judge(state, call) {
            Judgement::New(route) if self.is(Variant::UsesCheckedThenTaken) => {
                state.memory.judged[call] = Some(route);
            }
            Judgement::New(route) => self.insert(state, call, route),
            Judgement::Attach(redemption) => self.wait_for(state, call, redemption),
            Judgement::Refuse => {}
        }
    }

    fn invitation(&self, state: &State, index: usize) -> Invitation {
        let row = &state.invitations.invitations[index];
        Invitation {
            epoch: row.epoch,
            standing: row.standing,
            uses: row.uses,
            issue_time: moment(row.issued),
            ..self.values.invitations[index].clone()
        }
    }

    fn judge(&self, state: &State, index: usize) -> Judgement {
        let call = &self.configuration.calls[index];
        let invitation = self.invitation(state, call.invitation);
        let decision = decide(
            &invitation,
            &self.values.attempts[index],
            moment(state.tick),
        );
        let route = match decision {
            Decision::Admit => Some(Route::AtOnce),
            Decision::Queue(cause) => Some(Route::Queue(cause)),
            Decision::OnlyIfKnown(reason) => Some(Route::OnlyIfKnown(reason)),
            Decision::Refuse(ErrorReason::UseInProgress) => None,
            Decision::Refuse(_) => return Judgement::Refuse,
        };
        let living = state.invitations.redemptions.iter().position(|row| {
            row.user == call.user
                && row.invitation == call.invitation
                && row.epoch == invitation.epoch
                && !row.state.is_final()
        });
        match (living, route) {
            (Some(living), _) => Judgement::Attach(living),
            (None, Some(route)) => Judgement::New(route),
            (None, None) => Judgement::Refuse,
        }
    }

    fn insert(&self, state: &mut State, index: usize, route: Route) {
        if state.invitations.redemptions.len() >= self.configuration.redemptions_max {
            return;
        }
        let call = &self.configuration.calls[index];
        let redemption = state.invitations.redemptions.len();
        let invitation = &mut state.invitations.invitations[call.invitation];
        let holds_use = !matches!(route, Route::OnlyIfKnown(_));
        if holds_use {
            invitation.uses.reserved += 1;
        }
        state.invitations.redemptions.push(RedemptionRow {
            user: call.user,
            invitation: call.invitation,
            epoch: invitation.epoch,
            route,
            holds_use,
            issued: invitation.issued,
            state: RedemptionState::Reserved,
            outcome: None,
        });
        state.membership.admissions.push(None);
        state.membership.requests.push(None);
        state.history.let_in.push(0);
        self.wait_for(state, index, redemption);
    }

    /// Makes the call wait for the redemption, and records its request id in the same transaction
    /// (P2).
    fn wait_for(&self, state: &mut State, call: usize, redemption: usize) {
        if self.configuration.calls[call].has_request_id {
            state.invitations.request_ids[call] = Some(redemption);
        }
        state.memory.waiting[call] = Some(redemption);
    }

    /// Variant: inserts the earlier decision, whatever has happened since.
    pub(crate) fn insert_judged(&self, state: &mut State, call: usize) {
        if let Some(route) = state.memory.judged[call].take() {
            self.insert(state, call, route);
        }
    }

    /// The waiting task returns membership's answer to its caller (P12). If the answer is stale, it
    /// decides again, as a retry does.
    pub(crate) fn tell(state: &mut State, call: usize, reply: usize) {
        if let Reply::Admission { word, .. } = state.replies[reply] {
            state.memory.waiting[call] = None;
            state.history.told[call] = Told::of(word);
        }
    }

    /// Runs T3 with a reply.
    pub(crate) fn settle(&self, state: &mut State, reply: usize) {
        let Reply::Admission {
            redemption,
            word,
            ended,
        } = state.replies[reply]
        else {
            return;
        };
        let answer = MembershipAnswer::from(word);
        self.move_by(state, redemption, Heard::Answer(answer));
        // The request belongs to another redemption, so its end is not this redemption's end.
        if answer == MembershipAnswer::Queued
            && let Some(end) = ended.and_then(end_of)
        {
            self.move_by(state, redemption, Heard::End(end));
        }
    }

    /// Follows the next event and stores the feed's position in the same transaction (P5).
    pub(crate) fn follow_next(&self, state: &mut State) {
        let next = state.invitations.feed_position;
        if next < state.membership.events.len() {
            self.follow_event(state, next);
            state.invitations.feed_position = next + 1;
        }
    }

    pub(crate) fn follow_event(&self, state: &mut State, event: usize) {
        let (redemption, end) = state.membership.events[event];
        self.move_by(state, redemption, Heard::End(end));
    }

    fn move_by(&self, state: &mut State, redemption: usize, heard: Heard) {
        let row = state.invitations.redemptions[redemption];
        let (to, outcome) = match heard {
            Heard::Answer(answer) if self.is(Variant::SettleOverwrites) => (
                settle(RedemptionState::Reserved, answer),
                Outcome::of(answer),
            ),
            Heard::Answer(answer) => (settle(row.state, answer), Outcome::of(answer)),
            Heard::End(end) => (follow(row.state, end), Some(Outcome::PendingApproval)),
        };
        Self::put(state, redemption, to, outcome.map(Told::from));
    }

    /// Writes a redemption's state, its first outcome and the counts of uses.
    fn put(state: &mut State, redemption: usize, to: RedemptionState, outcome: Option<Told>) {
        let row = &mut state.invitations.redemptions[redemption];
        let from = row.state;
        if from == to {
            return;
        }
        state.history.went_back |= from.is_final();
        row.state = to;
        row.outcome = row.outcome.or(outcome);
        let invitation = &mut state.invitations.invitations[row.invitation];
        if row.holds_use && row.epoch >= invitation.uses_since_epoch {
            if let Some(count) = count_of(&mut invitation.uses, from) {
                *count = count.saturating_sub(1);
            }
            if let Some(count) = count_of(&mut invitation.uses, to) {
                *count += 1;
            }
        }
    }

    /// Variant: gives the use back when the time limit passes.
    pub(crate) fn time_out(state: &mut State, redemption: usize) {
        if state.invitations.redemptions[redemption].state == RedemptionState::Reserved {
            Self::put(state, redemption, RedemptionState::Released, None);
        }
    }

    /// Staff change an invitation: the transaction raises the epoch and leaves the fence pending.
    pub(crate) fn change(&self, state: &mut State, invitation: usize, change: Change) {
        state.history.changes_left -= 1;
        let row = &mut state.invitations.invitations[invitation];
        match change {
            Change::Reset => {
                state.tick += 1;
                row.epoch = row.epoch.next();
                row.uses_since_epoch = row.epoch;
                row.uses = Uses::default();
                row.issued = state.tick;
            }
            Change::Off => {
                row.epoch = row.epoch.next();
                row.standing = Standing::Off;
            }
            Change::On => row.standing = Standing::On,
            Change::Revoke => {
                row.epoch = row.epoch.next();
                row.standing = Standing::Revoked;
            }
        }
        if self.is(Variant::NoFence) {
            row.fence = row.epoch.value();
            state.history.answered_epochs[invitation] = row.fence;
        }
    }

    /// Handles membership's reply to `RaiseFence`: once the row holds the fence, the change is
    /// answered (P7).
    pub(crate) fn confirm_fence(state: &mut State, reply: usize) {
        if let Reply::Fence { invitation, stands } = state.replies[reply] {
            let row = &mut state.invitations.invitations[invitation];
            row.fence = row.fence.max(stands.min(row.epoch.value()));
            let answered = &mut state.history.answered_epochs[invitation];
            *answered = row.fence.max(*answered);
        }
    }
}

/// Returns the count that includes a redemption in `state`.
const fn count_of(uses: &mut Uses, state: RedemptionState) -> Option<&mut u32> {
    match state {
        RedemptionState::Reserved => Some(&mut uses.reserved),
        RedemptionState::Queued => Some(&mut uses.queued),
        RedemptionState::Committed => Some(&mut uses.used),
        RedemptionState::Released | RedemptionState::Refused => None,
    }
}
