//! Authorization: a user who may not see the place gets the same answer whether it is denied or absent.

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
    invitations::v1::{
        GetClassCodeRequest, GetInviteTokenRequest, ResetClassCodeRequest,
        class_code_service_server::ClassCodeService, token_service_server::TokenService,
    },
};
use homeroom_kit::auth::Caller;
use tonic::Request;

use crate::office::{CLASS, Office, by, by_owner, reason};

fn class_code() -> GetClassCodeRequest {
    GetClassCodeRequest {
        name: format!("{CLASS}/classCode"),
    }
}

#[tokio::test]
async fn a_stranger_finds_nothing_and_a_student_needs_a_role() {
    let office = Office::open().await;
    for (user, expected) in [
        ("stranger", ErrorReason::ClassNotFound),
        ("student", ErrorReason::RoleRequired),
        ("co-teacher", ErrorReason::Unspecified),
        ("owner", ErrorReason::Unspecified),
    ] {
        let answer = office
            .class_codes
            .get_class_code(by(user, class_code()))
            .await;
        assert_eq!(reason(answer), expected, "{user}");
    }
    let invite_token = GetInviteTokenRequest {
        name: "organizations/hamilton/inviteToken".to_owned(),
    };
    let answer = office
        .tokens
        .get_invite_token(by("stranger", invite_token))
        .await;
    assert_eq!(reason(answer), ErrorReason::OrganizationNotFound);
}

#[tokio::test]
async fn i8_a_token_bound_to_another_organization_finds_nothing() {
    let office = Office::open().await;
    let mut caller = Caller::for_user(UserId::parse("owner").unwrap());
    caller.organizations = Some(vec![OrganizationId::parse("washington").unwrap()]);
    let mut request = Request::new(class_code());
    request.extensions_mut().insert(caller);
    let answer = office.class_codes.get_class_code(request).await;
    assert_eq!(reason(answer), ErrorReason::ClassNotFound);
}

#[tokio::test]
async fn without_a_caller_nothing_is_answered() {
    let office = Office::open().await;
    let answer = office
        .class_codes
        .get_class_code(Request::new(class_code()))
        .await;
    assert_eq!(reason(answer), ErrorReason::AccessTokenInvalid);
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_told_first_and_all_at_once() {
    let office = Office::open().await;
    let request = ResetClassCodeRequest {
        name: "organizations/hamilton/classCode".to_owned(),
        request_id: "not a UUID".to_owned(),
        ..ResetClassCodeRequest::default()
    };
    let refused = office
        .class_codes
        .reset_class_code(by("stranger", request))
        .await;
    let error = homeroom_kit::Error::from_status(&refused.unwrap_err()).unwrap();
    assert_eq!(error.reason(), ErrorReason::InvalidRequest);
    assert_eq!(error.field_violations().len(), 2);
    assert!(office.event_types().await.is_empty());
}

#[tokio::test]
async fn b4_what_membership_says_of_an_organization_is_kept() {
    let office = Office::open().await;
    office
        .class_codes
        .get_class_code(by_owner(class_code()))
        .await
        .unwrap();
    let mut session = office.app.store.read().await.unwrap();
    let profile = session
        .find_profiles(&[], &["HAMILTON".to_owned()])
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(profile.organization.as_str(), "hamilton");
    assert_eq!(profile.seat_limit, 300);
}
