//! Pruning: old events are deleted from the beginning of the feed, a batch at a time, and what was deleted of each feed
//! is recorded with it.
//!
//! What is kept is always the whole end of the feed. So a reader at or after the last pruned position of its feed has
//! missed nothing, and one before it may have.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use homeroom_api::names::Place;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Scope;
use crate::{
    args,
    clock::micros,
    database::Error,
    store::{Session, Store, columns, json_rows},
};

/// The most events that one transaction prunes.
pub const PRUNED_EVENTS_BATCH: u32 = 500;

/// Says what was pruned of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Pruned {
    /// The position of the last event that was pruned: all later ones are kept.
    pub position: i64,
    /// The latest time of an event that was pruned.
    #[serde(rename = "create_time", with = "columns::time")]
    pub till: DateTime<Utc>,
}

crate::statements! {
    /// The newest event stays whatever its age: the next one is counted from it.
    OLDEST = "SELECT position, organization_id, coalesce(class_id, '') AS class_id, create_time FROM events \
        WHERE position IS NOT NULL AND position < (SELECT max(position) FROM events) ORDER BY position LIMIT $1";

    LOCK(on) = format!(
        "SELECT position FROM events WHERE position IN (SELECT CAST(input.value->>'position' AS BIGINT) FROM {}) \
         AND position > 0 ORDER BY position{}",
        on.rows("$1", "input"),
        on.skip_locked()
    );

    DELETE(on) = format!(
        "DELETE FROM events WHERE position IN (SELECT CAST(input.value->>'position' AS BIGINT) FROM {}) \
         AND position > 0",
        on.rows("$1", "input")
    );

    RECORD(on) = format!(
        "INSERT INTO pruned_events (organization_id, class_id, position, create_time) \
         SELECT input.value->>'organization_id', input.value->>'class_id', \
         CAST(input.value->>'position' AS BIGINT), CAST(input.value->>'create_time' AS BIGINT) FROM {} WHERE true \
         ON CONFLICT (organization_id, class_id) DO UPDATE SET position = excluded.position, \
         create_time = CASE WHEN excluded.create_time > pruned_events.create_time \
         THEN excluded.create_time ELSE pruned_events.create_time END",
        on.rows("$1", "input")
    );

    GET = "SELECT position, create_time FROM pruned_events WHERE organization_id = $1 AND class_id = $2";
}

/// An event that may be pruned.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OldEvent {
    position: i64,
    organization_id: String,
    class_id: String,
    create_time: i64,
}

/// A feed by its columns: both are empty for the feed of every organization, the class for that of an organization.
type Feed = (String, String);

/// Returns for each feed the position and the latest time of the events, sorted: rows are locked in one order.
fn pruned_of_each(events: &[OldEvent]) -> BTreeMap<Feed, (i64, i64)> {
    let mut feeds = BTreeMap::new();
    for event in events {
        let organization = || event.organization_id.clone();
        let mut of = vec![Feed::default(), (organization(), String::new())];
        if !event.class_id.is_empty() {
            of.push((organization(), event.class_id.clone()));
        }
        for feed in of {
            let (position, time) = feeds.entry(feed).or_insert((0, i64::MIN));
            *position = event.position.max(*position);
            *time = event.create_time.max(*time);
        }
    }
    feeds
}

impl Session {
    /// Prunes the oldest events, at most `limit`, up to the first that was made at `before` or later, or that another
    /// transaction has locked: it waits for nobody. Returns the number pruned.
    ///
    /// An event that a wrong clock dated later therefore keeps those after it until it is old by its own time.
    pub async fn prune_events(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        let mut events: Vec<OldEvent> = self.all(&OLDEST, args![limit]).await?;
        let is_old = |event: &OldEvent| event.create_time < micros(before);
        let old = events.iter().take_while(|event| is_old(event)).count();
        events.truncate(old);
        if events.is_empty() {
            return Ok(0);
        }
        let locked: Vec<i64> = self.all(&LOCK, args![json_rows(&events)]).await?;
        let locked: HashSet<i64> = locked.into_iter().collect();
        let is_ours = |event: &OldEvent| locked.contains(&event.position);
        let ours = events.iter().take_while(|event| is_ours(event)).count();
        events.truncate(ours);
        if events.is_empty() {
            return Ok(0);
        }
        let pruned = self.run(&DELETE, args![json_rows(&events)]).await?;
        let feeds = pruned_of_each(&events).into_iter();
        let rows = feeds.map(|((organization, class), (position, time))| {
            json!({
                "organization_id": organization, "class_id": class, "position": position, "create_time": time,
            })
        });
        self.run(&RECORD, args![json_rows(rows)]).await?;
        Ok(pruned)
    }

    async fn pruned(&mut self, scope: &Scope) -> Result<Option<Pruned>, Error> {
        let (organization, class) = match scope {
            Scope::Everything => (None, None),
            Scope::Place(place) => (Some(place.organization()), Place::class(place)),
        };
        self.first(&GET, args![organization, class]).await
    }
}

impl<R> Store<R> {
    /// Prunes a batch of the events made before a time ([`Session::prune_events`]). Returns true if there may be more.
    pub async fn prune_events(&self, before: DateTime<Utc>) -> Result<bool, Error> {
        let mut session = self.of_kit().write().await?;
        let pruned = session.prune_events(before, PRUNED_EVENTS_BATCH).await?;
        session.commit("prune_events").await?;
        Ok(pruned >= u64::from(PRUNED_EVENTS_BATCH))
    }

    /// Returns what was pruned of a feed; None if it is whole.
    pub async fn pruned_events(&self, scope: &Scope) -> Result<Option<Pruned>, Error> {
        let mut session = self.of_kit().read().await?;
        let pruned = session.pruned(scope).await?;
        session.release();
        Ok(pruned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f9_a_feed_is_pruned_up_to_the_last_of_its_own_events() {
        let event = |position, organization: &str, class: &str, create_time| OldEvent {
            position,
            organization_id: organization.to_owned(),
            class_id: class.to_owned(),
            create_time,
        };
        let events = [
            event(1, "hamilton", "bio", 10),
            event(2, "hamilton", "", 30),
            event(3, "jefferson", "", 20),
        ];
        let pruned: Vec<_> = pruned_of_each(&events).into_iter().collect();
        let feed = |organization: &str, class: &str| (organization.to_owned(), class.to_owned());
        let expected = [
            (feed("", ""), (3, 30)),
            (feed("hamilton", ""), (2, 30)),
            (feed("hamilton", "bio"), (1, 10)),
            (feed("jefferson", ""), (3, 20)),
        ];
        assert_eq!(pruned, expected);
    }
}
