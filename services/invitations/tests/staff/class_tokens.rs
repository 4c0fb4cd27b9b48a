//! A6 to A14, X4.

use std::sync::Arc;

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        BatchCreateTokensRequest, CreateTokenRequest, GetTokenRequest, ListTokensRequest,
        RevealTokenRequest, RevokeTokenRequest, Token, UpdateTokenRequest,
        batch_create_tokens_response::result::Outcome, token::State,
        token_service_server::TokenService,
    },
    names::Place,
};
use homeroom_invitations::{
    app::secrets::Secrets,
    domain::{invitation::InvitationKind, phrase::Phrase},
    store::InvitationRow,
};
use homeroom_kit::{
    clock::to_timestamp,
    keys::KeyRing,
    random::{SeededRandomness, SystemRandomness},
};
use prost_types::FieldMask;
use uuid::Uuid;

use crate::office::{CLASS, Office, by_owner, reason};

async fn create(office: &Office, token: Token) -> Token {
    let request = CreateTokenRequest {
        parent: CLASS.to_owned(),
        token: Some(token),
        ..CreateTokenRequest::default()
    };
    let answer = office.tokens.create_token(by_owner(request)).await;
    answer.unwrap().into_inner()
}

async fn get(office: &Office, name: &str) -> Token {
    let request = GetTokenRequest {
        name: name.to_owned(),
    };
    let answer = office.tokens.get_token(by_owner(request)).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn a6_a_token_is_a_two_word_phrase_shown_at_creation_and_by_reveal_alone() {
    let office = Office::open().await;
    let made = create(&office, Token::default()).await;
    let phrase = Phrase::parse(&made.phrase).unwrap();
    assert_eq!(phrase.words(), 2);
    assert_eq!(
        made.invite_url,
        format!("https://join.example/t/{}", made.phrase.replace(' ', "-"))
    );

    let read = get(&office, &made.name).await;
    assert_eq!(read.phrase, "••••• •••••");
    assert_eq!(read.invite_url, "");

    let reveal = RevealTokenRequest {
        name: made.name.clone(),
    };
    let shown = office.tokens.reveal_token(by_owner(reveal)).await.unwrap();
    assert_eq!(shown.into_inner().token.unwrap(), made);
}

#[tokio::test]
async fn x4_a14_a_token_admits_one_and_lives_30_days_unless_it_says_otherwise() {
    let office = Office::open().await;
    let made = create(&office, Token::default()).await;
    assert_eq!(made.max_uses, Some(1));
    assert_eq!(
        made.expire_time,
        Some(to_timestamp(office.now() + TimeDelta::days(30)))
    );
    assert_eq!(made.state(), State::Active);
    let token = Token {
        max_uses: Some(0),
        words: 4,
        expire_time: Some(to_timestamp(office.now() + TimeDelta::days(365))),
        ..Token::default()
    };
    let made = create(&office, token).await;
    assert_eq!(made.max_uses, Some(0));
    assert_eq!(Phrase::parse(&made.phrase).unwrap().words(), 4);
    office.advance(TimeDelta::days(365));
    assert_eq!(get(&office, &made.name).await.state(), State::Expired);
}

#[tokio::test]
async fn a14_a_year_ahead_is_the_most() {
    let office = Office::open().await;
    let request = CreateTokenRequest {
        parent: CLASS.to_owned(),
        token: Some(Token {
            expire_time: Some(to_timestamp(
                office.now() + TimeDelta::days(365) + TimeDelta::microseconds(1),
            )),
            ..Token::default()
        }),
        ..CreateTokenRequest::default()
    };
    let refused = office.tokens.create_token(by_owner(request)).await;
    assert_eq!(reason(refused), ErrorReason::InvalidRequest);
}

#[tokio::test]
async fn a_phrase_is_never_issued_while_its_words_reversed_are_one() {
    let office = Office::open().await;
    let request = BatchCreateTokensRequest {
        parent: CLASS.to_owned(),
        tokens: vec![Token::default(); 200],
        ..BatchCreateTokensRequest::default()
    };
    let made = office
        .tokens
        .batch_create_tokens(by_owner(request))
        .await
        .unwrap();
    for result in made.into_inner().results {
        let Some(Outcome::Token(token)) = result.outcome else {
            panic!("each row is right");
        };
        let reversed = Phrase::parse(&token.phrase).unwrap().reversed().canonical();
        let macs = office
            .app
            .secrets()
            .lookup_macs(InvitationKind::ClassToken, &reversed);
        let mut session = office.app.store.read().await.unwrap();
        assert_eq!(session.find_by_lookup_macs(&macs).await.unwrap(), None);
    }
}

const KEY_ONE: &str = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const KEY_TWO: &str = "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const SEED: u64 = 7;

/// Returns the first phrase drawn from the seed, in an office where `issued` was issued under key 1.
async fn first_phrase(keys: &str, issued: Option<&Phrase>) -> Phrase {
    let keys = KeyRing::parse(keys).unwrap();
    let office = Office::open_with(keys, Arc::new(SeededRandomness::new(SEED))).await;
    if let Some(phrase) = issued {
        let kind = InvitationKind::ClassToken;
        let place = Place::parse(CLASS).unwrap();
        let mut row = InvitationRow::new(Uuid::from_u128(1), kind, place, office.now());
        let old = KeyRing::parse(KEY_ONE).unwrap();
        let canonical = phrase.canonical();
        let stored =
            Secrets::new(&old, &SystemRandomness).store(&row.invitation, &canonical, &canonical);
        row.secret = Some(stored.unwrap());
        let mut session = office.app.store.write().await.unwrap();
        assert_eq!(session.insert_invitations(&[row]).await.unwrap(), [true]);
        session.commit("test").await.unwrap();
    }
    let request = CreateTokenRequest {
        parent: CLASS.to_owned(),
        token: Some(Token::default()),
        ..CreateTokenRequest::default()
    };
    let made = office.tokens.create_token(by_owner(request)).await.unwrap();
    Phrase::parse(&made.into_inner().phrase).unwrap()
}

#[tokio::test]
async fn a_phrase_issued_under_an_older_key_is_taken_and_so_are_its_words_reversed() {
    let both = format!("{KEY_ONE},{KEY_TWO}");
    let first = first_phrase(&both, None).await;
    assert!(
        first_phrase(&both, None).await == first,
        "as the seed has it"
    );
    for issued in [first.clone(), first.reversed()] {
        let second = first_phrase(&both, Some(&issued)).await;
        assert!(second != first && second != first.reversed());
    }
}

#[tokio::test]
async fn a8_a_batch_makes_the_good_rows_and_tells_of_the_bad_ones() {
    let office = Office::open().await;
    let request = BatchCreateTokensRequest {
        parent: CLASS.to_owned(),
        tokens: vec![
            Token {
                assigned_email: "Mia@Hamilton.Example".to_owned(),
                ..Token::default()
            },
            Token {
                assigned_email: "not an address".to_owned(),
                ..Token::default()
            },
            Token {
                external_id: "S-3".to_owned(),
                ..Token::default()
            },
        ],
        ..BatchCreateTokensRequest::default()
    };
    let answer = office
        .tokens
        .batch_create_tokens(by_owner(request))
        .await
        .unwrap();
    let results = answer.into_inner().results;
    assert_eq!(
        results
            .iter()
            .map(|result| result.index)
            .collect::<Vec<_>>(),
        [0, 1, 2]
    );
    let Some(Outcome::Token(first)) = &results[0].outcome else {
        panic!("the first row is right");
    };
    assert_eq!(first.assigned_email, "mia@hamilton.example");
    assert!(Phrase::parse(&first.phrase).is_some());
    let Some(Outcome::Status(status)) = &results[1].outcome else {
        panic!("the second row is wrong");
    };
    assert_eq!(status.code, 3);
    assert!(!status.details.is_empty());
    assert!(matches!(results[2].outcome, Some(Outcome::Token(_))));
    assert_eq!(
        office.event_types().await,
        ["token.created", "token.created"]
    );
}

#[tokio::test]
async fn a8_a_batch_has_one_to_a_thousand_rows() {
    let office = Office::open().await;
    for (rows, expected) in [
        (0, ErrorReason::InvalidRequest),
        (1, ErrorReason::Unspecified),
        (1_001, ErrorReason::InvalidRequest),
    ] {
        let request = BatchCreateTokensRequest {
            parent: CLASS.to_owned(),
            tokens: vec![Token::default(); rows],
            ..BatchCreateTokensRequest::default()
        };
        let answer = office.tokens.batch_create_tokens(by_owner(request)).await;
        assert_eq!(reason(answer), expected, "{rows}");
    }
}

#[tokio::test]
async fn a14_a_revoked_token_is_destroyed_and_shut_out() {
    let office = Office::open().await;
    let made = create(&office, Token::default()).await;
    let revoke = || {
        by_owner(RevokeTokenRequest {
            name: made.name.clone(),
            ..RevokeTokenRequest::default()
        })
    };
    let revoked = office.tokens.revoke_token(revoke()).await.unwrap();
    let revoked = revoked.into_inner().token.unwrap();
    assert_eq!(revoked.state(), State::Revoked);
    assert_eq!(office.membership.fence(&made.name), 2);
    let row = office.row(&made.name).await;
    assert_eq!(row.secret, None, "nothing is left of the phrase");

    let reveal = RevealTokenRequest {
        name: made.name.clone(),
    };
    let refused = office.tokens.reveal_token(by_owner(reveal)).await;
    assert_eq!(reason(refused), ErrorReason::TokenNotFound);

    let again = office.tokens.revoke_token(revoke()).await.unwrap();
    assert_eq!(again.into_inner().token.unwrap(), revoked);
    assert_eq!(
        office.event_types().await,
        ["token.created", "token.revoked"]
    );
}

#[tokio::test]
async fn a_token_is_changed_field_by_field() {
    let office = Office::open().await;
    let made = create(&office, Token::default()).await;
    let request = UpdateTokenRequest {
        token: Some(Token {
            name: made.name.clone(),
            max_uses: Some(30),
            display_name: "ignored".to_owned(),
            etag: made.etag.clone(),
            ..Token::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["max_uses".to_owned(), "assigned_email".to_owned()],
        }),
        ..UpdateTokenRequest::default()
    };
    let changed = office.tokens.update_token(by_owner(request)).await.unwrap();
    let changed = changed.into_inner();
    assert_eq!(changed.max_uses, Some(30));
    assert_eq!(changed.display_name, "");
    assert_eq!(changed.phrase, "••••• •••••");
    assert_eq!(changed.expire_time, made.expire_time);
    assert_ne!(changed.etag, made.etag);

    let unmasked = UpdateTokenRequest {
        token: Some(Token {
            name: made.name,
            display_name: "Mia".to_owned(),
            ..Token::default()
        }),
        ..UpdateTokenRequest::default()
    };
    let changed = office
        .tokens
        .update_token(by_owner(unmasked))
        .await
        .unwrap();
    assert_eq!(changed.get_ref().display_name, "Mia");
    assert_eq!(changed.get_ref().max_uses, Some(30));
}

#[tokio::test]
async fn tokens_are_listed_newest_first_page_by_page() {
    let office = Office::open().await;
    let mut names = Vec::new();
    for number in 0..5 {
        let token = Token {
            external_id: format!("S-{number}"),
            ..Token::default()
        };
        names.push(create(&office, token).await.name);
        office.advance(TimeDelta::milliseconds(1));
    }
    names.reverse();
    let list = async |page_token: &str, filter: &str| {
        let request = ListTokensRequest {
            parent: CLASS.to_owned(),
            page_size: 2,
            page_token: page_token.to_owned(),
            filter: filter.to_owned(),
        };
        office.tokens.list_tokens(by_owner(request)).await
    };
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = list(&page_token, "").await.unwrap().into_inner();
        assert!(page.tokens.len() <= 2);
        listed.extend(page.tokens.into_iter().map(|token| token.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, names);

    let page = list("", "external_id = \"S-0\"")
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.tokens[0].name, names[4]);
    let first = list("", "").await.unwrap().into_inner();
    let elsewhere = list(&first.next_page_token, "external_id = \"S-0\"").await;
    assert_eq!(reason(elsewhere), ErrorReason::InvalidPageToken);
    assert_eq!(
        reason(list("", "phrase = a").await),
        ErrorReason::InvalidFilter
    );
}

#[tokio::test]
async fn an_archived_class_takes_no_new_tokens() {
    let office = Office::open().await;
    office
        .membership
        .archived
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let request = CreateTokenRequest {
        parent: CLASS.to_owned(),
        token: Some(Token::default()),
        ..CreateTokenRequest::default()
    };
    let refused = office.tokens.create_token(by_owner(request)).await;
    assert_eq!(reason(refused), ErrorReason::ClassArchived);
}
