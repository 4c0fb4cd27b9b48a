//! A school in its own database, on either engine, and the operations that tests perform on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use homeroom_api::{
    common::v1::ErrorReason,
    ids::{CodePrefix, UserId},
    names::{ClassName, InvitationKind, JoinRequestName, Place, RedemptionName},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    clock::{Clock as _, ManualClock},
    database::Options,
    keys::KeyRing,
    outbox::{Event, Scope},
    random::SeededRandomness,
};
use homeroom_membership::{
    admission::{admit::AdmitRequest, lanes::Lanes, plan::Admission},
    app::{App, Change, decisions},
    domain::{
        admission::{Attempt, Outcome, Route},
        class::{Class, ClassState},
        join_request::{Cause, JoinRequest, JoinRequestFilter},
        member::{Member, MemberFilter, Method, Particulars, Provenance, Role, SetByHand},
        organization::{FIRST_REVISION, Organization},
        seat::Seats,
    },
    store,
};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::support::Database;

pub const ORGANIZATION: &str = "organizations/hamilton";
pub const CLASS: &str = "organizations/hamilton/classes/bio-101";
/// The organization's administrator.
pub const ADMINISTRATOR: &str = "ada";
/// The class's owner, a teacher of the organization.
pub const OWNER: &str = "tom";
/// The class's co-teacher, a teacher of the organization.
pub const CO_TEACHER: &str = "cora";

pub struct School {
    pub app: App,
    pub clock: Arc<ManualClock>,
    pub admissions: Lanes,
    redemptions: AtomicU32,
}

pub fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

pub fn caller(id: &str) -> Caller {
    Caller::for_user(user(id))
}

pub fn class() -> Place {
    Place::parse(CLASS).unwrap()
}

pub fn class_name() -> ClassName {
    ClassName::parse(CLASS).unwrap()
}

pub fn organization() -> Place {
    Place::parse(ORGANIZATION).unwrap()
}

pub fn member(place: &Place, id: &str, role: Role, now: DateTime<Utc>) -> Member {
    Member {
        place: place.clone(),
        user: user(id),
        particulars: Particulars::default(),
        told_time: now,
        set_by_hand: SetByHand::default(),
        role,
        join_time: now,
        provenance: Provenance::added(&user(ADMINISTRATOR)),
        revision: FIRST_REVISION,
    }
}

impl School {
    /// Opens the empty database. Redemptions are numbered from `first` on.
    pub async fn open(database: &Database, first: u32) -> Self {
        let options = Options {
            acquire_timeout: Duration::from_secs(30),
            ..Options::default()
        };
        let store = store::open(&database.url, options, false).await.unwrap();
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let clock = Arc::new(ManualClock::new(start));
        let random = Arc::new(SeededRandomness::new(7 + u64::from(first)));
        let keys = Arc::new(KeyRing::generate(random.as_ref()).unwrap());
        let app = App::new(store, clock.clone(), random, keys);
        Self {
            admissions: Lanes::new(app.clone()),
            app,
            clock,
            redemptions: AtomicU32::new(first),
        }
    }

    /// Creates Hamilton with its class, its staff and this many seats (0: no limit), none taken.
    pub async fn with_seats(database: &Database, seat_limit: i64) -> Self {
        let school = Self::open(database, 0).await;
        school.found(ORGANIZATION, seat_limit).await;
        school
    }

    pub async fn on(database: &Database) -> Self {
        Self::with_seats(database, 0).await
    }

