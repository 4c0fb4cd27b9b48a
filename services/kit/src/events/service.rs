//! `ListEvents` and `WatchEvents` of both services.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use homeroom_api::{
    common::v1::{
        ErrorReason, ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse,
    },
    ids::UserId,
    names::Place,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::{Authorize, PageBytes, page_token_expired, to_wire};
use crate::{
    auth::{Caller, Scope as CallerScope, expired},
    clock::to_timestamp,
    outbox::{Pruned, Scope},
    paging::{Paging, not_of_this_list},
    rpc,
    shutdown::Shutdown,
    status::{Error, Result},
    store::{Session, Store},
};

/// The interval at which a watch checks for events without a notification, in milliseconds.
const WATCH_INTERVAL_MILLIS: u64 = 500;
/// The longest duration of a watch, in seconds; its caller resumes from the last token.
const WATCH_SECONDS_MAX: u64 = 30 * 60;
/// The time for which a watch whose access token has expired waits for its caller to read that, in
/// seconds.
const WATCH_ENDING_SECONDS_MAX: u64 = 1;
/// The most watches under way in one process.
pub(super) const WATCHES_MAX: usize = 1_000;
/// The most watches of one subject for one user.
pub(super) const WATCHES_PER_SUBJECT_MAX: usize = 20;
/// The number of events that a watch reads at a time.
const WATCH_BATCH: u32 = 100;

/// The scopes whose holders read every feed, whatever [`Authorize`] decides.
pub const FEED_SCOPES: &[CallerScope] = &[CallerScope::Admit, CallerScope::Platform];

/// The response stream of `WatchEvents`.
pub type WatchStream = ReceiverStream<std::result::Result<WatchEventsResponse, Status>>;

/// One service's feed, for its `EventService`.
#[derive(Clone)]
pub struct EventFeed {
    name: &'static str,
    store: Arc<Store<Session>>,
    authorize: Arc<dyn Authorize>,
    paging: Paging,
    shutdown: Shutdown,
    watches: Watches,
}

impl EventFeed {
    /// Returns the feed of the service `name`, to which page tokens are bound.
    #[must_use]
    pub fn new<R>(
        name: &'static str,
        store: &Store<R>,
        authorize: Arc<dyn Authorize>,
        paging: &Paging,
        shutdown: &Shutdown,
    ) -> Self {
        Self {
            name,
            store: Arc::new(store.of_kit()),
            authorize,
            paging: paging.clone(),
            shutdown: shutdown.clone(),
            watches: Watches::default(),
        }
    }

