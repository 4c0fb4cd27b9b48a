use std::{sync::Arc, time::Duration};

use homeroom_api::{
    common::v1::{ErrorReason, ListEventsRequest, WatchEventsRequest},
    ids::{OrganizationId, UserId},
};
use prost::Message as _;
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use tonic::Request;

use super::{
    service::{Permit, WATCHES_MAX, WATCHES_PER_SUBJECT_MAX, WatchStream, Watches},
    *,
};
use crate::{
    auth::Scope as CallerScope,
    clock::from_micros,
    keys::KeyRing,
    outbox::NewEvent,
    paging::Paging,
    random::SeededRandomness,
    shutdown::Shutdown,
    status::Error,
    store::{Session, Store},
    tests::database::store,
};

/// Users called `teacher` are the staff of every place.
struct Teachers;

#[async_trait]
impl Authorize for Teachers {
    async fn authorize(&self, caller: &Caller, _place: &Place) -> Result<()> {
        if caller.user.as_str() == "teacher" {
            Ok(())
        } else {
            Err(Error::new(ErrorReason::ClassNotFound, "x"))
        }
    }
}

struct World {
    store: Store<Session>,
    feed: EventFeed,
    shutdown: Shutdown,
    _folder: TempDir,
}

async fn world() -> World {
    let (store, folder) = store().await;
    let shutdown = Shutdown::new();
    let ring = Arc::new(KeyRing::generate(&SeededRandomness::new(1)).unwrap());
    let feed = EventFeed::new(
        "test",
        &store,
        Arc::new(Teachers),
        &Paging::new(ring),
        &shutdown,
    );
    World {
        store,
        feed,
        shutdown,
        _folder: folder,
    }
}

impl World {
    async fn happen(&self, subjects: &[&str]) {
        self.happen_in("hamilton", subjects).await;
    }

    async fn happen_in(&self, organization: &str, subjects: &[&str]) {
        let events = subjects.iter().map(|subject| NewEvent {
            event_type: "member.joined".into(),
            organization: OrganizationId::parse(organization).unwrap(),
            class: None,
            subject: (*subject).to_owned(),
            actor: "system".to_owned(),
            notify: vec![],
            data: std::collections::BTreeMap::new(),
        });
        let events: Vec<NewEvent> = events.collect();
        let mut session = self.store.write().await.unwrap();
        let random = crate::random::SystemRandomness;
        let appended = session.append(&events, from_micros(5), &random).await;
        appended.unwrap();
        session.commit("test").await.unwrap();
    }

    /// Lists as the teacher, two on a page.
    async fn list(&self, token: &str) -> v1::ListEventsResponse {
        let page = self.page(user("teacher"), HAMILTON, token, 2).await;
        page.unwrap()
    }

    /// Watches the organization.
    async fn watch(&self, caller: Caller) -> Result<WatchStream> {
        let request = WatchEventsRequest {
            parent: HAMILTON.to_owned(),
            page_token: String::new(),
        };
        self.feed.watch(called(caller, request)).await
    }

    /// Lists as the teacher, with the largest page.
    async fn list_many(&self, token: &str) -> v1::ListEventsResponse {
        let page = self.page(user("teacher"), HAMILTON, token, 1_000).await;
        page.unwrap()
    }

    async fn page(
        &self,
        caller: Caller,
        parent: &str,
        token: &str,
        page_size: i32,
    ) -> Result<v1::ListEventsResponse> {
        let request = ListEventsRequest {
            parent: parent.to_owned(),
            page_size,
            page_token: token.to_owned(),
        };
        self.feed.list(called(caller, request)).await
    }
}

fn called<T>(caller: Caller, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller);
    request
}

fn user(id: &str) -> Caller {
    Caller::for_user(UserId::parse(id).unwrap())
}

fn subjects(events: &[v1::Event]) -> Vec<&str> {
    events.iter().map(|event| event.subject.as_str()).collect()
}

const HAMILTON: &str = "organizations/hamilton";
const EVERYWHERE: &str = "organizations/-";

#[tokio::test]
async fn r11_the_token_is_always_set_and_resumes() {
    let world = world().await;
    let empty = world.list("").await;
    assert!(empty.events.is_empty());
    world.happen(&["a", "b", "c"]).await;
    let first = world.list(&empty.next_page_token).await;
    assert_eq!(subjects(&first.events), ["a", "b"]);
    assert_eq!(first.events[0].organization, HAMILTON);
    assert_eq!(first.events[0].class, "");
    let second = world.list(&first.next_page_token).await;
    assert_eq!(subjects(&second.events), ["c"]);
    let (place, token) = ("organizations/other", &first.next_page_token);
    let other = world.page(user("teacher"), place, token, 2).await;
    assert_eq!(other.unwrap_err().reason(), ErrorReason::InvalidPageToken);
}

