//! The transactions of the membership service: T2, the fence, the ends of requests, and departures
//! of members.

use homeroom_membership::domain::{
    admission::{Attempt, ClassStanding, Facts, Membership, decide},
    join_request::State as RequestState,
    member::Role,
    removal::Removals,
};

use crate::{
    configuration::{Departure, Place, Variant, moment},
    state::{Reply, State},
    steps::Protocol,
    words::{Plan, Word, end_of, on_the_wire},
};

impl Protocol {
    fn place_of(&self, state: &State, redemption: usize) -> Place {
        let row = &state.invitations.redemptions[redemption];
        self.configuration.ways_in[row.invitation].place
    }

    fn facts(&self, state: &State, redemption: usize) -> Facts {
        let row = &state.invitations.redemptions[redemption];
        let place = self.place_of(state, redemption);
        let person = &state.membership.persons[row.user];
        let stored = state.membership.admissions[redemption];
        Facts {
            stored: stored.filter(|_| !self.is(Variant::NoKeyOnAdmissions)),
            fence: state.membership.fences[row.invitation],
            organization_exists: true,
            class: match place {
                Place::Organization => ClassStanding::NotAskedFor,
                Place::Class => ClassStanding::Active,
            },
            membership: if person.memberships[place as usize] > 0 {
                Membership::Place
            } else if person.memberships[Place::Organization as usize] > 0 {
                Membership::OrganizationOnly
            } else {
                Membership::Nothing
            },
            has_open_request: state
                .waiting_request(&self.configuration, row.user, place)
                .is_some(),
            removals: Removals {
                from_class: person.removed[Place::Class as usize]
                    .filter(|_| place == Place::Class)
                    .map(moment),
                from_organization: person.removed[Place::Organization as usize].map(moment),
            },
            denied_at: person.denied[place as usize].then(|| moment(state.tick)),
            seat_is_free: state.seats(self.configuration.seat_limit).take().is_ok(),
        }
    }

    fn plan(&self, state: &State, redemption: usize) -> Plan {
        let row = &state.invitations.redemptions[redemption];
        let (route, refuse_reason) = on_the_wire(row.route);
        let attempt = Attempt {
            epoch: row.epoch.value(),
            route,
            refuse_reason,
            invitation_issue_time: moment(row.issued),
            allow_rejoin: row.allow_rejoin,
        };
        decide(&self.facts(state, redemption), &attempt, moment(state.tick))
    }

    /// Runs T2 and sends its reply.
    pub(crate) fn admit(&self, state: &mut State, redemption: usize) {
        let plan = self.plan(state, redemption);
        self.write(state, redemption, plan);
    }

    /// Runs T2 for two redemptions in one transaction, in order: the second sees the effects of the
    /// first.
    pub(crate) fn batch_admit(&self, state: &mut State, first: usize, second: usize) {
        if self.is(Variant::BatchDecidesAtOnce) {
            let plans =
                [first, second].map(|redemption| (redemption, self.plan(state, redemption)));
            for (redemption, plan) in plans {
                self.write(state, redemption, plan);
            }
        } else {
            self.admit(state, first);
            self.admit(state, second);
        }
    }

    /// Variant: makes T2's decision, which is written later.
    pub(crate) fn decide_only(&self, state: &mut State, redemption: usize) {
        match self.plan(state, redemption) {
            stored @ Plan::Stored(_) => self.write(state, redemption, stored),
            plan => state.memory.decided = Some((redemption, plan)),
        }
    }

    /// Variant: writes the earlier decision, whatever has happened since.
    pub(crate) fn write_decided(&self, state: &mut State) {
        if let Some((redemption, plan)) = state.memory.decided.take() {
            self.write(state, redemption, plan);
        }
    }

    fn write(&self, state: &mut State, redemption: usize, plan: Plan) {
        let row = state.invitations.redemptions[redemption];
        let word = match plan {
            Plan::Stored(word) | Plan::Answer(word) => word,
            Plan::Admit => {
                self.let_in(state, row.user, self.place_of(state, redemption));
                state.history.let_in[redemption] += 1;
                Word::Admitted
            }
            Plan::Queue(_) => {
                state.membership.requests[redemption] = Some(RequestState::Pending);
                state.membership.seats_waiting += 1;
                Word::Queued
            }
        };
        if matches!(plan, Plan::Admit | Plan::Queue(_)) {
            let answered = state.history.answered_epochs[row.invitation];
            state.history.passed_a_fence |= row.epoch.value() < answered;
        }
        state.membership.admissions[redemption] = Some(word);
        let request = state.membership.requests[redemption];
        state.send(Reply::Admission {
            redemption,
            word,
            ended: request
                .filter(|request| word == Word::Queued && *request != RequestState::Pending),
        });
    }

