//! The SQL text, compiled for both engines.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::{ClassId, OrganizationId, UserId};
use sqlx::{Database, Row as _};
use uuid::Uuid;

use super::{
    super::{Event, NOTIFY_MAX, NewEvent, Outbox, Scope},
    Db, insert,
};
use crate::{
    clock::{from_micros, micros},
    database::{Error, Session},
    erasure::Replacement,
    random::{Randomness, new_id_at},
};

const LIST_EVERYTHING: &str = "SELECT position, event_id, event_type, organization_id, class_id, \
    subject, actor, notify, data, create_time FROM events \
    WHERE position > $1 ORDER BY position LIMIT $2";

// By the range of one index: after an equality, PostgreSQL may walk all positions.
const LIST_ORGANIZATION: &str = "SELECT position, event_id, event_type, organization_id, class_id, \
    subject, actor, notify, data, create_time FROM events \
    WHERE position > $1 AND (organization_id, position) > ($3, $1) AND organization_id <= $3 \
    ORDER BY organization_id, position LIMIT $2";

const LIST_CLASS: &str = "SELECT position, event_id, event_type, organization_id, class_id, \
    subject, actor, notify, data, create_time FROM events \
    WHERE position > $1 AND organization_id = $3 AND (class_id, position) > ($4, $1) AND class_id <= $4 \
    ORDER BY class_id, position LIMIT $2";

/// Selects every event that mentions a user, and some more: `$1` is the id, `$2` the id after a
/// slash, `$3` the id before a quote in JSON. The code then checks each row.
macro_rules! may_tell_of {
    () => {
        "(actor = $1 OR replace(subject, $2, '') <> subject OR replace(notify, $3, '') <> notify \
         OR replace(data, $3, '') <> data)"
    };
}

const ORGANIZATIONS_THAT_TELL_OF: &str = concat!(
    "SELECT DISTINCT organization_id FROM events WHERE ",
    may_tell_of!()
);

const TELLING_OF: &str = concat!(
    "SELECT sequence, subject, actor, notify, data FROM events WHERE organization_id = $4 AND ",
    may_tell_of!(),
    " AND sequence > $5 ORDER BY sequence LIMIT $6"
);

const REWRITE: &str =
    "UPDATE events SET subject = $2, actor = $3, notify = $4, data = $5 WHERE sequence = $1";

/// The keys in `data` whose values are user ids. A value of another key may look the same without
/// being one, such as a role or a flag.
const FACTS_OF_USERS: &[&str] = &["owner", "user"];

/// The most events that one statement of an erasure reads.
const REWRITTEN_TOGETHER_MAX: i64 = 1_000;

/// Returns the user's id in the forms that the statements search for: after a slash, and before a
/// quote in JSON.
fn sought(user: &UserId) -> (String, String) {
    let quoted = serde_json::json!(user.as_str()).to_string();
    let in_json = quoted.strip_prefix('"').unwrap_or(&quoted).to_owned();
    (format!("/{user}"), in_json)
}

/// A row of an event that may mention a user: sequence, subject, actor, notify, data.
type Telling = (i64, String, String, String, String);

/// Returns the row with the pseudonym, or `None` if it does not mention the user.
fn rewritten(row: &Telling, by: &Replacement) -> Result<Option<Telling>, Error> {
    let (sequence, subject, actor, notify, data) = row;
    let mut told: Vec<String> =
        serde_json::from_str(notify).map_err(|_| Error::corrupt("events.notify is not a list"))?;
    let mut facts: BTreeMap<String, String> =
        serde_json::from_str(data).map_err(|_| Error::corrupt("events.data is not an object"))?;
    let mut subject = subject.clone();
    let mut actor = actor.clone();
    let mut tells = false;
    let texts = [&mut subject, &mut actor].into_iter();
    let of_users = facts
        .iter_mut()
        .filter(|(fact, _)| FACTS_OF_USERS.contains(&fact.as_str()))
        .map(|(_, text)| text);
    for text in texts.chain(&mut told).chain(of_users) {
        if let Some(replaced) = by.text(text) {
            *text = replaced;
            tells = true;
        }
    }
    Ok(tells.then(|| {
        let notify = serde_json::json!(told).to_string();
        let data = serde_json::json!(facts).to_string();
        (*sequence, subject, actor, notify, data)
    }))
}

