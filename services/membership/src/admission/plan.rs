//! The facts about persons and places, and the changes that admissions and decisions make to them in turn. Nothing is
//! read or written here, so that one redemption and many are handled alike.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::Place,
};
use homeroom_kit::{
    failpoints::{WrongVariant, is_wrong},
    outbox::NewEvent,
};
use uuid::Uuid;

use crate::{
    app::new_events::{member_joined, member_updated, request_event},
    domain::{
        admission::{ClassStanding, Facts, Membership, Outcome},
        class::ClassState,
        join_request::{JoinRequest, SYSTEM, State},
        member::{Member, Method, Particulars, Provenance, Role, SetByHand},
        organization::FIRST_REVISION,
        removal::Removals,
        seat::{NoSeats, Seats, holds_seat},
    },
    store::{Effects, Known, PersonAt, StoredAdmission},
};

/// Plans changes to the facts. Each planned change is visible to the decisions after it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) known: Known,
    pub(super) effects: Effects,
    pub(super) events: Vec<NewEvent>,
    pub(super) now: DateTime<Utc>,
}

impl Plan {
    /// Creates an empty plan.
    pub(crate) fn new(known: Known, now: DateTime<Utc>) -> Self {
        Self {
            known,
            effects: Effects::default(),
            events: Vec::new(),
            now,
        }
    }

    /// Adds these requests to the facts.
    pub(crate) fn with_requests(mut self, requests: &[JoinRequest]) -> Self {
        let by_id = |request: &JoinRequest| (request.id, request.clone());
        self.known.requests.extend(requests.iter().map(by_id));
        self
    }

    /// Treats every other organization as one that does not exist.
    pub(crate) fn keep_organizations(&mut self, organizations: &BTreeSet<OrganizationId>) {
        let known = &mut self.known.organizations;
        known.retain(|id, _| organizations.contains(id));
    }

    /// The facts, including the planned changes.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Returns the request in its current state.
    pub(crate) fn request(&self, id: Uuid) -> Option<JoinRequest> {
        self.known
            .requests
            .get(&id)
            .cloned()
            .map(|request| request.as_of(self.now))
    }

    /// Returns the stored answer to a redemption.
    pub(crate) fn admission(&self, redemption: Uuid) -> Option<&StoredAdmission> {
        self.known.admissions.get(&redemption)
    }

    /// Returns the person's waiting request at the place.
    pub(crate) fn waiting(&self, person: &PersonAt) -> Option<&JoinRequest> {
        self.known
            .open_requests
            .get(person)
            .filter(|request| request.waits(self.now))
    }

    /// Returns the facts that decide one redemption of this person.
    pub(crate) fn facts(&self, person: &PersonAt, invitation: &str, redemption: Uuid) -> Facts {
        let (place, _) = person;
        let at_organization = at_organization(person);
        let class = match place {
            Place::Organization(_) => ClassStanding::NotAskedFor,
            Place::Class(name) => match self.known.classes.get(name).map(|class| class.state) {
                None => ClassStanding::Absent,
                Some(ClassState::Active) => ClassStanding::Active,
                Some(ClassState::Archived) => ClassStanding::Archived,
            },
        };
        let organization = self.known.organizations.get(place.organization());
        let membership = if self.known.members.contains_key(person) {
            Membership::Place
        } else if self.known.members.contains_key(&at_organization) {
            Membership::OrganizationOnly
        } else {
            Membership::Nothing
        };
        Facts {
            // Wrong on purpose, against P1: the earlier answer is ignored.
            stored: self
                .admission(redemption)
                .filter(|_| !is_wrong(WrongVariant::NoAdmissionKey))
                .map(|stored| stored.outcome),
            // Wrong on purpose, against P7: no epoch is stale.
            fence: match self.known.fences.get(invitation) {
                Some(epoch) if !is_wrong(WrongVariant::NoFence) => *epoch,
                _ => 0,
            },
            organization_exists: organization.is_some(),
            class,
            membership,
            has_open_request: self.waiting(person).is_some(),
            removals: Removals {
                from_class: place.class().and(self.known.removals.get(person).copied()),
                from_organization: self.known.removals.get(&at_organization).copied(),
            },
            denied_at: self.known.denials.get(person).copied(),
            seat_is_free: organization.is_some_and(|known| known.seats.take().is_ok()),
        }
    }

    /// Succeeds if the person can become a member there with this role: a seat is free, or none is needed.
    pub(crate) fn seat_for(&self, person: &PersonAt, role: Role) -> Result<(), NoSeats> {
        if self.known.members.contains_key(&at_organization(person)) {
            return Ok(());
        }
        let organization = self.known.organizations.get(person.0.organization());
        organization.map_or(Err(NoSeats), |known| {
            let role = role_in_organization(&person.0, role);
            known.seats.change(None, Some(role)).map(|_| ())
        })
    }

