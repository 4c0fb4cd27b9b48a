//! The writing of staff's changes: once for each request id, in a task that outlives the caller (P12), in one
//! transaction, and answered only when the fences are up (P7).
//!
//! The order is: the request id is resolved (R3) and the caller is authorized. Then one transaction claims the request
//! id, locks the organization, changes rows, appends their events and audit entries, and stores the answer without its
//! secrets. After the commit, fences are raised and the secrets are filled in.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use homeroom_api::{
    common::v1::ErrorReason,
    membership::v1::Permission,
    names::{InvitationKind, Place},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    clock::micros,
    outbox::NewEvent,
    random::new_id,
    request_ids::{Claimed, claimed},
    rpc::place_not_found,
};
use prost::Message;
use uuid::Uuid;

use super::{
    App,
    answer::{Answer, Shown},
};
use crate::{
    membership::Access,
    store::{InvitationRow, Repository},
};

/// The result of a change.
pub(crate) struct Change<D = ()> {
    /// The result besides the invitations.
    pub(crate) done: D,
    /// The invitations of the answer, as they are now.
    pub(crate) rows: Vec<InvitationRow>,
    /// True if the answer shows their secrets.
    pub(crate) shows_secrets: bool,
}

impl Change {
    /// Returns a change of one invitation whose answer shows no secret.
    pub(crate) fn of(row: InvitationRow) -> Self {
        Self {
            done: (),
            rows: vec![row],
            shows_secrets: false,
        }
    }

    /// Returns a change of one invitation whose answer shows its secret.
    pub(crate) fn shown(row: InvitationRow) -> Self {
        Self {
            shows_secrets: true,
            ..Self::of(row)
        }
    }
}

/// A change under way: its transaction and context.
pub(crate) struct Work {
    pub(crate) app: Arc<App>,
    pub(crate) repository: Repository,
    pub(crate) access: Access,
    pub(crate) place: Place,
    pub(crate) caller: Caller,
    /// The time before the caller was authorized. Secrets are issued as of then: whoever is removed while the change
    /// waits for the lock was removed after that, and is queued (R8).
    pub(crate) authorize_time: DateTime<Utc>,
    pub(crate) now: DateTime<Utc>,
}

impl Work {
    /// Returns a new invitation of the place, without a secret.
    pub(crate) fn new_invitation(&self, kind: InvitationKind) -> InvitationRow {
        let id = new_id(self.app.clock.as_ref(), self.app.random.as_ref());
        let mut row = InvitationRow::new(id, kind, self.place.clone(), self.now);
        row.invitation.issue_time = self.authorize_time;
        row
    }

    /// Fails with `CLASS_ARCHIVED` if the place is an archived class: nothing new is made in it.
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

    /// Appends the event `event_type` of each of these invitations. `data` holds no secret.
    pub(crate) async fn events(
        &mut self,
        event_type: impl Into<Cow<'static, str>>,
        rows: &[InvitationRow],
        data: BTreeMap<String, String>,
    ) -> Result<()> {
        let event_type = event_type.into();
        let events: Vec<NewEvent> = rows
            .iter()
            .map(|row| {
                let subject = row.invitation.name().to_string();
                let actor = self.caller.user.as_str();
                NewEvent::new(
                    event_type.clone(),
                    &self.place,
                    subject,
                    actor,
                    data.clone(),
                )
            })
            .collect();
        self.repository
            .outbox()
            .append(&events, self.now, self.app.random.as_ref())
            .await?;
        Ok(())
    }

    /// Writes a changed row with a new revision, and its event. Returns false and writes nothing if another invitation
    /// has its new secret already.
    pub(crate) async fn save_if_free(
        &mut self,
        event_type: impl Into<Cow<'static, str>>,
        row: &mut InvitationRow,
        data: BTreeMap<String, String>,
    ) -> Result<bool> {
        row.revision += 1;
        row.update_time = self.now;
        if !self.repository.update_invitation(row).await? {
            return Ok(false);
        }
        self.events(event_type, std::slice::from_ref(row), data)
            .await?;
        Ok(true)
    }

    /// Does the same for a row whose secret stays or was drawn at random, so that no other invitation has it.
    pub(crate) async fn save(
        &mut self,
        event_type: impl Into<Cow<'static, str>>,
        row: &mut InvitationRow,
        data: BTreeMap<String, String>,
    ) -> Result<()> {
        if self.save_if_free(event_type, row, data).await? {
            Ok(())
        } else {
            Err(Error::internal("a locked invitation could not be written"))
        }
    }

    /// Claims the request id, locks the organization and makes the change, with an audit entry for each invitation
    /// concerned (R12).
    async fn run<D, A, F>(&mut self, request: Option<&Claimed>, make: F) -> Result<Transacted<A>>
    where
        A: Answer<D>,
        F: for<'work> FnOnce(&'work mut Work) -> BoxFuture<'work, Result<Change<D>>> + Send,
    {
        if let Some((key, body)) = request {
            let claim = self
                .repository
                .request_ids()
                .claim(key, body, self.now)
                .await?;
            if let Some(stored) = claim.resolve()? {
                let stored = StoredAnswer::decode(stored.as_slice()).map_err(Error::internal)?;
                return Ok(Transacted::Replay(stored));
            }
        }
        let organizations = std::slice::from_ref(self.place.organization());
        self.repository
            .lock_organizations(organizations, self.now)
            .await?;
        // The time is read once the lock is held: a change that waited for the lock is not dated before the one that
        // went first.
        self.now = self.app.clock.now();
        let change = make(self).await?;
        let entries = self
            .app
            .audited_change(&self.caller, &change.rows, self.now);
        self.repository.append_audit_entries(&entries).await?;
        let invitations = change.rows.iter().map(|row| Shown {
            row: row.clone(),
            code_prefix: self.access.code_prefix.clone(),
            now: self.now,
            secret: None,
        });
        let answer = A::of(change.done, invitations.collect());
        if let Some((key, _)) = request {
            let stored = StoredAnswer::of(&answer, &change.rows, change.shows_secrets);
            self.repository
                .request_ids()
                .complete(key, &stored.encode_to_vec())
                .await?;
        }
        Ok(Transacted::Changed(Change {
            done: answer,
            rows: change.rows,
            shows_secrets: change.shows_secrets,
        }))
    }
}

