//! The transactions of the invitations service: T1, T3, the feed, and changes of an invitation.

use homeroom_invitations::domain::{
    decide::Facts,
    earlier_redemptions::{EarlierRedemption, NextStep, next_step, use_goes_to},
    invitation::{Invitation, Standing, Uses},
    redemption::{MembershipAnswer, RedemptionState, RequestEnd, follow, settle},
};

use crate::{
    configuration::{Change, Variant, moment},
    state::{RedemptionRow, Reply, State},
    steps::Protocol,
    words::{Route, Told, end_of, heard, told},
};

/// Membership's word on a redemption.
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
            NextStep::Refuse(_)
            | NextStep::Begin {
                decision: Route::Refuse(_),
                ..
            } => {}
            NextStep::Begin { decision, .. } if self.is(Variant::UsesCheckedThenTaken) => {
                state.memory.judged[call] = Some(decision);
            }
            NextStep::Begin {
                decision,
                holds_use,
                takes_over,
            } => self.insert(state, call, decision, holds_use, takes_over),
            NextStep::Join(redemption) => self.wait_for(state, call, redemption),
        }
    }

    fn invitation(&self, state: &State, index: usize) -> Invitation {
        let row = &state.invitations.invitations[index];
        Invitation {
            epoch: row.epoch,
            standing: row.standing,
            uses: row.uses,
            issue_time: moment(row.issued),
            allow_rejoin: row.allow_rejoin,
            ..self.values.invitations[index].clone()
        }
    }

    /// Returns the earlier redemptions of an invitation by a person.
    fn standing(state: &State, user: usize, invitation: usize) -> Vec<EarlierRedemption<usize>> {
        let rows = state.invitations.redemptions.iter().enumerate();
        let of_person = rows.filter(|(_, row)| row.user == user && row.invitation == invitation);
        of_person
            .map(|(redemption, row)| EarlierRedemption {
                redemption,
                state: row.state,
                epoch: row.epoch,
                holds_use: row.holds_use,
            })
            .collect()
    }

    fn judge(&self, state: &State, index: usize) -> NextStep<usize> {
        let (user, invitation) = self.configuration.calls[index];
        let row = &state.invitations.invitations[invitation];
        let mut standing = Self::standing(state, user, invitation);
        if self.is(Variant::WaitingIsBypassed) {
            standing.retain(|one| one.state != RedemptionState::Queued);
        }
        if self.is(Variant::UsesByVisit) {
            standing.retain(|one| one.state != RedemptionState::Committed);
        }
        let facts = Facts {
            guess_guarded: row.guess_guarded,
            ..self.values.attempt.clone()
        };
        next_step(
            &self.invitation(state, invitation),
            row.uses_since_epoch,
            &facts,
            &standing,
            moment(state.tick),
        )
    }

    fn insert(
        &self,
        state: &mut State,
        index: usize,
        route: Route,
        holds_use: bool,
        takes_over: Option<usize>,
    ) {
        if state.invitations.redemptions.len() >= self.configuration.redemptions_max {
            return;
        }
        let (user, invitation) = self.configuration.calls[index];
        let redemption = state.invitations.redemptions.len();
        let row = &mut state.invitations.invitations[invitation];
        if holds_use {
            row.uses.reserved += 1;
        }
        if let Some(waiting) = takes_over {
            state.invitations.redemptions[waiting].holds_use = false;
            row.uses.queued -= 1;
        }
        state.invitations.redemptions.push(RedemptionRow {
            user,
            invitation,
            epoch: row.epoch,
            route,
            holds_use,
            issued: row.issued,
            allow_rejoin: row.allow_rejoin,
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
        if self.configuration.request_ids {
            state.invitations.request_ids[call] = Some(redemption);
        }
        state.memory.waiting[call] = Some(redemption);
    }

    /// Variant: inserts the earlier decision, whatever has happened since.
    pub(crate) fn insert_judged(&self, state: &mut State, call: usize) {
        if let Some(route) = state.memory.judged[call].take() {
            let holds_use = !matches!(route, Route::OnlyIfKnown(_));
            self.insert(state, call, route, holds_use, None);
        }
    }

    /// The waiting task returns membership's answer to its caller (P12). If the answer is stale, it
    /// decides again, as a retry does.
    pub(crate) fn tell(state: &mut State, call: usize, reply: usize) {
        if let Reply::Admission { word, .. } = state.replies[reply] {
            state.memory.waiting[call] = None;
            state.history.told[call] = told(word);
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
        let answer = heard(word);
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
            Heard::Answer(answer) if self.is(Variant::SettleOverwrites) => {
                (settle(RedemptionState::Reserved, answer), Told::of(answer))
            }
            Heard::Answer(answer) => (settle(row.state, answer), Told::of(answer)),
            Heard::End(end) => (follow(row.state, end), Some(Told::PendingApproval)),
        };
        self.put(state, redemption, to, outcome);
    }

    /// Writes a state, with the first outcome and the uses.
    fn put(&self, state: &mut State, redemption: usize, to: RedemptionState, told: Option<Told>) {
        let row = &mut state.invitations.redemptions[redemption];
        let from = row.state;
        if from == to {
            return;
        }
        state.history.went_back |= from.is_final();
        row.state = to;
        row.outcome = row.outcome.or(told);
        let row = *row;
        if !row.holds_use {
            return;
        }
        let mut counted = vec![(from, -1), (to, 1)];
        if matches!(to, RedemptionState::Released | RedemptionState::Refused)
            && !self.is(Variant::TakenForGood)
        {
            let standing = Self::standing(state, row.user, row.invitation);
            if let Some(other) = use_goes_to(&standing, row.epoch) {
                let other = &mut state.invitations.redemptions[other];
                other.holds_use = true;
                counted.push((other.state, 1));
            }
        }
        let invitation = &mut state.invitations.invitations[row.invitation];
        if row.epoch >= invitation.uses_since_epoch {
            for (counted_as, by) in counted {
                if let Some(count) = count_of(&mut invitation.uses, counted_as) {
                    *count = count.saturating_add_signed(by);
                }
            }
        }
    }

    /// Variant: the use is given back because time ran out.
    pub(crate) fn time_out(&self, state: &mut State, redemption: usize) {
        if state.invitations.redemptions[redemption].state == RedemptionState::Reserved {
            self.put(state, redemption, RedemptionState::Released, None);
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
            Change::Admit => row.guess_guarded = false,
            Change::AllowRejoin => row.allow_rejoin = true,
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
