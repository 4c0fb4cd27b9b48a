//! A membership service in memory, which keeps its part of the protocol, and can be unreachable, lose its answers and
//! raise its fences.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard},
    time::Instant,
};

use async_trait::async_trait;
use chrono::DateTime;
use homeroom_api::{
    common::v1::{ErrorReason, Event, ListEventsResponse},
    ids::UserId,
    membership::v1::{
        AdmitRequest, JoinRequest, Member, Permission, admit_request, join_request::State,
    },
    names::{Place, RedemptionName},
};
use homeroom_invitations::{
    domain::{
        invitation::Epoch,
        redemption::{MembershipAnswer, RequestEnd},
    },
    membership::{Access, Admission, Membership, UserRecords},
    store::PersonKnown,
};
use homeroom_kit::{
    Error, Result, erasure::Replacement, events::page_token_expired, paging::not_of_this_list,
};

/// The behavior of the service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It answers.
    #[default]
    Up,
    /// It receives nothing.
    Away,
    /// It does what it is asked, and its answer is lost.
    LosesAnswers,
    /// It does what it is asked, and its reply lacks the last row.
    ForgetsTheLast,
    /// It answers, but raises no fence.
    RaisesNoFence,
}

#[derive(Debug, Default)]
pub(crate) struct FakeState {
    pub(crate) mode: Mode,
    pub(crate) admissions: HashMap<String, (MembershipAnswer, String)>,
    pub(crate) members: HashSet<(String, String)>,
    /// The people whom staff removed after every invitation was made (R8).
    pub(crate) removed: HashSet<String>,
    pub(crate) requests: BTreeMap<String, JoinRequest>,
    pub(crate) fences: HashMap<String, i64>,
    pub(crate) seats: Option<usize>,
    pub(crate) events: Vec<Event>,
    /// True if the class is archived.
    pub(crate) archived: bool,
    /// Every request to admit that was received, in order.
    pub(crate) heard: Vec<AdmitRequest>,
    /// The deadline of each question for an earlier answer, as it was given.
    pub(crate) reads: Vec<Option<Instant>>,
    /// A fence that goes up between T1 and T2 of the next redemption.
    pub(crate) fence_before_next: Option<(String, i64)>,
    /// The largest number of redemptions in one call.
    pub(crate) largest_call: usize,
    /// The deadline of each call to admit, as it was given.
    pub(crate) admit_deadlines: Vec<Option<Instant>>,
    /// The pseudonyms to whom redemptions were given by an erasure.
    pub(crate) given: HashMap<String, String>,
    /// The pseudonyms of erasures done.
    pub(crate) erasures: Vec<String>,
    /// The number of events that were pruned from the beginning of the feed.
    pub(crate) pruned: usize,
    /// The people whose classes prevent an erasure, which is noticed only once it is made.
    pub(crate) owners: HashSet<String>,
}

/// `tess` manages the class, `cora` reads its invitations, `sam` sees it; nobody else does.
#[derive(Debug, Default)]
pub(crate) struct FakeMembership(Mutex<FakeState>);

impl FakeMembership {
    pub(crate) fn state(&self) -> MutexGuard<'_, FakeState> {
        self.0.lock().unwrap()
    }

    /// Returns the epoch of a fence; 0 if it was never raised.
    pub(crate) fn fence(&self, invitation: &str) -> i64 {
        self.state().fences.get(invitation).copied().unwrap_or(0)
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.state().mode = mode;
    }

    /// Ends the open request of a user. Returns the event of the feed.
    pub(crate) fn end_request(&self, user: &str, end: State) -> Event {
        let mut state = self.state();
        let open = state.pending().find(|request| request.user == user);
        let name = open.expect("the user has an open request").name.clone();
        state.end_request(&name, end)
    }
}

