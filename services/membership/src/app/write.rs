//! The one way to make a change: claim the request id, run the use case, write its events, complete the request id and
//! commit, all in one transaction that completes even if the caller has gone (R3, R11, P12).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::Place,
};
use homeroom_kit::{
    Error, Result, SharedClock, SharedRandomness,
    auth::Caller,
    outbox::NewEvent,
    request_ids::{Claimed, claimed},
    rpc::place_not_found,
};
use prost::Message;
use uuid::Uuid;

use super::{App, access, new_events, rules::Rule};
use crate::{
    domain::{access::Standing, seat::Seats},
    store::{Repository, end},
};

/// A transaction in progress with its context.
pub struct Change {
    /// The session that writes.
    pub repository: Repository,
    /// The time of this change: that at which it took its locks, so that a change which waited is not dated before the
    /// one that went first.
    pub now: DateTime<Utc>,
    /// The caller.
    pub caller: Caller,
    /// The source of ids.
    pub random: SharedRandomness,
    clock: SharedClock,
    events: Vec<NewEvent>,
}

impl Change {
    /// Takes the organization's lock if the rule allows the call, and returns its seats and the place with the acting
    /// user's roles in it ([`access::authorize`]).
    ///
    /// Access is checked twice: before the lock, so that nobody waits for an unauthorized caller, and under it (P6).
    pub async fn enter(
        &mut self,
        place: &Place,
        rule: &Rule,
        person: Option<&UserId>,
    ) -> Result<(Seats, Standing)> {
        self.authorize(place, rule, person).await?;
        let seats = self.lock(place).await?;
        let standing = self.authorize(place, rule, person).await?;
        Ok((seats, standing))
    }

    /// Takes the organization's lock and reads its seats. Fails with `ORGANIZATION_NOT_FOUND`, or for a class
    /// `CLASS_NOT_FOUND`, if the organization never existed.
    pub async fn lock(&mut self, place: &Place) -> Result<Seats> {
        let organization = place.organization();
        let seats = self.repository.lock_organization(organization).await?;
        self.now = self.clock.now();
        seats.ok_or_else(|| place_not_found(place))
    }

    /// Takes the locks of several organizations.
    pub(crate) async fn lock_all(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
    ) -> Result<()> {
        self.repository.lock_organizations(organizations).await?;
        self.now = self.clock.now();
        Ok(())
    }

    /// Returns the place with the acting user's roles in it, if the rule allows the call ([`access::authorize`]).
    pub async fn authorize(
        &mut self,
        place: &Place,
        rule: &Rule,
        person: Option<&UserId>,
    ) -> Result<Standing> {
        access::authorize(&mut self.repository, &self.caller, place, rule, person).await
    }

    /// Writes the events recorded so far.
    pub(crate) async fn write_events(&mut self) -> Result<()> {
        let events = std::mem::take(&mut self.events);
        let random = self.random.clone();
        self.repository
            .outbox()
            .append(&events, self.now, random.as_ref())
            .await?;
        Ok(())
    }

    /// Records an event, to be written with the change.
    pub fn record(&mut self, event: NewEvent) {
        self.events.push(event);
    }

    /// Records an event about something in a place, by the acting user, that notifies nobody.
    pub fn record_by_caller<const FACTS: usize>(
        &mut self,
        event_type: &'static str,
        place: &Place,
        subject: String,
        facts: [(&str, &str); FACTS],
    ) {
        let (actor, data) = (self.caller.user.as_str(), new_events::facts(facts));
        let event = NewEvent::new(event_type, place, subject, actor, data);
        self.events.push(event);
    }

    /// The acting user.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.caller.user.clone()
    }

    /// Returns a new id for something made by this change.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        homeroom_kit::random::new_id_at(self.now, self.random.as_ref())
    }

    /// Stores the organization's seats as they are after the change.
    pub async fn save_seats(&mut self, organization: &OrganizationId, seats: &Seats) -> Result<()> {
        Ok(self.repository.save_seats(organization, seats).await?)
    }
}

impl App {
    /// Runs a use case in a transaction, at most once for each request id: a repetition gets the stored response, a
    /// request with another body `REQUEST_ID_CONFLICT`. Failures are not stored, since they change nothing.
    ///
    /// The result of the use case is converted to the contract's response. `request` is the whole request message, from
    /// which the MAC of the body is made.
    pub async fn write<Request, Response, Done, UseCase>(
        &self,
        caller: &Caller,
        request_id: Option<Uuid>,
        request: &Request,
        use_case: UseCase,
    ) -> Result<Response>
    where
        Request: Message,
        Response: Message + Default + From<Done> + 'static,
        Done: 'static,
        UseCase: for<'change> FnOnce(&'change mut Change) -> BoxFuture<'change, Result<Done>>
            + Send
            + 'static,
    {
        let claimed = claimed(&self.keys, caller, request_id, request);
        let app = self.clone();
        let caller = caller.clone();
        self.writes
            .run(async move {
                let mut change = Change {
                    repository: app.store.write().await?,
                    now: app.clock.now(),
                    clock: app.clock.clone(),
                    caller,
                    random: app.random.clone(),
                    events: Vec::new(),
                };
                let done = change.run(claimed, use_case).await;
                end(change.repository, "change", done).await
            })
            .await
    }
}

impl Change {
    async fn run<Response, Done, UseCase>(
        &mut self,
        claimed: Option<Claimed>,
        use_case: UseCase,
    ) -> Result<Response>
    where
        Response: Message + Default + From<Done>,
        UseCase:
            for<'change> FnOnce(&'change mut Change) -> BoxFuture<'change, Result<Done>> + Send,
    {
        if let Some((key, body)) = &claimed {
            let claim = self
                .repository
                .request_ids()
                .claim(key, body, self.now)
                .await?;
            if let Some(stored) = claim.resolve()? {
                return Response::decode(stored.as_slice()).map_err(Error::internal);
            }
        }
        let response = Response::from(use_case(self).await?);
        self.write_events().await?;
        if let Some((key, _)) = &claimed {
            self.repository
                .request_ids()
                .complete(key, &response.encode_to_vec())
                .await?;
        }
        Ok(response)
    }
}
