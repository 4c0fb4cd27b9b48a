//! The follower (P5): every end of a join request is one event of membership's feed, and settles the redemption that
//! filed it. The position in the feed moves in the transaction that applies its events.

use homeroom_api::{
    common::v1::{ErrorReason, Event},
    ids::SYSTEM_ACTOR,
    names::{ClassName, RedemptionName},
};
use homeroom_kit::{Error, Result, random::new_id_at};
use uuid::Uuid;

use super::{
    Redemptions,
    ledger::{MembershipReply, ReadAt, Settlement, settle},
};
use crate::{
    domain::redemption::RequestEnd,
    store::{self, Repository, SkippedEvent},
};

/// The name of the followed feed, under which its position is stored.
pub const MEMBERSHIP_FEED: &str = "membership";
/// The number of events that are followed at once.
pub const FEED_PAGE_EVENTS: u32 = 500;
/// The type of the entry of `skipped_events` for a part of the feed that was deleted before it was followed.
pub const FEED_PRUNED: &str = "feed.pruned";

/// The result of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Followed {
    /// The number of events read.
    pub events: usize,
    /// The number of redemptions that they settled.
    pub settled: usize,
    /// The number of events that could not be followed and were recorded.
    pub skipped: usize,
}

/// An event that ends a redemption's request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ended {
    redemption: RedemptionName,
    end: RequestEnd,
    join_request: String,
    actor: String,
}