#[tokio::test]
async fn staff_and_services_read_and_nobody_else() {
    let world = world().await;
    let service = || user("platform").with_scopes([CallerScope::Admit]);
    let mut bound = service();
    bound.organizations = Some(vec![OrganizationId::parse("other").unwrap()]);
    for (caller, parent, refused) in [
        (user("student"), HAMILTON, Some(ErrorReason::ClassNotFound)),
        (service(), HAMILTON, None),
        (service(), EVERYWHERE, None),
        (user("teacher"), EVERYWHERE, Some(ErrorReason::ScopeMissing)),
        (
            bound.clone(),
            HAMILTON,
            Some(ErrorReason::OrganizationNotFound),
        ),
        (
            bound.clone(),
            "organizations/hamilton/classes/bio-101",
            Some(ErrorReason::ClassNotFound),
        ),
        (bound, EVERYWHERE, Some(ErrorReason::ScopeMissing)),
        (service(), "nowhere", Some(ErrorReason::InvalidRequest)),
    ] {
        let name = caller.user.clone();
        let listed = world.page(caller, parent, "", 2).await.err();
        let reason = listed.map(|error| error.reason());
        assert_eq!(reason, refused, "{name} {parent}");
    }
}

#[tokio::test]
async fn r11_a_watch_sends_what_is_there_and_what_comes_and_ends_with_the_server() {
    let world = world().await;
    world.happen(&["a"]).await;
    let mut watch = world.watch(user("teacher")).await.unwrap();
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first.event.unwrap().subject, "a");
    world.happen(&["b"]).await;
    let second = watch.next().await.unwrap().unwrap();
    assert_eq!(second.event.unwrap().subject, "b");
    let rest = world.list(&first.next_page_token).await;
    assert_eq!(subjects(&rest.events), ["b"]);
    world.shutdown.begin();
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_watch_ends_at_its_callers_deadline() {
    let world = world().await;
    let mut caller = user("teacher");
    caller.deadline = Some(std::time::Instant::now() + Duration::from_millis(5));
    let mut watch = world.watch(caller).await.unwrap();
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_watch_ends_with_its_callers_token_and_says_so() {
    let world = world().await;
    let watch = async |deadline: u64, token_end: u64| {
        let mut caller = user("teacher");
        let begun = std::time::Instant::now();
        caller.deadline = Some(begun + Duration::from_millis(deadline));
        caller.token_end = Some(begun + Duration::from_millis(token_end));
        world.watch(caller).await.unwrap()
    };
    let long = 60_000;
    let mut ended = watch(long, 5).await;
    let told = Error::from_status(&ended.next().await.unwrap().unwrap_err()).unwrap();
    assert_eq!(told.code(), tonic::Code::Unauthenticated);
    assert_eq!(told.reason(), ErrorReason::AccessTokenExpired);
    assert!(ended.next().await.is_none());
    let mut by_deadline = watch(5, long).await;
    assert!(by_deadline.next().await.is_none());
    // A caller that does not read does not keep the watch alive.
    world.happen(&["a", "b", "c"]).await;
    let unread = watch(long, 5).await;
    assert_eq!(world.feed.watches_under_way(), 1);
    let over = async {
        while world.feed.watches_under_way() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, over).await.unwrap();
    drop(unread);
}

#[tokio::test]
async fn a_page_is_cut_before_it_is_too_large_to_send_and_never_to_nothing() {
    let world = world().await;
    let half = EVENTS_PAGE_BYTES_MAX / 2;
    let small = "a".repeat(half - 1_000);
    let huge = "b".repeat(EVENTS_PAGE_BYTES_MAX);
    world.happen(&[&small, &small, &small, &huge, "c"]).await;
    let mut token = String::new();
    let mut pages = Vec::new();
    for _ in 0..4 {
        let page = world.list_many(&token).await;
        pages.push(page.events.len());
        token = page.next_page_token;
    }
    assert_eq!(pages, [2, 1, 1, 1]);
    let rest = world.list_many(&token).await;
    assert!(rest.events.is_empty());
}

#[tokio::test]
async fn a_page_has_the_bytes_it_may_have_and_none_more() {
    for (more, expected) in [(0, 2), (1, 1)] {
        let world = world().await;
        world.happen(&["a", "a"]).await;
        let page = world.list_many("").await;
        let alike = page.events[0].encoded_len();
        // A long subject has two more bytes of length.
        let room = EVENTS_PAGE_BYTES_MAX - 2 * (alike + 2 + EVENT_FRAME_BYTES_MAX);
        let first = "a".repeat(1 + room / 2);
        let second = "a".repeat(1 + room - room / 2 + more);
        world.happen(&[&first, &second]).await;
        let page = world.list_many(&page.next_page_token).await;
        assert_eq!(page.events.len(), expected);
    }
}

#[tokio::test]
async fn watches_are_bounded_for_each_watcher() {
    let world = world().await;
    let mut watches = Vec::new();
    for _ in 0..WATCHES_PER_SUBJECT_MAX {
        watches.push(world.watch(user("teacher")).await.unwrap());
    }
    let refused = world.watch(user("teacher")).await.err().unwrap();
    assert_eq!(refused.reason(), ErrorReason::Overloaded);
    let mut through_the_platform = user("teacher");
    through_the_platform.subject = "platform".to_owned();
    assert!(world.watch(through_the_platform).await.is_ok());
    world.shutdown.begin();
    for mut watch in watches {
        assert!(watch.next().await.is_none());
    }
}

#[test]
fn watches_of_all_are_bounded() {
    let watches = Watches::default();
    let begin = |number: usize| watches.begin(&user(&format!("user-{number}")));
    let permits: Vec<Permit> = (0..WATCHES_MAX)
        .map(|number| begin(number / WATCHES_PER_SUBJECT_MAX).unwrap())
        .collect();
    let refused = begin(WATCHES_MAX).err().unwrap();
    assert_eq!(refused.reason(), ErrorReason::Overloaded);
    drop(permits);
    assert!(begin(WATCHES_MAX).is_ok());
}

impl World {
    /// Prunes everything but the newest event.
    async fn prune(&self) {
        assert!(!self.store.prune_events(from_micros(6)).await.unwrap());
    }

    /// Lists one event of the teacher's organization after a position.
    async fn after(&self, token: &str) -> Result<v1::ListEventsResponse> {
        self.page(user("teacher"), HAMILTON, token, 1).await
    }
}

#[tokio::test]
async fn r11_f9_a_reader_before_what_was_pruned_is_told_and_one_behind_it_goes_on() {
    let world = world().await;
    let begin = world.list("").await.next_page_token;
    world.happen(&["a", "b", "c"]).await;
    let first = world.after("").await.unwrap();
    assert_eq!(first.pruned_till_time, None);
    let second = world.after(&first.next_page_token).await.unwrap();
    world.prune().await;

    // A reader that has read what was pruned goes on,
    let third = world.after(&second.next_page_token).await.unwrap();
    assert_eq!(subjects(&third.events), ["c"]);
    let till = Some(to_timestamp(from_micros(5)));
    assert_eq!(third.pruned_till_time, till);
    // one that has not is told so, whether it lists or watches,
    for missed in [&begin, &first.next_page_token] {
        let refused = world.after(missed).await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::PageTokenExpired);
        assert_eq!(refused.code(), tonic::Code::OutOfRange);
        let request = WatchEventsRequest {
            parent: HAMILTON.to_owned(),
            page_token: missed.clone(),
        };
        let refused = world.feed.watch(called(user("teacher"), request)).await;
        let refused = refused.err().unwrap();
        assert_eq!(refused.reason(), ErrorReason::PageTokenExpired);
    }
    assert_eq!(world.feed.watches_under_way(), 0);
    // and begins again with the oldest event that is kept.
    let again = world.after("").await.unwrap();
    assert_eq!(subjects(&again.events), ["c"]);
    assert_eq!(again.pruned_till_time, till);
    let mut watch = world.watch(user("teacher")).await.unwrap();
    let watched = watch.next().await.unwrap().unwrap();
    assert_eq!(watched.event.unwrap().subject, "c");
}