/// Returns the names of the changed fields, for an event.
pub(crate) fn changed(fields: &[&str]) -> BTreeMap<String, String> {
    BTreeMap::from([("changed".to_owned(), fields.join(","))])
}

/// An answer as it is kept for retries. It never holds a secret, but tells whether the secret that it showed is still
/// the current one.
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
    /// The time at which its secret was made, in microseconds.
    #[prost(int64, tag = "2")]
    issue_time: i64,
}

impl StoredAnswer {
    fn of(answer: &impl Message, rows: &[InvitationRow], shows_secrets: bool) -> Self {
        let invitations = rows.iter().map(|row| AnsweredInvitation {
            id: row.invitation.id.to_string(),
            issue_time: micros(row.invitation.issue_time),
        });
        Self {
            answer: answer.encode_to_vec(),
            invitations: invitations.collect(),
            shows_secrets,
        }
    }
}

impl App {
    /// Makes a change of `place` for a caller who has the permission, once for the request id of `message`.
    /// `make` changes rows in the transaction.
    pub(crate) async fn change<M, D, A, F>(
        self: &Arc<Self>,
        caller: &Caller,
        place: Place,
        permission: Permission,
        (request_id, message): (Option<Uuid>, &M),
        make: F,
    ) -> Result<A>
    where
        M: Message,
        D: Send + 'static,
        A: Answer<D>,
        F: for<'work> FnOnce(&'work mut Work) -> BoxFuture<'work, Result<Change<D>>>
            + Send
            + 'static,
    {
        if !caller.may_reach(place.organization()) {
            return Err(place_not_found(&place));
        }
        let request = claimed(&self.keys, caller, request_id, message);
        if let Some(claimed) = &request
            && let Some(answer) = self
                .find_answer::<D, A>(caller, &place, permission, claimed)
                .await?
        {
            return Ok(answer);
        }
        let authorize_time = self.clock.now();
        let access = self.authorize(caller, &place, permission).await?;
        let app = Arc::clone(self);
        let caller = caller.clone();
        self.writes
            .run(async move {
                let mut work = Work {
                    repository: app.store.write().await?,
                    access,
                    place: place.clone(),
                    caller: caller.clone(),
                    authorize_time,
                    now: app.clock.now(),
                    app: Arc::clone(&app),
                };
                let result = work.run(request.as_ref(), make).await;
                if let Ok(Transacted::Changed(_)) = result {
                    work.repository.commit("change").await?;
                } else {
                    work.repository.rollback().await;
                }
                let change = match result? {
                    Transacted::Changed(change) => change,
                    Transacted::Replay(stored) => {
                        return app.replay::<D, A>(&caller, &place, stored).await;
                    }
                };
                app.raise_fences(&change.rows, caller.deadline).await?;
                let mut answer = change.done;
                if change.shows_secrets {
                    app.fill(&mut answer, &change.rows)?;
                }
                Ok(answer)
            })
            .await
    }

    /// Returns the answer that this request id got before, if any (R3). A secret is returned again only to a caller who
    /// may see it now.
    async fn find_answer<D, A: Answer<D>>(
        &self,
        caller: &Caller,
        place: &Place,
        permission: Permission,
        (key, body): &Claimed,
    ) -> Result<Option<A>> {
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
        let stored = StoredAnswer::decode(stored.as_slice()).map_err(Error::internal)?;
        if stored.shows_secrets {
            self.authorize(caller, place, permission).await?;
        }
        self.replay::<D, A>(caller, place, stored).await.map(Some)
    }

    /// Returns the stored answer, once its fences are up, with those secrets that have not changed since.
    async fn replay<D, A: Answer<D>>(
        &self,
        caller: &Caller,
        place: &Place,
        stored: StoredAnswer,
    ) -> Result<A> {
        let mut answer = A::decode(stored.answer.as_slice()).map_err(Error::internal)?;
        let issued: BTreeMap<Uuid, i64> = stored
            .invitations
            .iter()
            .filter_map(|found| Some((Uuid::try_parse(&found.id).ok()?, found.issue_time)))
            .collect();
        let ids: Vec<Uuid> = issued.keys().copied().collect();
        let mut rows = self.store.read().await?.get_invitations(&ids).await?;
        self.raise_fences(&rows, caller.deadline).await?;
        if stored.shows_secrets {
            rows.retain(|row| {
                issued.get(&row.invitation.id) == Some(&micros(row.invitation.issue_time))
            });
            self.audit_reads(caller, place, &rows).await?;
            self.fill(&mut answer, &rows)?;
        }
        Ok(answer)
    }
}

/// The result of a transaction.
enum Transacted<A> {
    /// The change was made, with its answer.
    Changed(Change<A>),
    /// The request id was used before: the answer that was stored then.
    Replay(StoredAnswer),
}
