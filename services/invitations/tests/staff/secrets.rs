//! Secrets of invitations: each is made once, also by calls at once and under several keys, and nothing that is stored
//! for a retry holds one (R3).

use std::sync::Arc;

use chrono::TimeDelta;
use homeroom_api::{
    invitations::v1::{
        BatchCreateTokensRequest, BatchCreateTokensResponse, ClassCode, CreateTokenRequest,
        GetClassCodeRequest, ResetClassCodeRequest, Token,
        batch_create_tokens_response::result::Outcome,
        class_code_service_server::ClassCodeService as _, token_service_server::TokenService as _,
    },
    names::Place,
};
use homeroom_invitations::{
    app::secrets::Secrets,
    domain::{invitation::InvitationKind, ways::phrase::Phrase},
    limiter::Budgets,
    store::InvitationRow,
};
use homeroom_kit::{
    auth::Caller,
    clock::to_timestamp,
    keys::KeyRing,
    random::{SeededRandomness, SystemRandomness},
    request_ids::{BodyMac, Claim, RequestKey},
};
use uuid::Uuid;

use crate::{
    databases::Database,
    world::{CLASS, REQUEST, World, by, organization, start, user},
};

const KEY_ONE: &str = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const KEY_TWO: &str = "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const SEED: u64 = 7;

fn row() -> CreateTokenRequest {
    CreateTokenRequest {
        token: Some(Token::default()),
        ..CreateTokenRequest::default()
    }
}

fn batch(rows: usize) -> BatchCreateTokensRequest {
    BatchCreateTokensRequest {
        parent: CLASS.to_owned(),
        requests: vec![row(); rows],
        request_id: REQUEST.to_owned(),
    }
}

async fn create(world: &World, rows: usize) -> BatchCreateTokensResponse {
    let answer = world.tokens.batch_create_tokens(by("tess", batch(rows)));
    answer.await.unwrap().into_inner()
}

fn phrases(response: BatchCreateTokensResponse) -> Vec<Phrase> {
    let phrase = |outcome| match outcome {
        Some(Outcome::Token(token)) => Phrase::parse(&token.phrase).unwrap(),
        _ => panic!("each row is right"),
    };
    let results = response.results.into_iter();
    results.map(|result| phrase(result.outcome)).collect()
}