#[tokio::test]
async fn f9_the_feed_of_an_organization_whose_events_are_all_gone_can_be_resumed() {
    let world = world().await;
    world.happen(&["a"]).await;
    world.happen_in("jefferson", &["b"]).await;
    world.prune().await;
    let empty = world.after("").await.unwrap();
    assert!(empty.events.is_empty() && empty.pruned_till_time.is_some());
    world.happen(&["c"]).await;
    let next = world.after(&empty.next_page_token).await.unwrap();
    assert_eq!(subjects(&next.events), ["c"]);
}

#[tokio::test]
async fn r11_a_reader_ahead_of_a_restored_database_is_told_and_misses_nothing() {
    // Given a reader of two events, and the database as it was after the first: the keys are the same,
    let lost = world().await;
    lost.happen(&["a", "b"]).await;
    let ahead = lost.list("").await.next_page_token;
    let restored = world().await;
    restored.happen(&["a"]).await;
    let read = restored.list("").await.next_page_token;

    // when it goes on, then it is told, whether it lists or watches,
    let refused = restored.after(&ahead).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::InvalidPageToken);
    let request = WatchEventsRequest {
        parent: HAMILTON.to_owned(),
        page_token: ahead,
    };
    let refused = restored.feed.watch(called(user("teacher"), request)).await;
    let refused = refused.err().unwrap();
    assert_eq!(refused.reason(), ErrorReason::InvalidPageToken);
    assert_eq!(restored.feed.watches_under_way(), 0);
    // and one that has read the last event goes on.
    assert!(restored.list(&read).await.events.is_empty());
    restored.happen(&["c"]).await;
    assert_eq!(subjects(&restored.list(&read).await.events), ["c"]);
}
