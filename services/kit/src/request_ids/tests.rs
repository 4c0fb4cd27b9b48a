use homeroom_api::membership::v1::{Class, CreateClassRequest};

use super::*;
use crate::{clock::from_micros, random::SeededRandomness, tests::database::store};

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

async fn claim(session: &mut Session, key: &RequestKey, body: &[u8], at: DateTime<Utc>) -> Claim {
    session.claim(key, &mac(body), at).await.unwrap()
}

async fn find(session: &mut Session, key: &RequestKey, body: &[u8], at: DateTime<Utc>) -> Claim {
    session.find(key, &mac(body), at).await.unwrap()
}

#[tokio::test]
async fn r3_a_retry_answers_the_same_and_another_body_conflicts() {
    let (pools, _folder) = store().await;
    let mut session = pools.write().await.unwrap();
    let first = claim(&mut session, &key(1), b"body", noon()).await;
    assert_eq!(first, Claim::New);
    session.complete(&key(1), b"answer").await.unwrap();
    session.commit("test").await.unwrap();

    let mut session = pools.write().await.unwrap();
    let again = claim(&mut session, &key(1), b"body", noon()).await;
    assert_eq!(again, Claim::Replay(b"answer".to_vec()));
    let other = claim(&mut session, &key(1), b"other", noon()).await;
    assert_eq!(other, Claim::Conflict);
    let conflict = other.resolve().unwrap_err();
    assert_eq!(conflict.reason(), ErrorReason::RequestIdConflict);

    let mut reader = pools.read().await.unwrap();
    let found = find(&mut reader, &key(1), b"body", noon()).await;
    assert_eq!(found, Claim::Replay(b"answer".to_vec()));
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
        let claimed = claim(&mut session, &key, b"body", noon()).await;
        assert_eq!(claimed, Claim::New);
    }
}

#[tokio::test]
async fn r3_a_change_that_was_undone_leaves_its_id_free() {
    let (pools, _folder) = store().await;
    let mut session = pools.write().await.unwrap();
    claim(&mut session, &key(1), b"body", noon()).await;
    session.rollback().await;
    let mut session = pools.write().await.unwrap();
    let again = claim(&mut session, &key(1), b"other", noon()).await;
    assert_eq!(again, Claim::New);
}

#[tokio::test]
async fn r3_an_id_is_remembered_for_24_hours_to_the_microsecond() {
    let (pools, _folder) = store().await;
    let mut session = pools.write().await.unwrap();
    claim(&mut session, &key(1), b"body", noon()).await;
    session.complete(&key(1), b"answer").await.unwrap();
    let last = noon() + TimeDelta::hours(REQUEST_ID_HOURS);
    let remembered = claim(&mut session, &key(1), b"body", last).await;
    assert_eq!(remembered, Claim::Replay(b"answer".to_vec()));
    let after = last + TimeDelta::microseconds(1);
    let found = find(&mut session, &key(1), b"other", after).await;
    assert_eq!(found, Claim::New);
    let found = claim(&mut session, &key(1), b"other", after).await;
    assert_eq!(found, Claim::New);
    session.complete(&key(1), b"newer").await.unwrap();
    let newer = find(&mut session, &key(1), b"other", after).await;
    assert_eq!(newer, Claim::Replay(b"newer".to_vec()));
}

#[tokio::test]
async fn pruning_forgets_the_oldest_first() {
    let (pools, _folder) = store().await;
    let mut session = pools.write().await.unwrap();
    for number in 0..3 {
        let made = noon() + TimeDelta::seconds(number);
        let number = u128::from(number.unsigned_abs());
        claim(&mut session, &key(number), b"body", made).await;
        session.complete(&key(number), b"answer").await.unwrap();
    }
    let before = noon() + TimeDelta::seconds(2);
    assert_eq!(session.prune_request_ids(before, 1).await.unwrap(), 1);
    let found = find(&mut session, &key(0), b"body", noon()).await;
    assert_eq!(found, Claim::New);
    assert_eq!(session.prune_request_ids(before, 10).await.unwrap(), 1);
    assert_eq!(session.prune_request_ids(before, 10).await.unwrap(), 0);
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