impl Redemptions {
    /// Follows one page of membership's feed. On `MEMBERSHIP_UNAVAILABLE` the page is left to the next run.
    pub async fn follow_once(&self) -> Result<Followed> {
        let before = self
            .ledger
            .store
            .read()
            .await?
            .get_feed_position(MEMBERSHIP_FEED)
            .await?;
        let page = self
            .membership
            .list_events(FEED_PAGE_EVENTS, before.as_deref().unwrap_or_default())
            .await;
        let page = match page {
            Err(error)
                if matches!(
                    error.reason(),
                    ErrorReason::PageTokenExpired | ErrorReason::InvalidPageToken
                ) =>
            {
                return self.begin_again(before.as_deref(), &error).await;
            }
            page => page?,
        };
        if page.events.is_empty() && before.as_deref() == Some(page.next_page_token.as_str()) {
            return Ok(Followed::default());
        }
        self.free_codes(&page.events).await?;
        let events: Vec<&Event> = page.events.iter().collect();
        let before = before.as_deref();
        let token = page.next_page_token.as_str();
        match self.follow_page(&events, &[], before, token).await {
            Ok(followed) => Ok(followed),
            Err(store::Error::Other(cause)) => {
                // One of the events is poisoned: each is followed alone, so that the others go through.
                tracing::warn!(%cause, "a page of the feed is followed event by event");
                self.follow_one_by_one(&events, before, token).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns to the beginning of the feed, which may be followed any number of times. If its events at the position
    /// were deleted (F9), records that some were missed: the sweep settles what they would have settled (P5). Otherwise
    /// membership does not know the position, as after a restore of its database, and none is missed.
    async fn begin_again(&self, before: Option<&str>, error: &Error) -> Result<Followed> {
        let mut repository = self.ledger.store.write().await?;
        let now = self.ledger.clock.now();
        let pruned = error.reason() == ErrorReason::PageTokenExpired;
        if pruned {
            let missed = SkippedEvent {
                event_id: new_id_at(now, self.ledger.random.as_ref()).to_string(),
                event_type: FEED_PRUNED.to_owned(),
                subject: MEMBERSHIP_FEED.to_owned(),
                cause: error.message().to_owned(),
            };
            repository
                .record_skipped_event(MEMBERSHIP_FEED, &missed, now)
                .await?;
        }
        let moved = repository
            .move_feed_position(MEMBERSHIP_FEED, before, "", now)
            .await?;
        if !moved {
            // Another process has done this.
            repository.rollback().await;
            return Ok(Followed::default());
        }
        repository.commit("follow").await?;
        if pruned {
            tracing::error!(
                %error,
                "events of membership's feed were deleted before they were followed: it is followed from its oldest event"
            );
        } else {
            tracing::warn!(
                "membership does not know the position in its feed: it is followed from its oldest event"
            );
        }
        Ok(Followed {
            skipped: usize::from(pruned),
            ..Followed::default()
        })
    }

    /// Deletes the enrollment codes of classes that were deleted, each class in a transaction of its own. It may be
    /// repeated.
    async fn free_codes(&self, events: &[Event]) -> Result<()> {
        let deleted = events
            .iter()
            .filter(|event| event.r#type == "class.deleted");
        for class in deleted.filter_map(|event| ClassName::parse(&event.subject).ok()) {
            let mut repository = self.ledger.store.write().await?;
            let now = self.ledger.clock.now();
            repository
                .lock_organizations(std::slice::from_ref(&class.organization), now)
                .await?;
            repository.delete_codes_of(&class, now).await?;
            repository.commit("free_codes").await?;
        }
        Ok(())
    }

    async fn follow_page(
        &self,
        events: &[&Event],
        poisoned: &[SkippedEvent],
        before: Option<&str>,
        token: &str,
    ) -> store::Result<Followed> {
        let mut repository = self.ledger.store.write().await?;
        let now = self.ledger.clock.now();
        let mut ended = Vec::new();
        let mut skipped = poisoned.to_vec();
        for event in events {
            match read(event) {
                Ok(Some(end)) => ended.push(end),
                Ok(None) => {}
                Err(cause) => skipped.push(skip(event, cause)),
            }
        }
        // The locks of the changes come before the feed's own row, as in every transaction.
        let settled = self.apply(&mut repository, &ended).await?;
        for event in &skipped {
            tracing::error!(
                event = event.event_id,
                kind = event.event_type,
                cause = event.cause,
                "an event of the feed was skipped"
            );
            repository
                .record_skipped_event(MEMBERSHIP_FEED, event, now)
                .await?;
        }
        let moved = repository
            .move_feed_position(MEMBERSHIP_FEED, before, token, now)
            .await?;
        if !moved {
            // Another process has followed this page: its changes stand.
            repository.rollback().await;
            return Ok(Followed::default());
        }
        repository.commit("follow").await?;
        Ok(Followed {
            events: events.len(),
            settled,
            skipped: skipped.len(),
        })
    }

    /// Follows each event of the page in a transaction of its own, which may be repeated. Then the position moves on,
    /// and events that could not be followed are recorded.
    async fn follow_one_by_one(
        &self,
        events: &[&Event],
        before: Option<&str>,
        token: &str,
    ) -> Result<Followed> {
        let mut poisoned = Vec::new();
        let mut settled = 0;
        for event in events {
            let Ok(Some(end)) = read(event) else {
                continue;
            };
            let attempt = async {
                let mut repository = self.ledger.store.write().await?;
                let settled = self.apply(&mut repository, &[end]).await?;
                repository.commit("follow_one").await?;
                Ok::<_, store::Error>(settled)
            };
            match attempt.await {
                Ok(moved) => settled += moved,
                Err(store::Error::Other(cause)) => {
                    tracing::error!(%cause, event = event.id, "an event of the feed cannot be followed");
                    poisoned.push(skip(event, "what it settles cannot be read or written"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let malformed: Vec<&Event> = events
            .iter()
            .copied()
            .filter(|event| read(event).is_err())
            .collect();
        let moved = self
            .follow_page(&malformed, &poisoned, before, token)
            .await
            .map_err(Error::from)?;
        Ok(Followed {
            events: events.len(),
            settled,
            skipped: moved.skipped,
        })
    }

    /// Settles redemptions by the events, in their order. A redemption that is unknown here is not this service's, or
    /// the database was restored from a time before it.
    async fn apply(&self, repository: &mut Repository, ended: &[Ended]) -> store::Result<usize> {
        if ended.is_empty() {
            return Ok(0);
        }
        let ids: Vec<Uuid> = ended.iter().map(|ended| ended.redemption.id).collect();
        let redemptions = repository.get_redemptions(&ids).await?;
        let settlements: Vec<Settlement> = ended
            .iter()
            .filter_map(|ended| {
                // I8: the whole name is compared, so that no organization's events change another's redemptions.
                let redemption = redemptions
                    .iter()
                    .find(|redemption| redemption.name() == ended.redemption)?;
                Some(Settlement {
                    redemption: redemption.clone(),
                    replies: vec![MembershipReply::End(ended.end)],
                    join_request: ended.join_request.clone(),
                    actor: ended.actor.clone(),
                })
            })
            .collect();
        let moved = settle(
            repository,
            &settlements,
            ReadAt::UnderLocks,
            self.ledger.clock.now(),
            self.ledger.random.as_ref(),
        )
        .await?;
        Ok(moved.len())
    }
}

/// Returns the request's end that an event reports; None if it ends no redemption's request.
fn read(event: &Event) -> std::result::Result<Option<Ended>, &'static str> {
    let end = match event.r#type.as_str() {
        "join_request.approved" => RequestEnd::Approved,
        "join_request.denied" => RequestEnd::Denied,
        "join_request.withdrawn" => RequestEnd::Withdrawn,
        "join_request.expired" => RequestEnd::Expired,
        "join_request.closed" => RequestEnd::Closed,
        _ => return Ok(None),
    };
    let redemption = event
        .data
        .get("redemption")
        .ok_or("it names no redemption")?;
    let name =
        RedemptionName::parse(redemption).map_err(|_| "its redemption is no resource name")?;
    Ok(Some(Ended {
        redemption: name,
        end,
        join_request: event.subject.clone(),
        actor: if event.actor.is_empty() {
            SYSTEM_ACTOR.to_owned()
        } else {
            event.actor.clone()
        },
    }))
}

fn skip(event: &Event, cause: &str) -> SkippedEvent {
    SkippedEvent {
        event_id: event.id.clone(),
        event_type: event.r#type.clone(),
        subject: event.subject.clone(),
        cause: cause.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_only_the_ends_of_requests_settle() {
        let name = "organizations/hamilton/redemptions/01900000-0000-7000-8000-000000000001";
        let event = |kind: &str| Event {
            r#type: kind.to_owned(),
            data: [("redemption".to_owned(), name.to_owned())].into(),
            ..Event::default()
        };
        for (kind, end) in [
            ("join_request.created", None),
            ("member.joined", None),
            ("class.deleted", None),
            ("join_request.approved", Some(RequestEnd::Approved)),
            ("join_request.denied", Some(RequestEnd::Denied)),
            ("join_request.withdrawn", Some(RequestEnd::Withdrawn)),
            ("join_request.expired", Some(RequestEnd::Expired)),
            ("join_request.closed", Some(RequestEnd::Closed)),
        ] {
            let read = read(&event(kind)).unwrap().map(|ended| ended.end);
            assert_eq!(read, end, "{kind}");
        }
    }
}