#[async_trait]
impl Outbox for Session<Db> {
    async fn append(
        &mut self,
        events: &[NewEvent],
        now: DateTime<Utc>,
        random: &dyn Randomness,
    ) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let rows = events.iter().map(|event| {
            let notify = event.notify.iter().take(NOTIFY_MAX).map(UserId::as_str);
            let notify: Vec<&str> = notify.collect();
            serde_json::json!({
                "id": new_id_at(now, random).to_string(),
                "type": event.event_type,
                "organization": event.organization.as_str(),
                "class": event.class.as_ref().map(ClassId::as_str),
                "subject": event.subject,
                "actor": event.actor,
                "notify": serde_json::json!(notify).to_string(),
                "data": serde_json::json!(event.data).to_string(),
            })
        });
        let rows = serde_json::Value::Array(rows.collect()).to_string();
        Ok(insert(self, rows, micros(now)).await?)
    }

    async fn list(
        &mut self,
        scope: &Scope,
        after_position: i64,
        limit: u32,
    ) -> Result<Vec<Event>, Error> {
        let rows = match scope {
            Scope::Everything => {
                sqlx::query(LIST_EVERYTHING)
                    .bind(after_position)
                    .bind(i64::from(limit))
                    .fetch_all(self.connection())
                    .await?
            }
            Scope::Place(place) => match place.class() {
                None => {
                    sqlx::query(LIST_ORGANIZATION)
                        .bind(after_position)
                        .bind(i64::from(limit))
                        .bind(place.organization().as_str())
                        .fetch_all(self.connection())
                        .await?
                }
                Some(class) => {
                    sqlx::query(LIST_CLASS)
                        .bind(after_position)
                        .bind(i64::from(limit))
                        .bind(place.organization().as_str())
                        .bind(class.as_str())
                        .fetch_all(self.connection())
                        .await?
                }
            },
        };
        rows.iter().map(read).collect()
    }

    async fn organizations_with_events_of(
        &mut self,
        user: &UserId,
    ) -> Result<BTreeSet<OrganizationId>, Error> {
        let (after_slash, in_json) = sought(user);
        let ids: Vec<String> = sqlx::query_scalar(ORGANIZATIONS_THAT_TELL_OF)
            .bind(user.as_str())
            .bind(after_slash)
            .bind(in_json)
            .fetch_all(self.connection())
            .await?;
        let ids = ids.iter().map(|id| OrganizationId::parse(id));
        ids.collect::<Result<_, _>>()
            .map_err(|_| Error::corrupt("a row of events does not parse"))
    }

    async fn pseudonymize_events(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
    ) -> Result<u64, Error> {
        let (after_slash, in_json) = sought(&replacement.user);
        let mut count = 0;
        for organization in organizations {
            let mut after = 0;
            loop {
                let rows: Vec<Telling> = sqlx::query_as(TELLING_OF)
                    .bind(replacement.user.as_str())
                    .bind(after_slash.as_str())
                    .bind(in_json.as_str())
                    .bind(organization.as_str())
                    .bind(after)
                    .bind(REWRITTEN_TOGETHER_MAX)
                    .fetch_all(self.connection())
                    .await?;
                let Some((last, ..)) = rows.last() else { break };
                after = *last;
                for row in &rows {
                    let Some((sequence, subject, actor, notify, data)) =
                        rewritten(row, replacement)?
                    else {
                        continue;
                    };
                    sqlx::query(REWRITE)
                        .bind(sequence)
                        .bind(subject)
                        .bind(actor)
                        .bind(notify)
                        .bind(data)
                        .execute(self.connection())
                        .await?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

fn read(row: &<Db as Database>::Row) -> Result<Event, Error> {
    let corrupt = |_| Error::corrupt("a row of events does not parse");
    let class: Option<String> = row.try_get("class_id")?;
    let notify: String = row.try_get("notify")?;
    let data: String = row.try_get("data")?;
    Ok(Event {
        position: row.try_get("position")?,
        id: Uuid::try_parse(row.try_get("event_id")?)
            .map_err(|_| Error::corrupt("an event id is not a UUID"))?,
        event_type: row.try_get("event_type")?,
        organization: OrganizationId::parse(row.try_get("organization_id")?).map_err(corrupt)?,
        class: class
            .as_deref()
            .map(ClassId::parse)
            .transpose()
            .map_err(corrupt)?,
        subject: row.try_get("subject")?,
        actor: row.try_get("actor")?,
        notify: serde_json::from_str(&notify)
            .map_err(|_| Error::corrupt("events.notify is not a list"))?,
        data: serde_json::from_str(&data)
            .map_err(|_| Error::corrupt("events.data is not an object"))?,
        create_time: from_micros(row.try_get("create_time")?),
    })
}