    /// Handles `ListEvents`.
    pub async fn list(&self, request: Request<ListEventsRequest>) -> Result<ListEventsResponse> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let scope = self
            .scope(&caller, &request.parent, request.page_size)
            .await?;
        let list = self.list_name(&request.parent);
        let page = self
            .paging
            .parse(request.page_size, &request.page_token, list.as_str())?;
        let after = page.cursor_as()?;
        let found = self.store.events(&scope, after.unwrap_or(0), page.size);
        let found = found.await?;
        if found.is_empty() {
            self.has_reached(after).await?;
        }
        // Read after the events: what was pruned before them is known then.
        let pruned = self.pruned(&scope, after).await?;
        let begin = || pruned.map_or(0, |pruned| pruned.position);
        let mut reached = after.unwrap_or_else(begin);
        let mut bytes = PageBytes::default();
        let mut events = Vec::new();
        for event in found {
            let position = event.position;
            let event = to_wire(event);
            if !bytes.take(&event) {
                break;
            }
            reached = position;
            events.push(event);
        }
        Ok(ListEventsResponse {
            events,
            next_page_token: self.paging.token(&list, &[reached.to_string()]),
            pruned_till_time: pruned.map(|pruned| to_timestamp(pruned.till)),
        })
    }

    /// Returns what was pruned of a feed. Fails with `PAGE_TOKEN_EXPIRED` if events after the given position were: a
    /// reader there would miss them without a word.
    async fn pruned(&self, scope: &Scope, after: Option<i64>) -> Result<Option<Pruned>> {
        let pruned = self.store.pruned_events(scope).await?;
        match (after, pruned) {
            (Some(after), Some(pruned)) if after < pruned.position => {
                Err(page_token_expired(pruned.till))
            }
            _ => Ok(pruned),
        }
    }

    /// Fails with `INVALID_PAGE_TOKEN` if no event has had the position yet: the database was restored from a time
    /// before it, and a reader there would miss the events that get the positions up to it, without a word.
    async fn has_reached(&self, after: Option<i64>) -> Result<()> {
        let Some(after) = after.filter(|after| *after > 0) else {
            return Ok(());
        };
        if after > self.store.last_event_position().await? {
            return Err(not_of_this_list());
        }
        Ok(())
    }

    /// Handles `WatchEvents`.
    pub async fn watch(&self, request: Request<WatchEventsRequest>) -> Result<WatchStream> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let scope = self.scope(&caller, &request.parent, 0).await?;
        let list = self.list_name(&request.parent);
        let page = self.paging.parse(0, &request.page_token, list.as_str())?;
        let after = page.cursor_as()?;
        self.has_reached(after).await?;
        self.pruned(&scope, after).await?;
        let permit = self.watches.begin(&caller)?;
        let (sender, receiver) = mpsc::channel(1);
        let watch = Watch {
            feed: self.clone(),
            caller,
            parent: request.parent,
            scope,
            list,
            after,
        };
        tokio::spawn(watch.run(sender, permit));
        Ok(ReceiverStream::new(receiver))
    }

    #[cfg(test)]
    pub(super) fn watches_under_way(&self) -> usize {
        let under_way = self.watches.0.lock();
        let under_way = under_way.unwrap_or_else(PoisonError::into_inner);
        under_way.values().sum()
    }

    fn list_name(&self, parent: &str) -> String {
        format!("{}/events of {parent}", self.name)
    }

    /// Returns the scope that the caller may read under `parent`.
    async fn scope(&self, caller: &Caller, parent: &str, page_size: i32) -> Result<Scope> {
        let place = rpc::parent(rpc::or_every(parent, Place::parse), page_size)?;
        let service = FEED_SCOPES.iter().any(|scope| caller.has(*scope));
        let Some(place) = place else {
            if !service || caller.organizations.is_some() {
                return Err(Error::new(
                    ErrorReason::ScopeMissing,
                    "Name an organization, or use an access token with the scope homeroom.admit that is not bound to organizations.",
                )
                .metadata("scope", CallerScope::Admit.as_str()));
            }
            return Ok(Scope::Everything);
        };
        if !caller.may_reach(place.organization()) {
            return Err(rpc::place_not_found(&place));
        }
        if !service {
            self.authorize.authorize(caller, &place).await?;
        }
        Ok(Scope::Place(place))
    }
}

/// The watches under way, by watcher.
#[derive(Clone, Default)]
pub(super) struct Watches(Arc<Mutex<HashMap<Watcher, usize>>>);

/// A token's subject and the user for whom it acts.
type Watcher = (String, UserId);

impl Watches {
    /// Counts one more watch until the permit is dropped. Fails with `OVERLOADED` beyond the
    /// bounds.
    pub(super) fn begin(&self, caller: &Caller) -> Result<Permit> {
        let watcher = (caller.subject.clone(), caller.user.clone());
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = under_way.get(&watcher).copied().unwrap_or(0);
        if own >= WATCHES_PER_SUBJECT_MAX {
            return Err(Error::unavailable(
                ErrorReason::Overloaded,
                format!(
                    "End another watch first: you may have {WATCHES_PER_SUBJECT_MAX} at a time."
                ),
            ));
        }
        if under_way.values().sum::<usize>() >= WATCHES_MAX {
            return Err(Error::unavailable(
                ErrorReason::Overloaded,
                "Too many feeds are being watched; use ListEvents or retry later.",
            ));
        }
        under_way.insert(watcher.clone(), own + 1);
        drop(under_way);
        Ok(Permit {
            watches: self.clone(),
            watcher,
        })
    }
}

/// A permit that counts as one watch until it is dropped.
pub(super) struct Permit {
    watches: Watches,
    watcher: Watcher,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut under_way = self
            .watches
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = under_way.get_mut(&self.watcher) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                under_way.remove(&self.watcher);
            }
        }
    }
}