    /// Creates an organization with its administrator, and a class `bio-101` with its owner and its co-teacher.
    pub async fn found(&self, name: &str, seat_limit: i64) {
        let now = self.now();
        let place = Place::parse(name).unwrap();
        let id = place.organization().clone();
        let organization = Organization {
            code_prefix: CodePrefix::derived(&id, 1),
            display_name: "Hamilton High".to_owned(),
            id,
            seat_limit,
            labels: std::collections::BTreeMap::new(),
            revision: FIRST_REVISION,
            create_time: now,
            update_time: now,
        };
        let name = ClassName::parse(&format!("{name}/classes/bio-101")).unwrap();
        let class = Class::new(name.clone(), user(OWNER), now);
        let in_class = Place::Class(name);
        let staff = [
            member(&place, ADMINISTRATOR, Role::Admin, now),
            member(&place, OWNER, Role::Teacher, now),
            member(&place, CO_TEACHER, Role::Teacher, now),
            member(&in_class, OWNER, Role::Owner, now),
            member(&in_class, CO_TEACHER, Role::CoTeacher, now),
        ];
        let mut repository = self.app.store.write().await.unwrap();
        let founded = repository.insert_organization(&organization).await;
        founded.unwrap();
        repository.insert_class(&class).await.unwrap();
        repository.insert_members(&staff).await.unwrap();
        repository.commit("test").await.unwrap();
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn advance(&self, step: TimeDelta) {
        self.clock.advance(step);
    }

    /// Inserts the class code's fence, so that no redemption waits for the insert of its row, only for the
    /// organization's lock.
    pub async fn make_fence(&self) {
        let invitation = format!("{CLASS}/classCode");
        self.app.raise_fence(invitation, 0).await.unwrap();
    }

    /// Returns a redemption of the class code by this person, which admits at once.
    pub fn redemption(&self, id: &str) -> AdmitRequest {
        self.redemption_at(&class(), id)
    }

    pub fn redemption_at(&self, place: &Place, id: &str) -> AdmitRequest {
        let number = self.redemptions.fetch_add(1, Ordering::Relaxed);
        let (invitation, method) = match place {
            Place::Organization(_) => (
                "inviteToken",
                Method::Invitation(InvitationKind::OrganizationToken),
            ),
            Place::Class(_) => ("classCode", Method::Invitation(InvitationKind::ClassCode)),
        };
        AdmitRequest {
            redemption: RedemptionName {
                place: Place::Organization(place.organization().clone()),
                id: Uuid::from_u128(u128::from(number) + 1),
            },
            invitation: format!("{place}/{invitation}"),
            place: place.clone(),
            user: user(id),
            particulars: Particulars {
                display_name: id.to_uppercase(),
                email: format!("{id}@hamilton.example"),
                external_id: String::new(),
            },
            vouch_time: None,
            attempt: Attempt {
                epoch: 0,
                route: Route::AtOnce,
                refuse_reason: None,
                invitation_issue_time: self.now(),
                allow_rejoin: false,
            },
            method,
        }
    }

    /// Returns a redemption of the join URL.
    pub fn joining(&self, id: &str) -> AdmitRequest {
        let redemption = self.redemption(id);
        AdmitRequest {
            invitation: format!("{CLASS}/joinUrl"),
            method: Method::Invitation(InvitationKind::JoinUrl),
            attempt: Attempt {
                route: Route::Queue(Cause::JoinUrl),
                ..redemption.attempt
            },
            ..redemption
        }
    }

    pub async fn admit(&self, request: &AdmitRequest) -> Admission {
        let mut answers = self.admit_all(std::slice::from_ref(request)).await;
        answers.remove(0).unwrap()
    }

    /// Admits in a task of its own.
    pub fn admitting(self: &Arc<Self>, request: AdmitRequest) -> JoinHandle<Outcome> {
        let school = Arc::clone(self);
        tokio::spawn(async move { school.admit(&request).await.outcome })
    }

    pub async fn admit_all(&self, requests: &[AdmitRequest]) -> Vec<Result<Admission>> {
        let submitted = self.admissions.submit(requests.to_vec(), None);
        submitted.await.unwrap()
    }

    /// Admits in one batch. Returns the outcomes.
    pub async fn outcomes(&self, requests: &[AdmitRequest]) -> Vec<Outcome> {
        let answers = self.admit_all(requests).await.into_iter();
        answers.map(|answer| answer.unwrap().outcome).collect()
    }

    /// Files a request of this person by the join URL.
    pub async fn queue(&self, id: &str) -> JoinRequest {
        let answer = self.admit(&self.joining(id)).await;
        assert_eq!(answer.outcome, Outcome::Queued);
        answer.join_request.unwrap()
    }

    /// Makes a change as the service does for a caller.
    pub async fn change<UseCase>(&self, by: &Caller, use_case: UseCase) -> Result<()>
    where
        UseCase: for<'change> FnOnce(&'change mut Change) -> BoxFuture<'change, Result<()>>
            + Send
            + 'static,
    {
        self.app.write(by, None, &(), use_case).await
    }

    pub async fn approve(&self, by: &str, name: &JoinRequestName) -> Result<()> {
        let (by, name) = (caller(by), name.clone());
        let approve = self.change(&by, |change| {
            Box::pin(async move {
                let approved = decisions::approve(change, name, "welcome".to_owned());
                approved.await.map(drop)
            })
        });
        approve.await
    }

    pub async fn deny(&self, by: &str, name: &JoinRequestName) -> Result<()> {
        let (by, name) = (caller(by), name.clone());
        let deny = self.change(&by, |change| {
            Box::pin(async move {
                let denied = decisions::deny(change, name, "not you".to_owned());
                denied.await.map(drop)
            })
        });
        deny.await
    }

