//! How staff's changes are written: once for each request id, in a task that outlives the caller
//! (P12), in one transaction, and answered only when the fences are up (P7).
//!
//! Order: the request id is resolved (R3), the caller is authorized, then one transaction claims
//! the request id, locks the organization, changes rows, appends their events and audit entries and
//! stores the answer without its secrets; after the commit fences are raised and the secrets are filled in.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use homeroom_api::{common::v1::ErrorReason, names::Place};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    clock::micros,
    outbox::NewEvent,
    request_ids::{BodyMac, RequestKey},
};
use prost::Message;
use uuid::Uuid;

use super::{App, invitation_name, rules::Rule, views::Answer};
use crate::{
    membership::Access,
    store::{InvitationRow, Repository},
};

/// What makes a retry safe: the caller's request id and the body that it stands for (AIP-155).
#[derive(Debug, Clone)]
pub struct Idempotency {
    key: Option<(RequestKey, BodyMac)>,
    deadline: Option<Instant>,
}

impl Idempotency {
    /// A change that nobody asked for twice.
    pub(crate) const fn none() -> Self {
        Self {
            key: None,
            deadline: None,
        }
    }

    /// Of a caller's request `message`; without a request id every call is a new one.
    #[must_use]
    pub fn of<M: Message>(
        app: &App,
        caller: &Caller,
        request_id: Option<Uuid>,
        message: &M,
    ) -> Self {
        Self {
            key: request_id
                .map(|id| (RequestKey::new(caller, id), BodyMac::of(&app.keys, message))),
            deadline: caller.deadline,
        }
    }
}

/// What a change came to.
pub(crate) struct Change<A> {
    /// The answer, without secrets.
    pub(crate) answer: A,
    /// The invitations of the answer, as they are now.
    pub(crate) rows: Vec<InvitationRow>,
    /// Whether the answer shows their secrets.
    pub(crate) shows_secrets: bool,
}

/// A change under way: its transaction, and what is known around it.
pub(crate) struct Work<'work> {
    pub(crate) app: &'work App,
    pub(crate) repository: &'work mut dyn Repository,
    pub(crate) access: &'work Access,
    pub(crate) place: &'work Place,
    pub(crate) actor: &'work str,
    pub(crate) now: DateTime<Utc>,
}

impl Work<'_> {
    /// `CLASS_ARCHIVED` if the place is an archived class: nothing new is made in it.
    pub(crate) fn refuse_archived(&self) -> Result<()> {
        if !self.access.archived {
            return Ok(());
        }
        Err(Error::new(
            ErrorReason::ClassArchived,
            "Unarchive the class first: an archived one takes no new invitations.",
        )
        .resource("homeroom/Class", self.place.to_string()))
    }

    /// Appends the event `event_type` of an invitation. `data` holds no secret.
    pub(crate) async fn event(
        &mut self,
        event_type: &'static str,
        row: &InvitationRow,
        data: BTreeMap<String, String>,
    ) -> Result<()> {
        let event = new_event(event_type, row, self.actor, data);
        self.repository
            .outbox()
            .append(&[event], self.now, self.app.random.as_ref())
            .await?;
        Ok(())
    }

    /// Writes a changed row, touched here, and its event. Where its new secret is another's
    /// already, nothing is written and the answer is false.
    pub(crate) async fn save(
        &mut self,
        event_type: &'static str,
        row: &mut InvitationRow,
        data: BTreeMap<String, String>,
    ) -> Result<bool> {
        row.touch(self.now);
        if !self.repository.update_invitation(row).await? {
            return Ok(false);
        }
        self.event(event_type, row, data).await?;
        Ok(true)
    }
}

/// The event `event_type` of an invitation.
pub(crate) fn new_event(
    event_type: &'static str,
    row: &InvitationRow,
    actor: &str,
    data: BTreeMap<String, String>,
) -> NewEvent {
    let place = &row.invitation.place;
    NewEvent {
        event_type,
        organization: place.organization().clone(),
        class: place.class().cloned(),
        subject: invitation_name::of(&row.invitation),
        actor: actor.to_owned(),
        notify: Vec::new(),
        data,
    }
}

/// Names the fields that changed, for an event.
pub(crate) fn changed(fields: &[&str]) -> BTreeMap<String, String> {
    BTreeMap::from([("changed".to_owned(), fields.join(","))])
}

/// A row that was locked has been changed all the same: a defect.
pub(crate) fn not_written() -> Error {
    Error::internal("a locked invitation could not be written")
}

/// An answer as it is kept for retries: never with a secret, but with what tells whether the
/// secret that it showed is still the same one.
#[derive(Clone, PartialEq, Message)]
struct StoredAnswer {
    #[prost(bytes = "vec", tag = "1")]
    answer: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    invitations: Vec<AnsweredInvitation>,
    #[prost(bool, tag = "3")]
    shows_secrets: bool,
}

#[derive(Clone, PartialEq, Message)]
struct AnsweredInvitation {
    #[prost(string, tag = "1")]
    id: String,
    /// When its secret was made, in microseconds.
    #[prost(int64, tag = "2")]
    issue_time: i64,
}

impl<A: Answer> Change<A> {
    fn stored(&self) -> Vec<u8> {
        StoredAnswer {
            answer: self.answer.encode_to_vec(),
            invitations: self
                .rows
                .iter()
                .map(|row| AnsweredInvitation {
                    id: row.invitation.id.to_string(),
                    issue_time: micros(row.invitation.issue_time),
                })
                .collect(),
            shows_secrets: self.shows_secrets,
        }
        .encode_to_vec()
    }
}

