//! Events, which are written in the transaction of the change, in the order of commits (R11).
//!
//! An event gets its `position` in the feed when it is inserted. One transaction at a time inserts
//! events, as its last step: on PostgreSQL in the same message as the commit, so that no other
//! transaction waits for a stopped client. A reader that has seen a position therefore never misses
//! an earlier one.

pub mod event_types;
mod pruning;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{ClassId, OrganizationId, UserId},
    names::{Place, UserName},
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

pub(crate) use pruning::STATEMENTS as PRUNING_STATEMENTS;
pub use pruning::{PRUNED_EVENTS_BATCH, Pruned};

use crate::{
    args,
    clock::micros,
    database::{Engine, Error},
    erasure::{Replacement, before_user},
    random::{Randomness, new_id_at},
    store::{Arg, Held, Session, columns, json_rows},
};

/// The most user ids that one event notifies.
pub const NOTIFY_MAX: usize = 100;

/// An event to be written with its change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The change, as `noun.verb`.
    pub event_type: Cow<'static, str>,
    /// The organization.
    pub organization: OrganizationId,
    /// The class; `None` for organization-wide changes.
    pub class: Option<ClassId>,
    /// The resource that changed, by name.
    pub subject: String,
    /// The actor: a user id, or `system`.
    pub actor: String,
    /// The users to notify (C6). Only the first 100 are kept.
    pub notify: Vec<UserId>,
    /// Further data, none of it secret.
    pub data: BTreeMap<String, String>,
}

impl NewEvent {
    /// Returns an event in a place that notifies nobody.
    #[must_use]
    pub fn new(
        event_type: impl Into<Cow<'static, str>>,
        place: &Place,
        subject: String,
        actor: &str,
        data: BTreeMap<String, String>,
    ) -> Self {
        Self {
            event_type: event_type.into(),
            organization: place.organization().clone(),
            class: place.class().cloned(),
            subject,
            actor: actor.to_owned(),
            notify: Vec::new(),
            data,
        }
    }

    /// Returns the event of a person's erasure from an organization (R13).
    #[must_use]
    pub fn user_erased(organization: &OrganizationId, person: &Replacement, actor: &str) -> Self {
        let place = Place::Organization(organization.clone());
        let subject = UserName(person.by.clone()).to_string();
        Self::new("user.erased", &place, subject, actor, BTreeMap::new())
    }

    /// Returns the event that one account of a person became another in an organization (R15).
    #[must_use]
    pub fn user_moved(organization: &OrganizationId, person: &Replacement, actor: &str) -> Self {
        let place = Place::Organization(organization.clone());
        let subject = UserName(person.by.clone()).to_string();
        let accounts = [("source", &person.user), ("user", &person.by)];
        let data = accounts.map(|(key, user)| (key.to_owned(), user.to_string()));
        Self::new("user.moved", &place, subject, actor, data.into())
    }
}

/// An event with its position in the feed, and with the names of its columns.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event {
    /// The position: 1 for the first event, and one more for each next.
    pub position: i64,
    /// A UUID of version 7, which is never reused.
    #[serde(rename = "event_id")]
    pub id: Uuid,
    /// The change, as `noun.verb`.
    pub event_type: String,
    /// The organization.
    #[serde(rename = "organization_id", with = "columns::text")]
    pub organization: OrganizationId,
    /// The class; `None` for organization-wide changes.
    #[serde(rename = "class_id", with = "columns::optional_text")]
    pub class: Option<ClassId>,
    /// The resource that changed, by name.
    pub subject: String,
    /// The actor.
    pub actor: String,
    /// The users to notify.
    #[serde(with = "columns::json")]
    pub notify: Vec<String>,
    /// Further data.
    #[serde(with = "columns::json")]
    pub data: BTreeMap<String, String>,
    /// The time of the change.
    #[serde(with = "columns::time")]
    pub create_time: DateTime<Utc>,
}

impl Event {
    /// Returns true if the event mentions the user: as its subject, actor, one to notify, or in its data.
    #[must_use]
    pub fn mentions(&self, user: &UserId) -> bool {
        let of_users = self.data.iter().filter(|(fact, _)| is_of_user(fact));
        let texts = [&self.subject, &self.actor].into_iter();
        let mut texts = texts
            .chain(&self.notify)
            .chain(of_users.map(|(_, text)| text));
        texts.any(|text| before_user(text, user).is_some())
    }
}

