//! The events that mention a person, for the export of what is kept about them.

use homeroom_api::ids::UserId;

use super::{PageBytes, to_wire};
use crate::{
    args,
    database::Error,
    outbox::{Event, MAY_TELL_OF, SELECT, sought},
    sections::Part,
    store::Session,
};

/// The most events that one page of an export searches for a person.
const EVENTS_SEARCHED_MAX: i64 = 20_000;

crate::statements! {
    FIRST_AFTER = "SELECT coalesce(min(position), $1 + 1) AS position FROM events WHERE position > $1";

    OF_USER = format!(
        "{SELECT} WHERE {MAY_TELL_OF} AND position > $4 AND position <= $5 ORDER BY position LIMIT $6"
    );
}

impl Session {
    /// Returns the events after a position that mention the user, oldest first: at most `limit`, as many as a page of
    /// events holds, and those among the next [`EVENTS_SEARCHED_MAX`].
    pub async fn events_of(
        &mut self,
        user: &UserId,
        after: i64,
        limit: u32,
    ) -> Result<Part<Event>, Error> {
        // Retention deletes the oldest events, and their positions are not used again.
        let first: i64 = self.one(&FIRST_AFTER, args![after]).await?;
        let end = first.saturating_add(EVENTS_SEARCHED_MAX - 1);
        let (after_slash, in_json) = sought(user);
        let bound = args![user, after_slash, in_json, after, end, limit];
        let found: Vec<Event> = self.all(&OF_USER, bound).await?;
        let full = found.len() >= limit as usize;
        let seen = found.last().map(|last| last.position);
        let found = found.into_iter().filter(|event| event.mentions(user));
        let mut found = found.peekable();
        let (mut bytes, mut items) = (PageBytes::default(), Vec::new());
        while let Some(event) = found.next_if(|event| bytes.take(&to_wire(event.clone()))) {
            items.push(event);
        }
        let reached = if found.peek().is_some() {
            items.last().map(|last: &Event| last.position)
        } else if full {
            seen
        } else {
            let more = end < self.last_position().await?;
            more.then_some(end)
        };
        Ok(Part {
            items,
            after: reached.map(|position| position.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use homeroom_api::names::Place;

    use super::*;
    use crate::{
        clock::from_micros, outbox::NewEvent, random::SeededRandomness, tests::database::store,
    };

    fn ada() -> UserId {
        UserId::parse("ada").unwrap()
    }

    fn event(subject: &str, actor: &str) -> NewEvent {
        let place = Place::parse("organizations/hamilton").unwrap();
        let data = BTreeMap::new();
        NewEvent::new("member.joined", &place, subject.to_owned(), actor, data)
    }

    /// Writes the events and returns the subjects of those that mention Ada, and where the search goes on.
    async fn found(
        events: &[NewEvent],
        (after, limit): (i64, u32),
    ) -> (Vec<String>, Option<String>) {
        let (pools, _folder) = store().await;
        let mut session = pools.write().await.unwrap();
        let random = SeededRandomness::new(1);
        let now = from_micros(0);
        session.append(events, now, &random).await.unwrap();
        session.commit("test").await.unwrap();
        let mut session = pools.read().await.unwrap();
        let part = session.events_of(&ada(), after, limit).await.unwrap();
        let subjects = part.items.into_iter().map(|event| event.subject);
        (subjects.collect(), part.after)
    }

    #[tokio::test]
    async fn r13_an_event_mentions_a_person_by_the_whole_id() {
        let mut owned = event("classes/a", "bob");
        owned.data = BTreeMap::from([("owner".to_owned(), "ada".to_owned())]);
        let mut notified = event("requests/a", "bob");
        notified.notify = vec![ada()];
        let mut named_alike = event("classes/b", "bob");
        named_alike.data = BTreeMap::from([("role".to_owned(), "ada".to_owned())]);
        let events = [
            event("organizations/hamilton/members/ada", "bob"),
            event("users/nevada", "adam"),
            event("classes/c", "ada"),
            owned,
            notified,
            named_alike,
            event("organizations/hamilton/classes/ada", "bob"),
        ];
        let mentioned = [
            "organizations/hamilton/members/ada",
            "classes/c",
            "classes/a",
            "requests/a",
        ];
        let (subjects, after) = found(&events, (0, 10)).await;
        assert_eq!(
            (subjects.as_slice(), after),
            (&mentioned.map(str::to_owned)[..], None)
        );
        let (subjects, after) = found(&events, (1, 1)).await;
        assert_eq!(
            (subjects, after.as_deref()),
            (vec!["classes/c".to_owned()], Some("3"))
        );
    }

    #[tokio::test]
    async fn a_page_has_no_more_bytes_than_clients_receive() {
        let long = "a".repeat(crate::events::EVENTS_PAGE_BYTES_MAX / 2);
        let events = vec![event(&long, "ada"); 3];
        let (subjects, after) = found(&events, (0, 10)).await;
        assert_eq!((subjects.len(), after.as_deref()), (1, Some("1")));
        let (subjects, after) = found(&events, (2, 10)).await;
        assert_eq!((subjects.len(), after), (1, None));
    }

    #[tokio::test]
    async fn f9_a_search_begins_with_the_oldest_event_that_is_kept() {
        let (pools, _folder) = store().await;
        let random = SeededRandomness::new(1);
        let events = vec![event("a", "ada"); 3];
        let mut session = pools.write().await.unwrap();
        session
            .append(&events, from_micros(0), &random)
            .await
            .unwrap();
        let pruned = session.prune_events(from_micros(1), 10).await.unwrap();
        assert_eq!(pruned, 2);
        let last = i64::try_from(events.len()).unwrap();
        let first: i64 = session.one(&FIRST_AFTER, args![0_i64]).await.unwrap();
        assert_eq!(first, last);
        let part = session.events_of(&ada(), 0, 10).await.unwrap();
        assert_eq!((part.items.len(), part.after), (1, None));
        assert!(
            session
                .events_of(&ada(), last, 10)
                .await
                .unwrap()
                .items
                .is_empty()
        );
    }

    #[tokio::test]
    async fn a_search_reads_20000_events_and_says_where_it_goes_on() {
        for (more, after) in [(0, None), (1, Some("20000"))] {
            let count = usize::try_from(EVENTS_SEARCHED_MAX).unwrap() + more;
            let mut events = vec![event("a", "bob"); count];
            events[count - 1].actor = "ada".to_owned();
            let (subjects, went_on) = found(&events, (0, 10)).await;
            assert_eq!((subjects.len(), went_on.as_deref()), (1 - more, after));
        }
    }
}
