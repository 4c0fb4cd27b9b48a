use homeroom_api::membership::v1::{Class, CreateClassRequest};

use super::*;
use crate::{clock::from_micros, database::testing::store, random::SeededRandomness};

fn key(request_id: u128) -> RequestKey {
    RequestKey {
        subject: "platform".to_owned(),
        acting_user: UserId::parse("ada").unwrap(),
        method: "/homeroom.test/Do".to_owned(),
        request_id: Uuid::from_u128(request_id),
    }
}

fn noon() -> DateTime<Utc> {
    from_micros(1_700_000_000_000_000)
}

fn mac(body: &[u8]) -> BodyMac {
    BodyMac::of_bytes(&KeyRing::generate(&SeededRandomness::new(1)).unwrap(), body)
}

#[tokio::test]
async fn r3_a_retry_answers_the_same_and_another_body_conflicts() {
    let (pools, _folder) = store().await;
    let mut session = pools.write().await.unwrap();
    let connection = &mut session;
    let first = connection
        .claim(&key(1), &mac(b"body"), noon())
        .await
        .unwrap();
    assert_eq!(first, Claim::New);
    connection.complete(&key(1), b"answer").await.unwrap();
    session.commit("test").await.unwrap();

    let mut session = pools.write().await.unwrap();
    let connection = &mut session;
    let again = connection
        .claim(&key(1), &mac(b"body"), noon())
        .await
        .unwrap();
    assert_eq!(again, Claim::Replay(b"answer".to_vec()));
    let other = connection
        .claim(&key(1), &mac(b"other"), noon())
        .await
        .unwrap();
    assert_eq!(other, Claim::Conflict);
    let conflict = other.resolve().unwrap_err();
    assert_eq!(conflict.reason(), ErrorReason::RequestIdConflict);

    let mut reader = pools.read().await.unwrap();
    let found = reader.find(&key(1), &mac(b"body"), noon()).await;
    assert_eq!(found.unwrap(), Claim::Replay(b"answer".to_vec()));
}

#[tokio::test]
async fn r3_each_part_of_the_key_tells_requests_apart() {
    let (pools, _folder) = store().await;
    let mut session = pools.write().await.unwrap();
    let others = [
        key(1),
        key(2),
        RequestKey {
            subject: "another".to_owned(),
            ..key(1)
        },
        RequestKey {
            acting_user: UserId::parse("bob").unwrap(),
            ..key(1)
        },
        RequestKey {
            method: "/homeroom.test/Undo".to_owned(),
            ..key(1)
        },
    ];
    for key in others {
        let claimed = session.claim(&key, &mac(b"body"), noon()).await;
        assert_eq!(claimed.unwrap(), Claim::New);
    }
}

#[tokio::test]
async fn r3_a_change_that_was_undone_leaves_its_id_free() {
    let (pools, _folder) = store().await;
    let mut session = pools.write().await.unwrap();
    session.claim(&key(1), &mac(b"body"), noon()).await.unwrap();
    session.rollback().await;
    let mut session = pools.write().await.unwrap();
    let again = session.claim(&key(1), &mac(b"other"), noon()).await;
    assert_eq!(again.unwrap(), Claim::New);
}

#[tokio::test]
async fn r3_an_id_is_remembered_for_24_hours_to_the_microsecond() {
    let (pools, _folder) = store().await;
    let mut session = pools.write().await.unwrap();
    let connection = &mut session;
    connection
        .claim(&key(1), &mac(b"body"), noon())
        .await
        .unwrap();
    connection.complete(&key(1), b"answer").await.unwrap();
    let last = noon() + TimeDelta::hours(REQUEST_ID_HOURS);
    let remembered = connection
        .claim(&key(1), &mac(b"body"), last)
        .await
        .unwrap();
    assert_eq!(remembered, Claim::Replay(b"answer".to_vec()));
    let after = last + TimeDelta::microseconds(1);
    assert_eq!(
        connection
            .find(&key(1), &mac(b"other"), after)
            .await
            .unwrap(),
        Claim::New
    );
    assert_eq!(
        connection
            .claim(&key(1), &mac(b"other"), after)
            .await
            .unwrap(),
        Claim::New
    );
    connection.complete(&key(1), b"newer").await.unwrap();
    let newer = connection
        .find(&key(1), &mac(b"other"), after)
        .await
        .unwrap();
    assert_eq!(newer, Claim::Replay(b"newer".to_vec()));
}