impl FakeState {
    /// Returns the people whose requests are open.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.pending().map(|request| request.user.clone()).collect()
    }

    fn end_request(&mut self, name: &str, end: State) -> Event {
        let request = self.requests.get_mut(name).unwrap();
        request.set_state(end);
        let event = Event {
            id: format!("event-{}", self.events.len()),
            r#type: format!("join_request.{}", end.as_str_name().to_lowercase()),
            subject: name.to_owned(),
            actor: "tess".to_owned(),
            data: [("redemption".to_owned(), request.redemption.clone())].into(),
            ..Event::default()
        };
        if end == State::Approved {
            let (parent, _) = name.split_once("/joinRequests").unwrap();
            let member = (parent.to_owned(), request.user.clone());
            self.members.insert(member);
        }
        self.events.push(event.clone());
        event
    }

    fn open_request(&self, parent: &str, user: &str) -> Option<String> {
        let there = format!("{parent}/joinRequests");
        let mut open = self.pending();
        let found = open.find(|request| request.user == user && request.name.starts_with(&there));
        found.map(|request| request.name.clone())
    }

    fn pending(&self) -> impl Iterator<Item = &JoinRequest> {
        let all = self.requests.values();
        all.filter(|request| request.state() == State::Pending)
    }

    /// Fails unless it answers.
    fn answers(&self) -> Result<()> {
        match self.mode {
            Mode::Up => Ok(()),
            _ => Err(away()),
        }
    }

    fn decide(&mut self, asked: &AdmitRequest) -> (MembershipAnswer, String) {
        let only = |answer| (answer, String::new());
        let user = asked.user.as_ref().unwrap().user.clone();
        let fence = self.fences.get(&asked.invitation);
        if fence.is_some_and(|fence| asked.epoch < *fence) {
            return only(MembershipAnswer::StaleEpoch);
        }
        let key = (asked.parent.clone(), user.clone());
        if self.members.contains(&key) {
            return only(MembershipAnswer::AlreadyMember);
        }
        let open = self.open_request(&asked.parent, &user);
        let only_if_known = asked.refuse_reason() != ErrorReason::Unspecified;
        let queues = asked.route() == admit_request::Route::Queue
            || (self.removed.contains(&user) && !asked.allow_rejoin);
        if let Some(open) = &open
            && (only_if_known || queues)
        {
            return (MembershipAnswer::AlreadyPending, open.clone());
        }
        if only_if_known {
            return only(MembershipAnswer::Refused(asked.refuse_reason()));
        }
        if queues {
            let name = format!("{}/joinRequests/{}", asked.parent, self.requests.len());
            if !asked.validate_only {
                let mut request = JoinRequest {
                    name: name.clone(),
                    user,
                    redemption: asked.redemption.clone(),
                    ..JoinRequest::default()
                };
                request.set_state(State::Pending);
                self.requests.insert(name.clone(), request);
            }
            return (MembershipAnswer::Queued, name);
        }
        if self.seats.is_some_and(|seats| self.members.len() >= seats) {
            return only(MembershipAnswer::Refused(ErrorReason::NoSeats));
        }
        if !asked.validate_only {
            self.members.insert(key);
            // P8: an admission closes the person's open request.
            if let Some(open) = open {
                self.end_request(&open, State::Closed);
            }
        }
        only(MembershipAnswer::Admitted)
    }

    /// Returns the user to whom a redemption is ascribed.
    fn user_of(&self, redemption: &str) -> Option<UserId> {
        let mut heard = self.heard.iter();
        let asked = heard.find(|asked| asked.redemption == redemption)?;
        let user = &asked.user.as_ref()?.user;
        let user = self.given.get(redemption).unwrap_or(user);
        UserId::parse(user).ok()
    }

    fn erase(&mut self, user: &str, pseudonym: &str) -> Result<()> {
        if self.erasures.iter().any(|done| done == pseudonym) {
            return Ok(());
        }
        if self.owners.contains(user) {
            return Err(Error::new(ErrorReason::LastOwner, "Transfer the class."));
        }
        self.erasures.push(pseudonym.to_owned());
        let answered: Vec<String> = self.admissions.keys().cloned().collect();
        for redemption in answered {
            let of = self.user_of(&redemption);
            if of.is_some_and(|of| of.as_str() == user) {
                self.given.insert(redemption, pseudonym.to_owned());
            }
        }
        self.members.retain(|(_, member)| member != user);
        for request in self.requests.values_mut() {
            if request.user == user {
                pseudonym.clone_into(&mut request.user);
            }
        }
        let waiting = self.pending().filter(|request| request.user == pseudonym);
        let waiting: Vec<String> = waiting.map(|request| request.name.clone()).collect();
        for name in waiting {
            self.end_request(&name, State::Closed);
        }
        Ok(())
    }

    fn admission(
        &self,
        answer: MembershipAnswer,
        request: &str,
        member: Option<Member>,
    ) -> Admission {
        use MembershipAnswer::{Admitted, AlreadyMember};
        let request = self.requests.get(request).cloned();
        let end = request.as_ref().and_then(|request| match request.state() {
            State::Approved => Some(RequestEnd::Approved),
            State::Denied => Some(RequestEnd::Denied),
            State::Withdrawn => Some(RequestEnd::Withdrawn),
            State::Expired => Some(RequestEnd::Expired),
            State::Closed => Some(RequestEnd::Closed),
            _ => None,
        });
        Admission {
            answer,
            member: member.filter(|_| [Admitted, AlreadyMember].contains(&answer)),
            join_request: request,
            request_end: end,
            organization_display_name: "Hamilton".to_owned(),
            class_display_name: "Biology".to_owned(),
            user: None,
            answered_before: false,
        }
    }
}

pub(crate) fn away() -> Error {
    Error::unavailable(ErrorReason::MembershipUnavailable, "It is away; retry.")
}

fn member_of(asked: &AdmitRequest) -> Member {
    let user = asked.user.as_ref().unwrap().user.clone();
    Member {
        name: format!("{}/members/{user}", asked.parent),
        user,
        ..Member::default()
    }
}