/// A watch under way.
struct Watch {
    feed: EventFeed,
    caller: Caller,
    parent: String,
    scope: Scope,
    list: String,
    /// The position of the last event that was sent or seen before; None at the beginning of the feed.
    after: Option<i64>,
}

type Sender = mpsc::Sender<std::result::Result<WatchEventsResponse, Status>>;

impl Watch {
    /// Sends events until the caller, its deadline, its access token, the longest duration or the
    /// server ends the watch. Only the token's end is reported, since the watch cannot be resumed
    /// with that token.
    async fn run(mut self, sender: Sender, _permit: Permit) {
        let longest = Instant::now() + Duration::from_secs(WATCH_SECONDS_MAX);
        let bounds = [self.caller.deadline, self.caller.token_end];
        let bounds = bounds.into_iter().flatten().map(Instant::from_std);
        let end = bounds.fold(longest, Instant::min);
        let mut listener = self.feed.store.committed().listen();
        let mut ticks = tokio::time::interval(Duration::from_millis(WATCH_INTERVAL_MILLIS));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let shutdown = self.feed.shutdown.clone();
        loop {
            let sending = async {
                if !self.send_more(&sender).await? {
                    tokio::select! {
                        () = listener.heard() => {}
                        _ = ticks.tick() => {}
                    }
                }
                Ok::<_, Error>(())
            };
            let sent = tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep_until(end) => return self.tell_end(&sender, end).await,
                () = sender.closed() => return,
                sent = sending => sent,
            };
            if let Err(error) = sent {
                // This fails only if the caller has gone, which needs no report.
                let _gone = sender.send(Err(error.into())).await;
                return;
            }
        }
    }

    /// Tells the caller if the watch ends because its token expired. Does not wait for a caller
    /// that does not read.
    async fn tell_end(&self, sender: &Sender, end: Instant) {
        if self.caller.token_end.map(Instant::from_std) == Some(end) {
            let patience = Duration::from_secs(WATCH_ENDING_SECONDS_MAX);
            drop(sender.send_timeout(Err(expired().into()), patience).await);
        }
    }

    /// Sends new events. Returns true if there may be more.
    async fn send_more(&mut self, sender: &Sender) -> Result<bool> {
        let events = self
            .feed
            .store
            .events(&self.scope, self.after.unwrap_or(0), WATCH_BATCH)
            .await?;
        if events.is_empty() {
            return Ok(false);
        }
        self.feed.pruned(&self.scope, self.after).await?;
        // The caller may have lost its role since the watch began.
        self.scope = self.feed.scope(&self.caller, &self.parent, 0).await?;
        for event in events {
            let position = event.position;
            let response = WatchEventsResponse {
                event: Some(to_wire(event)),
                next_page_token: self.feed.paging.token(&self.list, &[position.to_string()]),
            };
            if sender.send(Ok(response)).await.is_err() {
                return Ok(false);
            }
            self.after = Some(position);
        }
        Ok(true)
    }
}

/// Makes `EventApi`, the `EventService` of the package `$api` over an
/// [`EventFeed`](crate::events::EventFeed).
#[macro_export]
macro_rules! event_api {
    ($api:path) => {
        /// `EventService`: the feed of this service's events (R11).
        #[derive(Clone)]
        pub(crate) struct EventApi(pub(crate) $crate::events::EventFeed);

        #[::tonic::async_trait]
        impl $api for EventApi {
            type WatchEventsStream = $crate::events::WatchStream;

            async fn list_events(
                &self,
                request: ::tonic::Request<::homeroom_api::common::v1::ListEventsRequest>,
            ) -> ::std::result::Result<
                ::tonic::Response<::homeroom_api::common::v1::ListEventsResponse>,
                ::tonic::Status,
            > {
                Ok(::tonic::Response::new(self.0.list(request).await?))
            }

            async fn watch_events(
                &self,
                request: ::tonic::Request<::homeroom_api::common::v1::WatchEventsRequest>,
            ) -> ::std::result::Result<::tonic::Response<Self::WatchEventsStream>, ::tonic::Status>
            {
                Ok(::tonic::Response::new(self.0.watch(request).await?))
            }
        }
    };
}