async fn class_code(world: &World) -> ClassCode {
    let name = format!("{CLASS}/classCode");
    let get = by("tess", GetClassCodeRequest { name });
    let answer = world.class_codes.get_class_code(get).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn c1_r3_reads_and_retries_at_once_make_one_secret() {
    let world = World::new().await;
    let get = || class_code(&world);
    let (a, b, c, d) = tokio::join!(get(), get(), get(), get());
    assert!(a == b && b == c && c == d);
    assert_eq!(world.event_types().await, ["class_code.created"]);
    let (a, b, c) = tokio::join!(create(&world, 3), create(&world, 3), create(&world, 3));
    assert!(a == b && b == c);
    assert_eq!(world.event_types().await.len(), 1 + 3);
}

#[tokio::test]
async fn r8_what_a_change_issues_after_it_waited_is_as_old_as_the_right_to_it() {
    // Given a class code, and somebody who holds the organization
    let world = World::new().await;
    let before = class_code(&world).await;
    world.advance(TimeDelta::hours(1));
    let authorized = world.app.clock.now();
    let mut holding = world.app.store.write().await.unwrap();
    let organizations = [organization()];
    let locked = holding.lock_organizations(&organizations, start());
    locked.await.unwrap();
    // When a reset waits, during which its author may be removed
    let (codes, name) = (world.class_codes.clone(), before.name);
    let reset = by(
        "tess",
        ResetClassCodeRequest {
            name,
            ..Default::default()
        },
    );
    let reset = tokio::spawn(async move { codes.reset_class_code(reset).await });
    while world.app.writes.under_way() == 0 {
        tokio::task::yield_now().await;
    }
    world.advance(TimeDelta::hours(1));
    holding.rollback().await;
    // Then membership takes the new code for older than the removal.
    let reset = reset
        .await
        .unwrap()
        .unwrap()
        .into_inner()
        .class_code
        .unwrap();
    assert_ne!(reset.code, before.code);
    assert_eq!(reset.create_time, Some(to_timestamp(authorized)));
    assert_eq!(reset.update_time, Some(to_timestamp(world.app.clock.now())));
}

#[tokio::test]
async fn b4_what_membership_says_of_an_organization_is_kept() {
    let world = World::new().await;
    class_code(&world).await;
    let mut session = world.app.store.read().await.unwrap();
    let prefixes = ["HAMILTON".to_owned()];
    let profiles = session.find_profiles(&[], &prefixes).await.unwrap();
    assert_eq!(profiles[0].seat_limit, 300);
}

#[tokio::test]
async fn r3_what_is_stored_for_a_retry_holds_no_secret() {
    let world = World::new().await;
    let made = create(&world, 3).await;
    let mut caller = Caller::for_user(user("tess"));
    std::any::type_name::<BatchCreateTokensRequest>().clone_into(&mut caller.method);
    let key = RequestKey::new(&caller, Uuid::parse_str(REQUEST).unwrap());
    let body = BodyMac::of(&world.app.keys, key.request_id, &batch(3));
    let mut session = world.app.store.read().await.unwrap();
    let stored = session.request_ids().find(&key, &body, start()).await;
    let Claim::Replay(stored) = stored.unwrap() else {
        panic!("it was stored");
    };
    let stored = String::from_utf8_lossy(&stored).into_owned();
    for phrase in phrases(made) {
        for word in phrase.canonical().expose().split('-') {
            assert!(!stored.contains(word), "{word}");
        }
    }
}

#[tokio::test]
async fn a6_a_phrase_is_never_issued_while_its_words_reversed_are_one() {
    let world = World::new().await;
    for phrase in phrases(create(&world, 200).await) {
        let reversed = phrase.reversed().canonical();
        let secrets = world.app.secrets();
        let macs = secrets.look_up(InvitationKind::ClassToken, &reversed).macs;
        let mut session = world.app.store.read().await.unwrap();
        let found = session.find_all_by_lookup_macs(&macs).await.unwrap();
        assert!(found.is_empty());
    }
}

/// Returns the first phrase drawn from the seed, where `issued` was issued under key 1.
async fn first_phrase(issued: Option<&Phrase>) -> Phrase {
    let keys = KeyRing::parse(&format!("{KEY_ONE},{KEY_TWO}")).unwrap();
    let random = Arc::new(SeededRandomness::new(SEED));
    let world = World::with(Database::sqlite().await, Budgets::default(), keys, random).await;
    if let Some(phrase) = issued {
        let kind = InvitationKind::ClassToken;
        let place = Place::parse(CLASS).unwrap();
        let mut row = InvitationRow::new(Uuid::from_u128(1), kind, place, start());
        let old = KeyRing::parse(KEY_ONE).unwrap();
        let secrets = Secrets::new(&old, &SystemRandomness);
        let canonical = phrase.canonical();
        let stored = secrets.store(&row.invitation, &canonical, &canonical);
        row.secret = Some(stored.unwrap());
        let mut session = world.app.store.write().await.unwrap();
        assert_eq!(session.insert_invitations(&[row]).await.unwrap(), [true]);
        session.commit("test").await.unwrap();
    }
    phrases(create(&world, 1).await).remove(0)
}

#[tokio::test]
async fn a6_a_phrase_issued_under_an_older_key_is_taken_and_so_are_its_words_reversed() {
    let first = first_phrase(None).await;
    assert!(first_phrase(None).await == first, "as the seed has it");
    for issued in [first.clone(), first.reversed()] {
        let second = first_phrase(Some(&issued)).await;
        assert!(second != first && second != first.reversed());
    }
}