    /// Makes the person a Student of `place` and, if new, of the organization, and closes the
    /// requests that wait at either (P8).
    fn let_in(&self, state: &mut State, user: usize, place: Place) {
        if !self.is(Variant::AdmissionClosesNothing) {
            self.close(state, user, Place::Organization);
            self.close(state, user, place);
        }
        if state.membership.persons[user].memberships[Place::Organization as usize] == 0 {
            let seats = state.seats(self.configuration.seat_limit);
            // The decision may be old, so a wrong variant can take a seat that is no longer free.
            state.history.oversold |= seats.take().is_err();
            state.membership.seats_used += 1;
            state.membership.persons[user].memberships[Place::Organization as usize] += 1;
        }
        if place == Place::Class {
            state.membership.persons[user].memberships[Place::Class as usize] += 1;
        }
    }

    fn close(&self, state: &mut State, user: usize, place: Place) {
        if let Some(open) = state.waiting_request(&self.configuration, user, place) {
            let closed = self.values.request.clone().close(moment(state.tick)).state;
            Self::write_end(state, open, closed);
        }
    }

    /// Writes a request's end and its one event (P5).
    fn write_end(state: &mut State, redemption: usize, ended: RequestState) {
        state.membership.requests[redemption] = Some(ended);
        state.membership.seats_waiting -= 1;
        state
            .membership
            .events
            .extend(end_of(ended).map(|end| (redemption, end)));
    }

    /// Ends a waiting request, by a decision or by expiry.
    pub(crate) fn end_request(&self, state: &mut State, redemption: usize, end: RequestState) {
        let Some(present) = state.membership.requests[redemption] else {
            return;
        };
        let mut request = self.values.request.clone();
        request.state = present;
        let ended = if end == RequestState::Expired {
            let expiry = request.expire_time;
            Some(request.as_of(expiry)).filter(|_| present == RequestState::Pending)
        } else {
            request
                .decide(end, &self.values.decider, "", moment(state.tick))
                .ok()
        };
        let Some(ended) = ended else {
            return;
        };
        let user = state.invitations.redemptions[redemption].user;
        let place = self.place_of(state, redemption);
        match ended.state {
            RequestState::Approved => self.approve(state, redemption, user, place),
            RequestState::Denied => {
                Self::write_end(state, redemption, ended.state);
                state.membership.persons[user].denied[place as usize] = true;
            }
            other => Self::write_end(state, redemption, other),
        }
    }

    /// Takes the seat (X9), unless the person is a member already, and lifts removals (R8). Without
    /// a free seat the request stays.
    fn approve(&self, state: &mut State, redemption: usize, user: usize, place: Place) {
        let person = state.membership.persons[user];
        let seats = state.seats(self.configuration.seat_limit);
        if person.memberships[Place::Organization as usize] == 0 && seats.take().is_err() {
            return;
        }
        Self::write_end(state, redemption, RequestState::Approved);
        if person.memberships[place as usize] == 0 {
            self.let_in(state, user, place);
        }
        state.history.let_in[redemption] += 1;
        let removed = &mut state.membership.persons[user].removed;
        removed[Place::Organization as usize] = None;
        removed[place as usize] = None;
    }

    /// Removes a member. Leaving the organization frees the seat and closes the person's requests
    /// (R7).
    pub(crate) fn depart(&self, state: &mut State, user: usize, departure: Departure) {
        state.history.departures_left -= 1;
        state.tick += 1;
        let removed = departure.by_staff.then_some(state.tick);
        let seats = state.seats(self.configuration.seat_limit);
        let person = &mut state.membership.persons[user];
        person.memberships[Place::Class as usize] = 0;
        let place = departure.from as usize;
        person.removed[place] = removed.or(person.removed[place]);
        if departure.from == Place::Organization {
            person.memberships[Place::Organization as usize] = 0;
            if let Ok(seats) = seats.change(Some(Role::Student), None) {
                state.membership.seats_used = seats.used;
            }
            self.close(state, user, Place::Organization);
        }
        self.close(state, user, Place::Class);
    }

    /// Raises a fence and never lowers it (P7).
    pub(crate) fn raise_fence(&self, state: &mut State, invitation: usize, epoch: i64) {
        let fence = &mut state.membership.fences[invitation];
        *fence = if self.is(Variant::FenceCanFall) {
            epoch
        } else {
            epoch.max(*fence)
        };
        let stands = *fence;
        state.send(Reply::Fence { invitation, stands });
    }
}
