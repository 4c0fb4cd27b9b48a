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
    service::{
        EVENT_FRAME_BYTES_MAX, EVENTS_PAGE_BYTES_MAX, Permit, WATCHES_MAX, WATCHES_PER_SUBJECT_MAX,
        Watches,
    },
    *,
};
use crate::{
    auth::Scope as CallerScope,
    clock::from_micros,
    database::testing::store,
    keys::KeyRing,
    outbox::NewEvent,
    paging::Paging,
    random::SeededRandomness,
    shutdown::Shutdown,
    status::Error,
    store::{Session, Store},
};

/// Users called `teacher` are the staff of every place.
struct Teachers;

#[async_trait]
impl Authorize for Teachers {
    async fn authorize(&self, caller: &Caller, _place: &Place, _reading: Reading) -> Result<()> {
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
        store.feed(),
        Arc::new(Teachers),
        Paging::new(ring),
        shutdown.clone(),
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
        let events: Vec<NewEvent> = subjects
            .iter()
            .map(|subject| NewEvent {
                event_type: "member.joined",
                organization: OrganizationId::parse("hamilton").unwrap(),
                class: None,
                subject: (*subject).to_owned(),
                actor: "system".to_owned(),
                notify: vec![],
                data: std::collections::BTreeMap::new(),
            })
            .collect();
        let mut session = self.store.write().await.unwrap();
        let random = crate::random::SystemRandomness;
        session
            .append(&events, from_micros(5), &random)
            .await
            .unwrap();
        session.commit("test").await.unwrap();
    }

    async fn list(
        &self,
        caller: Caller,
        parent: &str,
        token: &str,
    ) -> Result<v1::ListEventsResponse> {
        self.page(caller, parent, token, 2).await
    }

    /// Lists as the teacher, with the largest page.
    async fn list_many(&self, token: &str) -> v1::ListEventsResponse {
        self.page(user("teacher"), HAMILTON, token, 1_000)
            .await
            .unwrap()
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
        self.feed
            .list(called(caller, request))
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| Error::from_status(&status).unwrap())
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

#[tokio::test]
async fn r11_the_token_is_always_set_and_resumes() {
    let world = world().await;
    let empty = world.list(user("teacher"), HAMILTON, "").await.unwrap();
    assert!(empty.events.is_empty());
    world.happen(&["a", "b", "c"]).await;
    let first = world
        .list(user("teacher"), HAMILTON, &empty.next_page_token)
        .await
        .unwrap();
    assert_eq!(subjects(&first.events), ["a", "b"]);
    assert_eq!(first.events[0].organization, HAMILTON);
    assert_eq!(first.events[0].class, "");
    let second = world
        .list(user("teacher"), HAMILTON, &first.next_page_token)
        .await
        .unwrap();
    assert_eq!(subjects(&second.events), ["c"]);
    let other = world
        .list(
            user("teacher"),
            "organizations/other",
            &first.next_page_token,
        )
        .await;
    assert_eq!(other.unwrap_err().reason(), ErrorReason::InvalidPageToken);
}

#[tokio::test]
async fn staff_and_services_read_and_nobody_else() {
    let world = world().await;
    let reason = |result: Result<_>| {
        result
            .map(|_: v1::ListEventsResponse| ())
            .map_err(|error| error.reason())
    };
    let student = world.list(user("student"), HAMILTON, "").await;
    assert_eq!(reason(student), Err(ErrorReason::ClassNotFound));
    let service = || user("platform").with_scopes([CallerScope::Admit]);
    assert_eq!(reason(world.list(service(), HAMILTON, "").await), Ok(()));
    assert_eq!(
        reason(world.list(service(), "organizations/-", "").await),
        Ok(())
    );
    let teacher = world.list(user("teacher"), "organizations/-", "").await;
    assert_eq!(reason(teacher), Err(ErrorReason::ScopeMissing));
    let mut bound = service();
    bound.organizations = Some(vec![OrganizationId::parse("other").unwrap()]);
    let elsewhere = world.list(bound.clone(), HAMILTON, "").await;
    assert_eq!(reason(elsewhere), Err(ErrorReason::OrganizationNotFound));
    let everything = world.list(bound, "organizations/-", "").await;
    assert_eq!(reason(everything), Err(ErrorReason::ScopeMissing));
    let nowhere = world.list(service(), "nowhere", "").await;
    assert_eq!(reason(nowhere), Err(ErrorReason::InvalidRequest));
}

#[tokio::test]
async fn r11_a_watch_sends_what_is_there_and_what_comes_and_ends_with_the_server() {
    let world = world().await;
    world.happen(&["a"]).await;
    let request = WatchEventsRequest {
        parent: HAMILTON.to_owned(),
        page_token: String::new(),
    };
    let mut watch = world
        .feed
        .watch(called(user("teacher"), request))
        .await
        .unwrap()
        .into_inner();
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first.event.unwrap().subject, "a");
    world.happen(&["b"]).await;
    let second = watch.next().await.unwrap().unwrap();
    assert_eq!(second.event.unwrap().subject, "b");
    let rest = world
        .list(user("teacher"), HAMILTON, &first.next_page_token)
        .await
        .unwrap();
    assert_eq!(subjects(&rest.events), ["b"]);
    world.shutdown.begin();
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_watch_ends_at_its_callers_deadline() {
    let world = world().await;
    let mut caller = user("teacher");
    caller.deadline = Some(std::time::Instant::now() + Duration::from_millis(5));
    let request = WatchEventsRequest {
        parent: HAMILTON.to_owned(),
        page_token: String::new(),
    };
    let mut watch = world
        .feed
        .watch(called(caller, request))
        .await
        .unwrap()
        .into_inner();
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
        let request = WatchEventsRequest {
            parent: HAMILTON.to_owned(),
            page_token: String::new(),
        };
        let watch = world.feed.watch(called(caller, request)).await;
        watch.unwrap().into_inner()
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
    assert!(
        tokio::time::timeout(Duration::from_secs(30), over)
            .await
            .is_ok()
    );
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
    let watch = async |caller: Caller| {
        let request = WatchEventsRequest {
            parent: HAMILTON.to_owned(),
            page_token: String::new(),
        };
        let begun = world.feed.watch(called(caller, request)).await;
        begun.map_err(|status| Error::from_status(&status).unwrap().reason())
    };
    let mut watches = Vec::new();
    for _ in 0..WATCHES_PER_SUBJECT_MAX {
        watches.push(watch(user("teacher")).await.unwrap());
    }
    let refused = watch(user("teacher")).await;
    assert_eq!(refused.unwrap_err(), ErrorReason::Overloaded);
    let mut through_the_platform = user("teacher");
    through_the_platform.subject = "platform".to_owned();
    assert!(watch(through_the_platform).await.is_ok());
    world.shutdown.begin();
    for watch in watches {
        assert!(watch.into_inner().next().await.is_none());
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