    /// Makes the person a Student of the place (A1).
    pub(crate) fn admit(
        &mut self,
        person: &PersonAt,
        (particulars, told_time): (&Particulars, DateTime<Utc>),
        provenance: &Provenance,
        actor: &str,
    ) -> Result<(), NoSeats> {
        let told = (particulars, told_time);
        self.enrol(person, Role::Student, told, provenance, actor)
    }

    /// Makes the person a member of the place and, if new there, a Student of its organization (A7), and closes their
    /// waiting requests at either (P8). A person who is a member already keeps their role and takes no seat.
    pub(crate) fn enrol(
        &mut self,
        person: &PersonAt,
        role: Role,
        (particulars, told_time): (&Particulars, DateTime<Utc>),
        provenance: &Provenance,
        actor: &str,
    ) -> Result<(), NoSeats> {
        self.seat_for(person, role)?;
        let at_organization = at_organization(person);
        for place_of_request in BTreeSet::from([&at_organization, person]) {
            if let Some(open) = self.known.open_requests.get(place_of_request).cloned() {
                self.end(open.close(self.now), SYSTEM);
            }
        }
        let mut member = Member {
            place: at_organization.0.clone(),
            user: person.1.clone(),
            particulars: particulars.clone(),
            told_time,
            set_by_hand: match provenance.method {
                Method::Added => {
                    SetByHand::default().and_changed(&Particulars::default(), particulars)
                }
                Method::Invitation(_) => SetByHand::default(),
            },
            role: role_in_organization(&person.0, role),
            join_time: self.now,
            provenance: provenance.clone(),
            revision: FIRST_REVISION,
        };
        if !self.known.members.contains_key(&at_organization) {
            let organization = person.0.organization();
            if let Some(known) = self.known.organizations.get_mut(organization) {
                known.seats = known.seats.change(None, Some(member.role))?;
            }
            if holds_seat(Some(member.role)) {
                let seats = &mut self.effects.seats;
                seats.entry(organization.clone()).or_default().used += 1;
            }
            self.join(member.clone(), actor);
        }
        if !self.known.members.contains_key(person) {
            member.place = person.0.clone();
            member.role = role;
            // A class member is shown with the particulars and the revision that the organization keeps.
            if let Some(kept) = self.known.members.get(&at_organization) {
                member.particulars = kept.particulars.clone();
                member.revision = kept.revision + FIRST_REVISION;
            }
            self.join(member, actor);
        }
        Ok(())
    }

    /// Updates the person's particulars as stated at `time`, both on the roster and in their waiting request.
    pub(crate) fn tell(&mut self, person: &PersonAt, told: &Particulars, time: DateTime<Utc>) {
        let at_organization = at_organization(person);
        let known = self.known.members.get(&at_organization);
        if let Some(member) = known.and_then(|known| known.told(told, time)) {
            let actor = member.user.as_str();
            self.events
                .push(member_updated(&member, member.role, actor));
            self.show(member);
        }
        if let Some(waiting) = self.waiting(person).cloned()
            && time >= waiting.create_time
        {
            let particulars = waiting.particulars.told(told, SetByHand::default());
            if particulars != waiting.particulars {
                let event = NewEvent {
                    event_type: "join_request.updated".into(),
                    ..request_event(&waiting, waiting.user.as_str())
                };
                self.events.push(event);
                let updated = JoinRequest {
                    particulars,
                    ..waiting
                };
                self.known
                    .open_requests
                    .insert(person.clone(), updated.clone());
                self.change_request(updated);
            }
        }
    }

    /// Stores a changed member of an organization. Class memberships show the particulars that the organization keeps.
    pub(super) fn show(&mut self, member: Member) {
        for ((place, user), shown) in &mut self.known.members {
            if *user == member.user && place.organization() == member.place.organization() {
                shown.particulars.clone_from(&member.particulars);
                shown.revision += 1;
            }
        }
        let person = (member.place.clone(), member.user.clone());
        self.known.members.insert(person.clone(), member.clone());
        self.effects.updated.insert(person, member);
    }

    fn join(&mut self, member: Member, actor: &str) {
        self.events.push(member_joined(&member, actor));
        self.effects.members.push(member.clone());
        let person = (member.place.clone(), member.user.clone());
        self.known.members.insert(person, member);
    }

    /// Files a request. It holds no seat (X9).
    pub(crate) fn file(&mut self, request: JoinRequest) {
        let person = (request.place.clone(), request.user.clone());
        // A request that has expired but was not swept yet makes room: each person has one open request (P2).
        if let Some(lapsed) = self.known.open_requests.get(&person).cloned() {
            self.end(lapsed.close(self.now), SYSTEM);
        }
        self.events
            .push(request_event(&request, request.user.as_str()));
        self.move_waiting(&request.place, 1);
        self.effects.filed.push(request.clone());
        self.known.requests.insert(request.id, request.clone());
        self.known.open_requests.insert(person, request);
    }