/// The events to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The events of every organization.
    Everything,
    /// The events of an organization with all its classes, or of one class.
    Place(Place),
}

pub(crate) const SELECT: &str = "SELECT position, event_id, event_type, organization_id, coalesce(class_id, '') AS class_id, \
    subject, actor, notify, data, create_time FROM events";

/// Every event that mentions a user, and some more: `$1` is the id, `$2` the id after a slash, `$3` the id before a
/// quote in JSON. The code then checks each row.
pub(crate) const MAY_TELL_OF: &str = "(actor = $1 OR replace(subject, $2, '') <> subject \
    OR replace(notify, $3, '') <> notify OR replace(data, $3, '') <> data)";

crate::statements! {
    LIST_EVERYTHING = format!("{SELECT} WHERE position > $1 ORDER BY position LIMIT $2");

    // By the range of one index: after an equality, PostgreSQL may walk all positions.
    LIST_ORGANIZATION = format!(
        "{SELECT} WHERE position > $1 AND (organization_id, position) > ($3, $1) AND organization_id <= $3 \
         ORDER BY organization_id, position LIMIT $2"
    );

    LIST_CLASS = format!(
        "{SELECT} WHERE position > $1 AND organization_id = $3 AND (events.class_id, position) > ($4, $1) \
         AND events.class_id <= $4 ORDER BY events.class_id, position LIMIT $2"
    );

    LAST_POSITION = "SELECT coalesce(max(position), 0) AS position FROM events";

    ORGANIZATIONS_THAT_TELL_OF = format!("SELECT DISTINCT organization_id FROM events WHERE {MAY_TELL_OF}");

    TELLING_OF = format!(
        "SELECT sequence, subject, actor, notify, data FROM events WHERE organization_id = $4 \
         AND {MAY_TELL_OF} AND sequence > $5 ORDER BY sequence LIMIT $6"
    );

    REWRITE = "UPDATE events SET subject = $2, actor = $3, notify = $4, data = $5 WHERE sequence = $1";

    /// Inserts any number of events. No other transaction writes meanwhile. On PostgreSQL the function `append_events`
    /// does the same at the commit.
    INSERT(on) = match on {
        Engine::Postgres => "SELECT append_events($1, $2)".to_owned(),
        Engine::Sqlite => format!(
            "INSERT INTO events (position, event_id, event_type, organization_id, class_id, \
             subject, actor, notify, data, create_time) SELECT \
             (SELECT coalesce(max(position), 0) FROM events) + input.key + 1, input.value->>'id', \
             input.value->>'type', input.value->>'organization', input.value->>'class', \
             input.value->>'subject', input.value->>'actor', input.value->>'notify', input.value->>'data', \
             $2 FROM {} ORDER BY input.key",
            on.rows("$1", "input")
        ),
    };
}

/// The keys in `data` whose values are user ids. A value of another key may look the same without
/// being one, such as a role or a flag.
const FACTS_OF_USERS: &[&str] = &["owner", "source", "user"];

fn is_of_user(fact: &str) -> bool {
    FACTS_OF_USERS.contains(&fact)
}

/// The most events that one statement of an erasure reads.
const REWRITTEN_TOGETHER_MAX: i64 = 1_000;

/// Returns the user's id in the forms that the statements search for: after a slash, and before a
/// quote in JSON.
pub(crate) fn sought(user: &UserId) -> (String, String) {
    let quoted = serde_json::json!(user.as_str()).to_string();
    let in_json = quoted.strip_prefix('"').unwrap_or(&quoted).to_owned();
    (format!("/{user}"), in_json)
}

/// A row of an event that may mention a user.
#[derive(Deserialize)]
struct Telling {
    sequence: i64,
    subject: String,
    actor: String,
    #[serde(with = "columns::json")]
    notify: Vec<String>,
    #[serde(with = "columns::json")]
    data: BTreeMap<String, String>,
}