#[async_trait]
impl Membership for FakeMembership {
    async fn admit(
        &self,
        requests: &[AdmitRequest],
        deadline: Option<Instant>,
    ) -> Vec<Result<Admission>> {
        let mut state = self.state();
        state.admit_deadlines.push(deadline);
        if state.mode == Mode::Away {
            return requests.iter().map(|_| Err(away())).collect();
        }
        state.largest_call = state.largest_call.max(requests.len());
        let mut people = HashSet::new();
        let answers: Vec<Admission> = requests
            .iter()
            .map(|asked| {
                let person = member_of(asked).name;
                assert!(people.insert(person), "P11: a person twice in one call");
                state.heard.push(asked.clone());
                if let Some((invitation, epoch)) = state.fence_before_next.take() {
                    state.fences.insert(invitation, epoch);
                }
                let stored = state.admissions.get(&asked.redemption).cloned();
                let answered_before = stored.is_some();
                let (answer, request) = stored.unwrap_or_else(|| {
                    let (decided, key) = (state.decide(asked), asked.redemption.clone());
                    if !asked.validate_only {
                        state.admissions.insert(key, decided.clone());
                    }
                    decided
                });
                Admission {
                    answered_before,
                    user: state.user_of(&asked.redemption),
                    ..state.admission(answer, &request, Some(member_of(asked)))
                }
            })
            .collect();
        if state.mode == Mode::LosesAnswers {
            return requests.iter().map(|_| Err(away())).collect();
        }
        let told = match state.mode {
            Mode::ForgetsTheLast => answers.len() - 1,
            _ => answers.len(),
        };
        answers.into_iter().take(told).map(Ok).collect()
    }

    async fn get_admission(
        &self,
        redemption: &RedemptionName,
        deadline: Option<Instant>,
    ) -> Result<Option<Admission>> {
        let mut state = self.state();
        state.answers()?;
        state.reads.push(deadline);
        let name = redemption.to_string();
        let mut heard = state.heard.iter();
        let member = heard.find(|asked| asked.redemption == name).map(member_of);
        let found = state.admissions.get(&name);
        Ok(found.map(|(answer, request)| Admission {
            user: state.user_of(&name),
            ..state.admission(*answer, request, member)
        }))
    }

    async fn look_at_person(&self, _: &UserId, _: Option<Instant>) -> Result<Vec<PersonKnown>> {
        if self.state().mode == Mode::Away {
            return Err(away());
        }
        Ok(Vec::new())
    }

    async fn user_records(
        &self,
        _: &UserId,
        _: u32,
        _: &str,
        _: Option<Instant>,
    ) -> Result<UserRecords> {
        self.state().answers()?;
        Ok(UserRecords {
            records: Vec::new(),
            next_page_token: String::new(),
            known: Vec::new(),
        })
    }

    async fn erase_user(&self, user: &UserId, pseudonym: &UserId) -> Result<()> {
        let mut state = self.state();
        if state.mode == Mode::Away {
            return Err(away());
        }
        state.erase(user.as_str(), pseudonym.as_str())?;
        state.answers()
    }

    async fn move_user(&self, _: &Replacement, _: &UserId) -> Result<()> {
        Err(away())
    }

    async fn raise_fence(
        &self,
        invitation: &str,
        epoch: Epoch,
        _: Option<Instant>,
    ) -> Result<Epoch> {
        let mut state = self.state();
        state.answers()?;
        let fence = state.fences.entry(invitation.to_owned()).or_default();
        *fence = (*fence).max(epoch.value());
        Ok(Epoch::new(*fence))
    }

    async fn check_access(
        &self,
        user: &UserId,
        place: &Place,
        permission: Permission,
        _: Option<Instant>,
    ) -> Result<Access> {
        let state = self.state();
        if !matches!(state.mode, Mode::Up | Mode::RaisesNoFence) {
            return Err(away());
        }
        let (visible, reads, manages) = match user.as_str() {
            "tess" => (true, true, true),
            "cora" => (true, true, false),
            "sam" => (true, false, false),
            _ => (false, false, false),
        };
        Ok(Access {
            visible,
            allowed: match permission {
                Permission::View => visible,
                Permission::ReadInvitations => reads,
                _ => manages,
            },
            archived: state.archived,
            organization_display_name: "Hamilton".to_owned(),
            class_display_name: "Biology".to_owned(),
            code_prefix: place.organization().as_str().to_ascii_uppercase(),
            seat_limit: 300,
            notify: Vec::new(),
        })
    }

    async fn list_events(&self, page_size: u32, page_token: &str) -> Result<ListEventsResponse> {
        let state = self.state();
        state.answers()?;
        let from: usize = page_token.parse().unwrap_or(state.pruned);
        if from < state.pruned {
            return Err(page_token_expired(DateTime::UNIX_EPOCH));
        }
        if from > state.events.len() {
            return Err(not_of_this_list());
        }
        let page = state.events.iter().skip(from).take(page_size as usize);
        let events: Vec<Event> = page.cloned().collect();
        Ok(ListEventsResponse {
            pruned_till_time: None,
            next_page_token: (from + events.len()).to_string(),
            events,
        })
    }
}
