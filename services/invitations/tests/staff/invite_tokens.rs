//! A2 and A3.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        GetInviteTokenRequest, InviteToken, ResetInviteTokenRequest, UpdateInviteTokenRequest,
        token_service_server::TokenService,
    },
};
use homeroom_kit::clock::to_timestamp;
use prost_types::FieldMask;

use crate::office::{Office, by_owner, reason};

const NAME: &str = "organizations/hamilton/inviteToken";

async fn get(office: &Office) -> InviteToken {
    let request = GetInviteTokenRequest {
        name: NAME.to_owned(),
    };
    let answer = office.tokens.get_invite_token(by_owner(request)).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn a2_every_organization_has_one_token_with_an_address() {
    let office = Office::open().await;
    let token = get(&office).await;
    assert_eq!(token.token.len(), 32);
    assert_eq!(
        token.invite_url,
        format!("https://join.example/i/{}", token.token)
    );
    assert_eq!(token.expire_time, None, "it never expires unless set to");
    assert!(token.may_be_public);
    assert_eq!(get(&office).await, token);
}

#[tokio::test]
async fn a3_its_expiry_is_set_and_cleared() {
    let office = Office::open().await;
    let set = async |time: Option<TimeDelta>| {
        let request = UpdateInviteTokenRequest {
            invite_token: Some(InviteToken {
                name: NAME.to_owned(),
                expire_time: time.map(|time| to_timestamp(office.now() + time)),
                ..InviteToken::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["expire_time".to_owned()],
            }),
            ..UpdateInviteTokenRequest::default()
        };
        office.tokens.update_invite_token(by_owner(request)).await
    };
    let token = set(Some(TimeDelta::days(1))).await.unwrap().into_inner();
    assert_eq!(
        token.expire_time,
        Some(to_timestamp(office.now() + TimeDelta::days(1)))
    );
    let token = set(None).await.unwrap().into_inner();
    assert_eq!(token.expire_time, None);
    assert_eq!(
        reason(set(Some(TimeDelta::zero())).await),
        ErrorReason::InvalidRequest
    );
}

#[tokio::test]
async fn a3_a_reset_makes_a_new_token() {
    let office = Office::open().await;
    let old = get(&office).await;
    let request = ResetInviteTokenRequest {
        name: NAME.to_owned(),
        ..ResetInviteTokenRequest::default()
    };
    let new = office
        .tokens
        .reset_invite_token(by_owner(request))
        .await
        .unwrap();
    let new = new.into_inner().invite_token.unwrap();
    assert_ne!(new.token, old.token);
    assert_eq!(office.membership.fence(NAME), 2);
    assert_eq!(get(&office).await, new);
}
