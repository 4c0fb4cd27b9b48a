use std::fs;

use tempfile::TempDir;

use super::*;

const CRM: Source<'_> = Source {
    endpoint: "crm",
    feed: Feed::Membership,
    parent: "organizations/-",
};

fn at(seconds: i64) -> DateTime<Utc> {
    from_micros((1_700_000_000 + seconds) * 1_000_000)
}

async fn store() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(WEBHOOKS_DATABASE_FILE), "").unwrap();
    (Store::open(folder.path()).await.unwrap(), folder)
}

fn event(id: &str, lane: &str) -> NewDelivery {
    NewDelivery {
        lane: lane.to_owned(),
        event_id: id.to_owned(),
        event_type: "member.joined".to_owned(),
        body: format!("{{\"id\":\"{id}\"}}"),
    }
}

impl Store {
    async fn record_all(&self, token: &str, deliveries: &[NewDelivery]) {
        self.position(CRM, at(0)).await.unwrap();
        let recorded = self.record(CRM, token, at(10), deliveries, at(11)).await;
        recorded.unwrap();
    }

    async fn first(&self, lane: &str) -> Delivery {
        self.head("crm", lane).await.unwrap().unwrap()
    }

    async fn lanes(&self) -> Vec<String> {
        let heads = self.heads("crm").await.unwrap();
        heads.into_iter().map(|head| head.lane).collect()
    }

    async fn bury(&self, lane: &str, now: DateTime<Utc>) -> i64 {
        let head = self.first(lane).await;
        let buried = self.fail("crm", &head, "it answered 500", None, now);
        assert_eq!(buried.await.unwrap(), 0);
        head.id
    }
}

#[tokio::test]
async fn an_event_is_recorded_with_the_position_behind_it_and_once() {
    let (store, folder) = store().await;
    let fresh = store.position(CRM, at(5)).await.unwrap();
    assert_eq!((fresh.page_token.as_str(), fresh.since), ("", at(5)));
    let events = [event("1", "biology"), event("2", "biology")];
    store.record_all("a", &events).await;
    // The same page again, as after an end of the process between page and answer.
    store.record_all("a", &events).await;
    store.record_all("b", &[event("3", "chemistry")]).await;
    // A later start begins where this one has ended, whatever the time.
    drop(store);
    let store = Store::open(folder.path()).await.unwrap();
    let position = store.position(CRM, at(99)).await.unwrap();
    assert_eq!((position.page_token.as_str(), position.since), ("b", at(5)));
    let waiting = store.waiting("crm", Feed::Membership).await.unwrap();
    assert_eq!(waiting, Some(3));
    let other = store.waiting("crm", Feed::Invitations).await.unwrap();
    assert_eq!(other, Some(0));
}

#[tokio::test]
async fn the_head_of_a_lane_is_its_oldest_delivery_even_if_it_is_not_due() {
    let (store, _folder) = store().await;
    let events = [
        event("1", "biology"),
        event("2", "biology"),
        event("3", "chemistry"),
    ];
    store.record_all("a", &events).await;
    let first = store.first("biology").await;
    let next = Some(at(60));
    store
        .fail("crm", &first, "it answered 500", next, at(12))
        .await
        .unwrap();
    let heads = store.heads("crm").await.unwrap();
    let expected = [("biology", 1, at(60)), ("chemistry", 3, at(11))];
    let expected = expected.map(|(lane, delivery_id, next_attempt_time)| Head {
        lane: lane.to_owned(),
        delivery_id,
        next_attempt_time,
    });
    assert_eq!(heads, expected);
    let again = store.first("biology").await;
    assert_eq!((again.event_id.as_str(), again.failed_attempts), ("1", 1));
    assert_eq!(again.next_attempt_time(), at(60));
    store.forget(again.id).await.unwrap();
    assert_eq!(store.first("biology").await.event_id, "2");
}

#[tokio::test]
async fn a_dead_letter_lets_its_lane_go_on_and_may_be_queued_again() {
    let (store, _folder) = store().await;
    let events = [event("1", "biology"), event("2", "biology")];
    store.record_all("a", &events).await;
    let dead = store.bury("biology", at(20)).await;
    assert_eq!(store.first("biology").await.event_id, "2");
    let listed = store.dead_letters(false, 1).await.unwrap();
    assert_eq!(listed.first().unwrap().body, "");
    let letters = store.dead_letters(true, 9).await.unwrap();
    assert_eq!(letters.first().unwrap().body, events[0].body);
    let letter = letters.first().unwrap();
    assert_eq!((letters.len(), letter.failed_attempts), (1, 1));
    assert_eq!(letter.dead_time(), at(20));
    assert_eq!(letter.cause, "it answered 500");
    // It counts no more among those that wait.
    let waiting = store.waiting("crm", Feed::Membership).await.unwrap();
    assert_eq!(waiting, Some(1));
    assert_eq!(store.redeliver_all(at(30)).await.unwrap(), 1);
    let again = store.first("biology").await;
    assert_eq!((again.id, again.failed_attempts), (dead, 0));
    // One that has not failed, or is not there, is not queued again.
    assert!(!store.redeliver(dead, at(31)).await.unwrap());
    assert!(!store.redeliver(99, at(31)).await.unwrap());
    store.bury("biology", at(40)).await;
    assert!(store.redeliver(dead, at(41)).await.unwrap());
}