    pub async fn withdraw(&self, by: &str, name: &JoinRequestName) -> Result<()> {
        let (by, name) = (caller(by), name.clone());
        let withdraw = self.change(&by, |change| {
            Box::pin(async move { decisions::withdraw(change, name, ()).await.map(drop) })
        });
        withdraw.await
    }

    pub async fn member(&self, place: &Place, id: &str) -> Option<Member> {
        let mut repository = self.app.store.read().await.unwrap();
        repository.member(place, &user(id)).await.unwrap()
    }

    /// Returns the stored request, as it is now.
    pub async fn request(&self, name: &JoinRequestName) -> JoinRequest {
        let by = caller(ADMINISTRATOR);
        let found = self.app.get_join_request(&by, name.clone()).await;
        found.unwrap()
    }

    pub async fn seats(&self) -> Seats {
        let mut repository = self.app.store.read().await.unwrap();
        let seats = repository.seats(organization().organization()).await;
        seats.unwrap().unwrap()
    }

    /// Removes the person as staff do, from the class or, with the class, from the organization.
    pub async fn remove(&self, place: &Place, id: &str) {
        let (id, organization) = (user(id), place.organization());
        let mut repository = self.app.store.write().await.unwrap();
        let seats = repository.lock_organization(organization).await.unwrap();
        let mut seats = seats.unwrap();
        repository.delete_members_of(place, [&id]).await.unwrap();
        if place.class().is_none() {
            seats = seats.free();
        }
        let removed = repository.record_removals(place, [&id], self.now()).await;
        removed.unwrap();
        repository.save_seats(organization, &seats).await.unwrap();
        repository.commit("test").await.unwrap();
    }

    pub async fn archive(&self) {
        let mut repository = self.app.store.write().await.unwrap();
        let mut class = repository.class(&class_name()).await.unwrap().unwrap();
        class.state = ClassState::Archived;
        repository.save_class(&class).await.unwrap();
        repository.commit("test").await.unwrap();
    }

    /// Returns every event so far, in order.
    pub async fn events(&self) -> Vec<Event> {
        let events = self.app.store.events(&Scope::Everything, 0, 10_000);
        events.await.unwrap()
    }

    pub async fn event_types(&self) -> Vec<String> {
        let events = self.events().await.into_iter();
        events.map(|event| event.event_type).collect()
    }

    /// Returns the one event of this type.
    pub async fn event(&self, event_type: &str) -> Event {
        let mut events = self.events().await;
        events.retain(|event| event.event_type == event_type);
        assert_eq!(events.len(), 1, "{event_type}");
        events.remove(0)
    }

    /// Returns how often an event of this type happened.
    pub async fn count(&self, event_type: &str) -> usize {
        let types = self.event_types().await;
        types.iter().filter(|found| *found == event_type).count()
    }

    /// Checks the one event of the end of a request. Returns it.
    pub async fn assert_ended(&self, request: &JoinRequest, state: &str) -> Event {
        let event_type = format!("join_request.{}", state.to_lowercase());
        let event = self.event(&event_type).await;
        assert_eq!(event.subject, request.name().to_string());
        assert_eq!(event.data["redemption"], request.redemption);
        assert_eq!(event.data["invitation"], request.invitation);
        assert_eq!(event.data["state"], state);
        event
    }

    /// Checks I1 and the counter of waiting requests.
    pub async fn assert_counts(&self, used: i64, waiting: i64) {
        let mut repository = self.app.store.read().await.unwrap();
        let filter = MemberFilter {
            role: Some(Role::Student),
            ..MemberFilter::default()
        };
        let place = organization();
        let students = repository.list_members(&place, &filter, None, 10_000);
        let students = students.await.unwrap().len();
        let shown = JoinRequestFilter {
            state: Some(homeroom_membership::domain::join_request::State::Pending),
            ..JoinRequestFilter::default()
        };
        let mut pending = 0;
        for place in [organization(), class()] {
            let listed = repository.list_join_requests(&place, &shown, None, 10_000, self.now());
            pending += listed.await.unwrap().len();
        }
        let seats = self.seats().await;
        assert_eq!((seats.used, seats.waiting), (used, waiting), "the counters");
        assert_eq!(i64::try_from(students).unwrap(), used, "the students");
        assert_eq!(i64::try_from(pending).unwrap(), waiting, "the requests");
    }
}

pub fn reason<T: std::fmt::Debug>(result: Result<T>) -> ErrorReason {
    result.unwrap_err().reason()
}