#[tokio::test]
async fn pruning_forgets_the_oldest_first() {
    let (pools, _folder) = store().await;
    let mut session = pools.write().await.unwrap();
    let connection = &mut session;
    for number in 0..3 {
        let made = noon() + TimeDelta::seconds(number);
        let number = u128::from(number.unsigned_abs());
        connection
            .claim(&key(number), &mac(b"body"), made)
            .await
            .unwrap();
        connection.complete(&key(number), b"answer").await.unwrap();
    }
    let before = noon() + TimeDelta::seconds(2);
    assert_eq!(connection.prune_request_ids(before, 1).await.unwrap(), 1);
    assert_eq!(
        connection
            .find(&key(0), &mac(b"body"), noon())
            .await
            .unwrap(),
        Claim::New
    );
    assert_eq!(connection.prune_request_ids(before, 10).await.unwrap(), 1);
    assert_eq!(connection.prune_request_ids(before, 10).await.unwrap(), 0);
}

#[tokio::test]
async fn completing_what_was_never_claimed_is_a_defect() {
    let (pools, _folder) = store().await;
    let mut session = pools.write().await.unwrap();
    assert!(session.complete(&key(1), b"answer").await.is_err());
}

#[test]
fn rotation_of_the_key_makes_no_conflict() {
    let old = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let new = "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let before = BodyMac::of_bytes(&KeyRing::parse(old).unwrap(), b"body");
    let ring = KeyRing::parse(&format!("{old},{new}")).unwrap();
    assert!(BodyMac::of_bytes(&ring, b"body").matches(before.stored()));
    assert!(!BodyMac::of_bytes(&ring, b"other").matches(before.stored()));
}

#[test]
fn r3_one_uuid_in_any_spelling_is_one_request_id() {
    const CANONICAL: &str = "0190abcd-0000-7000-8000-00000000000a";
    let keys = KeyRing::generate(&SeededRandomness::new(1)).unwrap();
    let id = Uuid::try_parse(CANONICAL).unwrap();
    let request = |spelling: &str, class_id: &str| CreateClassRequest {
        parent: "organizations/hamilton".to_owned(),
        class_id: class_id.to_owned(),
        class: Some(Class {
            display_name: "Biology".to_owned(),
            labels: [("term".to_owned(), CANONICAL.to_owned())].into(),
            ..Class::default()
        }),
        request_id: spelling.to_owned(),
    };
    let of = |spelling: &str, class_id: &str| BodyMac::of(&keys, id, &request(spelling, class_id));
    let first = of(CANONICAL, "bio");
    // The HMAC that the previous version stores.
    let encoded = prost::Message::encode_to_vec(&request(CANONICAL, "bio"));
    assert_eq!(first, BodyMac::of_bytes(&keys, &encoded));
    for spelling in [
        "0190ABCD-0000-7000-8000-00000000000A",
        "0190abcd00007000800000000000000a",
        "0190Abcd00007000800000000000000A",
        "{0190abcd-0000-7000-8000-00000000000a}",
        "urn:uuid:0190abcd-0000-7000-8000-00000000000a",
    ] {
        assert_eq!(Uuid::try_parse(spelling), Ok(id), "{spelling}");
        assert_eq!(of(spelling, "bio"), first, "{spelling}");
        assert_ne!(of(spelling, "chem"), first, "{spelling}");
    }
}