#[tokio::test]
async fn what_was_queued_again_during_an_attempt_is_not_put_back_by_it() {
    let (store, _folder) = store().await;
    store.record_all("a", &[event("1", "biology")]).await;
    let first = store.first("biology").await;
    let later = Some(at(900));
    store
        .fail("crm", &first, "busy", later, at(12))
        .await
        .unwrap();
    let under_way = store.first("biology").await;
    assert_eq!(store.redeliver_all(at(13)).await.unwrap(), 1);
    store
        .fail("crm", &under_way, "busy", later, at(14))
        .await
        .unwrap();
    assert_eq!(store.first("biology").await.next_attempt_time(), at(13));
}

#[tokio::test]
async fn a_disabled_endpoint_is_sent_and_read_nothing_until_it_is_enabled() {
    let (store, _folder) = store().await;
    store.record_all("a", &[event("1", "biology")]).await;
    for _ in 0..2 {
        store.disable("crm", at(20)).await.unwrap();
    }
    assert!(store.lanes().await.is_empty());
    assert!(store.head("crm", "biology").await.unwrap().is_none());
    assert_eq!(store.waiting("crm", Feed::Membership).await.unwrap(), None);
    let other = store.waiting("lms", Feed::Membership).await.unwrap();
    assert_eq!(other, Some(0));
    assert!(store.enable("crm").await.unwrap());
    assert!(!store.enable("crm").await.unwrap());
    assert_eq!(store.lanes().await, ["biology"]);
}

#[tokio::test]
async fn a_feed_that_is_read_again_is_delivered_from_an_hour_before_its_last_event() {
    let (store, _folder) = store().await;
    store.position(CRM, at(0)).await.unwrap();
    let (last, now) = (at(10_000), at(10_001));
    store.record(CRM, "a", last, &[], now).await.unwrap();
    store.read_again(CRM).await.unwrap();
    let position = store.position(CRM, at(99_999)).await.unwrap();
    let since = at(10_000 - REREAD_SECONDS);
    assert_eq!((position.page_token.as_str(), position.since), ("", since));
    // An older page does not turn the time back.
    store.record(CRM, "b", at(1), &[], now).await.unwrap();
    store.read_again(CRM).await.unwrap();
    assert_eq!(store.position(CRM, at(0)).await.unwrap().since, since);
}

#[tokio::test]
async fn dead_letters_are_kept_for_30_days_and_10000_of_an_endpoint() {
    let (store, _folder) = store().await;
    let count = i64::from(DEAD_LETTERS_MAX) + 1;
    let events = (0..count).map(|id| event(&id.to_string(), "biology"));
    let events: Vec<_> = events.collect();
    store.record_all("a", &events).await;
    sqlx::query("UPDATE deliveries SET dead_time = $1, failed_attempts = 1 WHERE delivery_id < $2")
        .bind(micros(at(0)))
        .bind(count)
        .execute(&store.0)
        .await
        .unwrap();
    let kept = async || {
        store
            .dead_letters(false, DEAD_LETTERS_MAX + 1)
            .await
            .unwrap()
    };
    assert_eq!(kept().await.len(), DEAD_LETTERS_MAX as usize);
    // One more takes the place of the oldest, and that is told.
    let last = store.first("biology").await;
    let buried = store.fail("crm", &last, "it answered 500", None, at(1));
    assert_eq!(buried.await.unwrap(), 1);
    let letters = kept().await;
    assert_eq!(letters.len(), DEAD_LETTERS_MAX as usize);
    assert_eq!(letters.first().unwrap().delivery_id, 2);
    let days = TimeDelta::days(DEAD_LETTER_DAYS_MAX);
    assert_eq!(store.prune(at(0) + days).await.unwrap(), 0);
    let all_but_the_last = u64::from(DEAD_LETTERS_MAX) - 1;
    let pruned = store.prune(at(1) + days).await.unwrap();
    assert_eq!(pruned, all_but_the_last);
    assert_eq!(store.endpoints().await.unwrap(), [("crm".to_owned(), 1)]);
}

#[tokio::test]
async fn a_folder_in_which_nothing_ran_is_told_what_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let said = Store::open(folder.path()).await.unwrap_err().to_string();
    assert!(said.contains("`homeroom webhooks run`"), "{said}");
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}