impl Telling {
    /// Puts the other id in place of the user's. Returns true if the event mentions the user.
    fn rewrite(&mut self, by: &Replacement) -> bool {
        let texts = [&mut self.subject, &mut self.actor].into_iter();
        let of_users = self
            .data
            .iter_mut()
            .filter(|(fact, _)| is_of_user(fact))
            .map(|(_, text)| text);
        let mut tells = false;
        for text in texts.chain(&mut self.notify).chain(of_users) {
            if let Some(replaced) = by.text(text) {
                *text = replaced;
                tells = true;
            }
        }
        tells
    }
}

/// Access to the table `events`.
impl Session {
    /// Adds events to the session's commit, in the given order.
    pub async fn append(
        &mut self,
        events: &[NewEvent],
        now: DateTime<Utc>,
        random: &dyn Randomness,
    ) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        debug_assert!(events.iter().all(|one| event_types::has(&one.event_type)));
        let rows = events.iter().map(|event| {
            let notify = event.notify.iter().take(NOTIFY_MAX).map(UserId::as_str);
            let notify: Vec<&str> = notify.collect();
            json!({
                "id": new_id_at(now, random),
                "type": event.event_type,
                "organization": event.organization.as_str(),
                "class": event.class.as_ref().map(ClassId::as_str),
                "subject": event.subject,
                "actor": event.actor,
                "notify": json!(notify).to_string(),
                "data": json!(event.data).to_string(),
            })
        });
        let rows = json_rows(rows);
        self.appended = true;
        match (&mut self.held, &rows) {
            // In the message that commits, so that nobody waits for the feed before.
            (Held::Postgres(held), Arg::Text(Some(rows))) => {
                held.call_at_commit("append_events", rows, micros(now));
            }
            _ => {
                self.run(&INSERT, args![rows, now]).await?;
            }
        }
        Ok(())
    }

    /// Returns the events after a position, oldest first.
    pub async fn list(
        &mut self,
        scope: &Scope,
        after_position: i64,
        limit: u32,
    ) -> Result<Vec<Event>, Error> {
        let mut bound = args![after_position, limit];
        let list = match scope {
            Scope::Everything => &LIST_EVERYTHING,
            Scope::Place(place) => {
                bound.push(place.organization().into());
                bound.extend(place.class().map(Into::into));
                match place {
                    Place::Organization(_) => &LIST_ORGANIZATION,
                    Place::Class(_) => &LIST_CLASS,
                }
            }
        };
        self.all(list, bound).await
    }

    /// Returns the position of the newest event, which is never pruned; 0 if there has been none.
    pub async fn last_position(&mut self) -> Result<i64, Error> {
        self.one(&LAST_POSITION, args![]).await
    }

    /// Returns the organizations whose events mention the user. Reads all events: for erasures
    /// (R13).
    pub async fn organizations_with_events_of(
        &mut self,
        user: &UserId,
    ) -> Result<BTreeSet<OrganizationId>, Error> {
        let (after_slash, in_json) = sought(user);
        let bound = args![user, after_slash, in_json];
        let ids = self.ids(&ORGANIZATIONS_THAT_TELL_OF, bound).await?;
        Ok(ids.into_iter().collect())
    }

    /// Replaces the user by the other id in these organizations' events, in the transaction of this
    /// connection, which has locked the organizations (R13, R15). Returns the number of events.
    pub async fn replace_in_events(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
    ) -> Result<u64, Error> {
        let user = &replacement.user;
        let (after_slash, in_json) = sought(user);
        let mut count = 0;
        for organization in organizations {
            let mut after = 0;
            loop {
                let bound = args![
                    user,
                    &after_slash,
                    &in_json,
                    organization,
                    after,
                    REWRITTEN_TOGETHER_MAX
                ];
                let rows: Vec<Telling> = self.all(&TELLING_OF, bound).await?;
                let Some(last) = rows.last() else { break };
                after = last.sequence;
                for mut row in rows {
                    if row.rewrite(replacement) {
                        let (notify, data) = (json!(row.notify), json!(row.data));
                        let bound = args![
                            row.sequence,
                            row.subject,
                            row.actor,
                            notify.to_string(),
                            data.to_string()
                        ];
                        count += self.run(&REWRITE, bound).await?;
                    }
                }
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
