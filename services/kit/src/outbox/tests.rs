use super::*;
use crate::{clock::from_micros, random::SeededRandomness, store::Store, tests::database::store};

fn event(organization: &str, class: Option<&str>, subject: &str) -> NewEvent {
    NewEvent {
        event_type: "member.joined".into(),
        organization: OrganizationId::parse(organization).unwrap(),
        class: class.map(|class| ClassId::parse(class).unwrap()),
        subject: subject.to_owned(),
        actor: "ada".to_owned(),
        notify: vec![UserId::parse("bob").unwrap()],
        data: BTreeMap::from([("key".to_owned(), "\"value\" ü".to_owned())]),
    }
}

fn noon() -> DateTime<Utc> {
    from_micros(1_700_000_000_000_001)
}

async fn write(pools: &Store<Session>, events: &[NewEvent]) {
    let random = SeededRandomness::new(events.len() as u64);
    let mut session = pools.write().await.unwrap();
    session.append(events, noon(), &random).await.unwrap();
    session.commit("test").await.unwrap();
}

async fn read(pools: &Store<Session>, scope: &Scope, after: i64, limit: u32) -> Vec<Event> {
    let mut session = pools.read().await.unwrap();
    session.list(scope, after, limit).await.unwrap()
}

fn place(name: &str) -> Scope {
    Scope::Place(Place::parse(name).unwrap())
}

#[tokio::test]
async fn r11_an_event_is_read_as_it_was_written() {
    let (pools, _folder) = store().await;
    write(&pools, &[event("hamilton", Some("bio-101"), "subject")]).await;
    let found = read(&pools, &Scope::Everything, 0, 10).await;
    let written = event("hamilton", Some("bio-101"), "subject");
    assert_eq!(
        found,
        [Event {
            position: 1,
            id: new_id_at(noon(), &SeededRandomness::new(1)),
            event_type: "member.joined".to_owned(),
            organization: written.organization,
            class: written.class,
            subject: "subject".to_owned(),
            actor: "ada".to_owned(),
            notify: vec!["bob".to_owned()],
            data: written.data,
            create_time: noon(),
        }]
    );
}

#[tokio::test]
async fn r11_positions_have_no_gaps_though_sequences_have() {
    let (pools, _folder) = store().await;
    let [a, b, c, e] = ["a", "b", "c", "e"].map(|subject| event("hamilton", None, subject));
    write(&pools, &[a, b]).await;
    let mut undone = pools.write().await.unwrap();
    let lost = [event("hamilton", None, "lost")];
    let random = SeededRandomness::new(9);
    undone.append(&lost, noon(), &random).await.unwrap();
    undone.rollback().await;
    write(&pools, &[c, event("a-b", None, "d"), e]).await;
    let found = read(&pools, &Scope::Everything, 0, 10).await;
    let order: Vec<(i64, &str)> = found
        .iter()
        .map(|event| (event.position, event.subject.as_str()))
        .collect();
    assert_eq!(order, [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]);
}

#[tokio::test]
async fn a_feed_holds_its_place_and_goes_on_after_a_position() {
    let (pools, _folder) = store().await;
    let events = [
        event("hamilton", None, "organization"),
        event("hamilton", Some("bio-101"), "class"),
        event("hamilton", Some("art-101"), "other class"),
        event("elsewhere", Some("bio-101"), "other organization"),
    ];
    write(&pools, &events).await;
    let subjects = |events: Vec<Event>| -> Vec<String> {
        events.into_iter().map(|event| event.subject).collect()
    };
    let organization = place("organizations/hamilton");
    assert_eq!(
        subjects(read(&pools, &organization, 0, 10).await),
        ["organization", "class", "other class"]
    );
    assert_eq!(subjects(read(&pools, &organization, 1, 1).await), ["class"]);
    let class = place("organizations/hamilton/classes/bio-101");
    assert_eq!(subjects(read(&pools, &class, 0, 10).await), ["class"]);
    assert_eq!(read(&pools, &Scope::Everything, 4, 10).await, []);
}

#[tokio::test]
async fn c6_at_most_100_users_are_told() {
    let (pools, _folder) = store().await;
    let mut crowded = event("hamilton", None, "a");
    crowded.notify = (0..=NOTIFY_MAX)
        .map(|number| UserId::parse(&format!("user-{number}")).unwrap())
        .collect();
    write(&pools, &[crowded]).await;
    let found = read(&pools, &Scope::Everything, 0, 1).await;
    assert_eq!(found[0].notify.len(), NOTIFY_MAX);
}
