//! R3: the same request id gets the same answer, and no secret is stored for it.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    ids::UserId,
    invitations::v1::{
        BatchCreateTokensRequest, BatchCreateTokensResponse, CreateTokenRequest, Token,
        batch_create_tokens_response::result::Outcome, token_service_server::TokenService,
    },
};
use homeroom_kit::{
    auth::Caller,
    request_ids::{BodyMac, Claim, RequestKey},
};
use uuid::Uuid;

use crate::office::{CLASS, Office, by_owner, reason, request_id};

fn batch(rows: usize) -> BatchCreateTokensRequest {
    BatchCreateTokensRequest {
        parent: CLASS.to_owned(),
        tokens: vec![Token::default(); rows],
        request_id: request_id(1),
    }
}

async fn create_batch(office: &Office) -> BatchCreateTokensResponse {
    let answer = office.tokens.batch_create_tokens(by_owner(batch(3))).await;
    answer.unwrap().into_inner()
}

fn phrases(response: &BatchCreateTokensResponse) -> Vec<String> {
    let phrase = |outcome: &Option<Outcome>| match outcome {
        Some(Outcome::Token(token)) => token.phrase.clone(),
        _ => panic!("each row is right"),
    };
    response
        .results
        .iter()
        .map(|result| phrase(&result.outcome))
        .collect()
}

#[tokio::test]
async fn r3_a_retry_gets_the_same_answer_with_its_secrets() {
    let office = Office::open().await;
    let first = create_batch(&office).await;
    let (again, and_again) = tokio::join!(create_batch(&office), create_batch(&office));
    assert_eq!(again, first);
    assert_eq!(and_again, first);
    assert_eq!(office.event_types().await.len(), 3);
}

#[tokio::test]
async fn r3_concurrent_retries_make_one_change() {
    let office = Office::open().await;
    let (a, b, c) = tokio::join!(
        create_batch(&office),
        create_batch(&office),
        create_batch(&office)
    );
    assert!(a == b && b == c);
    assert_eq!(office.event_types().await.len(), 3);
}

#[tokio::test]
async fn r3_what_is_stored_for_a_retry_holds_no_secret() {
    let office = Office::open().await;
    let made = create_batch(&office).await;
    let mut caller = Caller::for_user(UserId::parse("owner").unwrap());
    std::any::type_name::<BatchCreateTokensRequest>().clone_into(&mut caller.method);
    let key = RequestKey::new(&caller, Uuid::parse_str(&request_id(1)).unwrap());
    let body = BodyMac::of(&office.app.keys, key.request_id, &batch(3));
    let mut session = office.app.store.read().await.unwrap();
    let Claim::Replay(stored) = session
        .request_ids()
        .find(&key, &body, office.now())
        .await
        .unwrap()
    else {
        panic!("it was stored");
    };
    let stored = String::from_utf8_lossy(&stored).into_owned();
    for phrase in phrases(&made) {
        for word in phrase.split(' ') {
            assert!(!stored.contains(word), "{word}");
        }
    }
}

#[tokio::test]
async fn r3_another_body_under_the_same_id_is_a_conflict() {
    let office = Office::open().await;
    create_batch(&office).await;
    let answer = office.tokens.batch_create_tokens(by_owner(batch(2))).await;
    assert_eq!(reason(answer), ErrorReason::RequestIdConflict);
}

#[tokio::test]
async fn r3_an_id_is_remembered_for_24_hours() {
    let office = Office::open().await;
    let first = create_batch(&office).await;
    office.advance(TimeDelta::hours(24));
    assert_eq!(create_batch(&office).await, first);
    office.advance(TimeDelta::microseconds(1));
    assert_ne!(create_batch(&office).await, first);
}

#[tokio::test]
async fn r3_a_refused_change_leaves_no_answer_behind() {
    let office = Office::open().await;
    let create = async || {
        let request = CreateTokenRequest {
            parent: CLASS.to_owned(),
            token: Some(Token::default()),
            request_id: request_id(1),
        };
        reason(office.tokens.create_token(by_owner(request)).await)
    };
    let archived = &office.membership.archived;
    archived.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(create().await, ErrorReason::ClassArchived);
    archived.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(create().await, ErrorReason::Unspecified);
}

#[tokio::test]
async fn r11_no_event_holds_a_secret() {
    let office = Office::open().await;
    let made = create_batch(&office).await;
    let events = format!("{:?}", office.events().await);
    for phrase in phrases(&made) {
        assert!(!events.contains(&phrase));
    }
}