impl App {
    /// Makes a change of `place` for `caller`, who may do what `rule` asks, once for
    /// its request id. `make` changes rows in the transaction.
    pub(crate) async fn change<A, F>(
        self: &Arc<Self>,
        caller: &Caller,
        place: Place,
        rule: Rule,
        request: Idempotency,
        make: F,
    ) -> Result<A>
    where
        A: Answer,
        F: for<'work> FnOnce(&'work mut Work<'_>) -> BoxFuture<'work, Result<Change<A>>>
            + Send
            + 'static,
    {
        if let Some(answer) = self.find_answer(caller, &place, rule, &request).await? {
            return Ok(answer);
        }
        let access = self.authorize(caller, &place, rule).await?;
        let app = Arc::clone(self);
        let caller = caller.clone();
        self.writes
            .run(async move {
                let change = match app
                    .transact(&place, &access, &caller, &request, make)
                    .await?
                {
                    Transacted::Changed(change) => change,
                    Transacted::Replay(stored) => {
                        return app.replay(&caller, &place, &stored, &request).await;
                    }
                };
                app.raise_fences(&change.rows, request.deadline).await?;
                let mut answer = change.answer;
                if change.shows_secrets {
                    answer.fill(&app, &change.rows)?;
                }
                Ok(answer)
            })
            .await
    }

    /// One transaction, committed if `make` succeeds, with an audit entry for each invitation that it
    /// is about (R12).
    pub(crate) async fn transact<A, F>(
        &self,
        place: &Place,
        access: &Access,
        caller: &Caller,
        request: &Idempotency,
        make: F,
    ) -> Result<Transacted<A>>
    where
        A: Answer,
        F: for<'work> FnOnce(&'work mut Work<'_>) -> BoxFuture<'work, Result<Change<A>>> + Send,
    {
        let mut repository = self.store.write().await?;
        let now = self.clock.now();
        let result = self
            .transact_in(
                repository.as_mut(),
                place,
                access,
                caller,
                request,
                make,
                now,
            )
            .await;
        match result {
            Ok(Transacted::Changed(change)) => {
                repository.commit("change").await?;
                Ok(Transacted::Changed(change))
            }
            other => {
                repository.rollback().await;
                other
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one transaction")]
    async fn transact_in<A, F>(
        &self,
        repository: &mut dyn Repository,
        place: &Place,
        access: &Access,
        caller: &Caller,
        request: &Idempotency,
        make: F,
        now: DateTime<Utc>,
    ) -> Result<Transacted<A>>
    where
        A: Answer,
        F: for<'work> FnOnce(&'work mut Work<'_>) -> BoxFuture<'work, Result<Change<A>>> + Send,
    {
        if let Some((key, body)) = &request.key
            && let Some(stored) = repository
                .request_ids()
                .claim(key, body, now)
                .await?
                .resolve()?
        {
            return Ok(Transacted::Replay(stored));
        }
        repository
            .lock_organizations(std::slice::from_ref(place.organization()), now)
            .await?;
        let mut work = Work {
            app: self,
            repository: &mut *repository,
            access,
            place,
            actor: caller.user.as_str(),
            // Read once the lock is held: what waited for its turn is not older than what went before it.
            now: self.clock.now(),
        };
        let change = make(&mut work).await?;
        let entries = self.audited_change(caller, &change.rows, work.now);
        repository.append_audit_entries(&entries).await?;
        if let Some((key, _)) = &request.key {
            repository
                .request_ids()
                .complete(key, &change.stored())
                .await?;
        }
        Ok(Transacted::Changed(change))
    }

    /// What was answered to this request id, if it was (R3). A secret is told again only to who may see it now.
    async fn find_answer<A: Answer>(
        &self,
        caller: &Caller,
        place: &Place,
        rule: Rule,
        request: &Idempotency,
    ) -> Result<Option<A>> {
        let Some((key, body)) = &request.key else {
            return Ok(None);
        };
        let claim = self
            .store
            .read()
            .await?
            .request_ids()
            .find(key, body, self.clock.now())
            .await?;
        let Some(stored) = claim.resolve()? else {
            return Ok(None);
        };
        let shows_secrets = StoredAnswer::decode(stored.as_slice())
            .map_err(Error::internal)?
            .shows_secrets;
        if shows_secrets {
            self.authorize(caller, place, rule).await?;
        }
        self.replay(caller, place, &stored, request).await.map(Some)
    }

    /// The stored answer, once its fences are up, with the secrets that still are the ones it showed.
    async fn replay<A: Answer>(
        &self,
        caller: &Caller,
        place: &Place,
        stored: &[u8],
        request: &Idempotency,
    ) -> Result<A> {
        let stored = StoredAnswer::decode(stored).map_err(Error::internal)?;
        let mut answer = A::decode(stored.answer.as_slice()).map_err(Error::internal)?;
        let issued: BTreeMap<Uuid, i64> = stored
            .invitations
            .iter()
            .filter_map(|found| Some((Uuid::try_parse(&found.id).ok()?, found.issue_time)))
            .collect();
        let ids: Vec<Uuid> = issued.keys().copied().collect();
        let mut rows = self.store.read().await?.get_invitations(&ids).await?;
        self.raise_fences(&rows, request.deadline).await?;
        if stored.shows_secrets {
            rows.retain(|row| {
                issued.get(&row.invitation.id) == Some(&micros(row.invitation.issue_time))
            });
            self.audit_reads(caller, place, &rows).await?;
            answer.fill(self, &rows)?;
        }
        Ok(answer)
    }
}

/// What a transaction came to.
pub(crate) enum Transacted<A> {
    /// It stands.
    Changed(Change<A>),
    /// Its request id was used before: what was stored then.
    Replay(Vec<u8>),
}