    /// Ends a request with its one event (P5). `ended` is the request in its new state.
    pub(crate) fn end(&mut self, ended: JoinRequest, actor: &str) {
        let person = (ended.place.clone(), ended.user.clone());
        self.events.push(request_event(&ended, actor));
        self.move_waiting(&ended.place, -1);
        if ended.state == State::Denied {
            self.known.denials.insert(person.clone(), self.now);
        }
        self.known.open_requests.remove(&person);
        self.change_request(ended);
    }

    /// Records a request's new state, once for all changes in one transaction.
    fn change_request(&mut self, request: JoinRequest) {
        self.known.requests.insert(request.id, request.clone());
        let Effects { filed, changed, .. } = &mut self.effects;
        let mut written = filed.iter_mut().chain(&mut *changed);
        match written.find(|written| written.id == request.id) {
            Some(written) => *written = request,
            None => changed.push(request),
        }
    }

    /// Forgets that staff removed the person from the place or its organization (R8).
    pub(crate) fn lift_removals(&mut self, person: &PersonAt) {
        for removed in BTreeSet::from([at_organization(person), person.clone()]) {
            if self.known.removals.remove(&removed).is_some() {
                self.effects.removed.remove(&removed);
                self.effects.lifted.push(removed);
            }
        }
    }

    /// Stores the answer to a redemption.
    pub(crate) fn answer(&mut self, admission: StoredAdmission) {
        self.known
            .admissions
            .insert(admission.redemption, admission.clone());
        self.effects.admissions.push(admission);
    }

    fn move_waiting(&mut self, place: &Place, requests: i64) {
        if let Some(known) = self.known.organizations.get_mut(place.organization()) {
            let seats: Seats = known.seats.waiting_more(requests);
            known.seats = seats;
        }
        let organization = place.organization().clone();
        self.effects.seats.entry(organization).or_default().waiting += requests;
    }

    /// Returns the seats that the plan takes in an organization, less those that it frees.
    pub(crate) fn seats_taken(&self, organization: &OrganizationId) -> i64 {
        let change = self.effects.seats.get(organization);
        change.map_or(0, |change| change.used)
    }

    /// Returns the places where requests were filed, whose staff must be told (C6).
    pub(crate) fn places_with_new_requests(&self) -> BTreeSet<Place> {
        self.effects
            .filed
            .iter()
            .map(|request| request.place.clone())
            .collect()
    }

    /// Returns the changes and events to write; events of new requests notify the staff of their place (C6).
    pub(crate) fn finish(self, staff: &BTreeMap<Place, Vec<UserId>>) -> (Effects, Vec<NewEvent>) {
        let mut events = self.events;
        for event in &mut events {
            if event.event_type == State::Pending.event_type() {
                let place = Place::new(event.organization.clone(), event.class.clone());
                event.notify = staff.get(&place).cloned().unwrap_or_default();
            }
        }
        (self.effects, events)
    }
}

/// Returns the role in the organization that goes with a role in the place: a person added to a class becomes a Student
/// of its organization (A7).
fn role_in_organization(place: &Place, role: Role) -> Role {
    match place {
        Place::Organization(_) => role,
        Place::Class(_) => Role::Student,
    }
}

pub(super) fn at_organization((place, user): &PersonAt) -> PersonAt {
    (
        Place::Organization(place.organization().clone()),
        user.clone(),
    )
}

/// The answer to a redemption, with the membership or request that it led to as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The redemption's resource name.
    pub redemption: String,
    /// The person.
    pub user: UserId,
    /// The answer.
    pub outcome: Outcome,
    /// The membership, if ADMITTED or `ALREADY_MEMBER` and it still exists.
    pub member: Option<Member>,
    /// The request, if QUEUED or `ALREADY_PENDING`.
    pub join_request: Option<JoinRequest>,
    /// The organization's display name; empty if there is none.
    pub organization_display_name: String,
    /// The class's display name; empty for an organization.
    pub class_display_name: String,
    /// Licensed seats; 0: no limit.
    pub seat_limit: i64,
    /// True if it had been answered before this call.
    pub answered_before: bool,
}

impl Plan {
    /// Returns the answer to a redemption of this person, with its member or request.
    pub(crate) fn admission_of(
        &self,
        redemption: String,
        person: &PersonAt,
        outcome: Outcome,
        join_request: Option<Uuid>,
    ) -> Admission {
        let (place, user) = person;
        let organization = self.known.organizations.get(place.organization());
        let class = match place {
            Place::Organization(_) => None,
            Place::Class(name) => self.known.classes.get(name),
        };
        let member = match outcome {
            Outcome::Admitted | Outcome::AlreadyMember => self.known.members.get(person).cloned(),
            _ => None,
        };
        Admission {
            redemption,
            user: user.clone(),
            outcome,
            member,
            join_request: join_request.and_then(|id| self.request(id)),
            organization_display_name: organization
                .map_or_else(String::new, |known| known.display_name.clone()),
            class_display_name: class.map_or_else(String::new, |class| class.display_name.clone()),
            seat_limit: organization.map_or(0, |known| known.seats.limit),
            answered_before: false,
        }
    }
}
