//! P7 for every change that shuts people out: while membership is unreachable the change stands but is not answered,
//! and a retry is answered once the fence is up.

use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        CreateEnrollmentCodeRequest, CreateTokenRequest, DeleteEnrollmentCodeRequest,
        EnrollmentCode, GetClassCodeRequest, GetInviteTokenRequest, GetJoinUrlRequest, JoinUrl,
        ResetClassCodeRequest, ResetInviteTokenRequest, RevokeTokenRequest, Token,
        UpdateEnrollmentCodeRequest, UpdateJoinUrlRequest,
        class_code_service_server::ClassCodeService as _,
        enrollment_code_service_server::EnrollmentCodeService as _,
        join_url_service_server::JoinUrlService as _, token_service_server::TokenService as _,
    },
};
use prost_types::FieldMask;
use tonic::Status;

use crate::office::{CLASS, Office, by_owner, reason, request_id};

/// A change after which nobody is admitted by the invitation's old state.
#[derive(Debug, Clone, Copy)]
enum Shut {
    ClassCodeReset,
    InviteTokenReset,
    TokenRevoked,
    JoinUrlOff,
    EnrollmentCodeOff,
    EnrollmentCodeChanged,
    EnrollmentCodeDeleted,
}

const EACH: [Shut; 7] = [
    Shut::ClassCodeReset,
    Shut::InviteTokenReset,
    Shut::TokenRevoked,
    Shut::JoinUrlOff,
    Shut::EnrollmentCodeOff,
    Shut::EnrollmentCodeChanged,
    Shut::EnrollmentCodeDeleted,
];

fn mask(path: &str) -> FieldMask {
    FieldMask {
        paths: vec![path.to_owned()],
    }
}

impl Shut {
    /// Makes the invitation. Returns its name.
    async fn make(self, office: &Office) -> String {
        match self {
            Self::ClassCodeReset => {
                let name = format!("{CLASS}/classCode");
                let request = GetClassCodeRequest { name: name.clone() };
                let made = office.class_codes.get_class_code(by_owner(request)).await;
                made.unwrap();
                name
            }
            Self::InviteTokenReset => {
                let name = "organizations/hamilton/inviteToken".to_owned();
                let request = GetInviteTokenRequest { name: name.clone() };
                let made = office.tokens.get_invite_token(by_owner(request)).await;
                made.unwrap();
                name
            }
            Self::TokenRevoked => {
                let request = CreateTokenRequest {
                    parent: CLASS.to_owned(),
                    token: Some(Token::default()),
                    ..CreateTokenRequest::default()
                };
                let made = office.tokens.create_token(by_owner(request)).await;
                made.unwrap().into_inner().name
            }
            Self::JoinUrlOff => {
                let name = format!("{CLASS}/joinUrl");
                let request = GetJoinUrlRequest { name: name.clone() };
                let made = office.join_urls.get_join_url(by_owner(request)).await;
                made.unwrap();
                name
            }
            Self::EnrollmentCodeOff | Self::EnrollmentCodeChanged | Self::EnrollmentCodeDeleted => {
                let request = CreateEnrollmentCodeRequest {
                    parent: CLASS.to_owned(),
                    enrollment_code: Some(EnrollmentCode {
                        code: "BIO101".to_owned(),
                        ..EnrollmentCode::default()
                    }),
                    acknowledge_weak: true,
                    ..CreateEnrollmentCodeRequest::default()
                };
                let codes = &office.enrollment_codes;
                let made = codes.create_enrollment_code(by_owner(request)).await;
                made.unwrap().into_inner().name
            }
        }
    }

    /// Makes the change, under the same request id each time.
    async fn apply(self, office: &Office, name: &str) -> Result<(), Status> {
        let (name, request_id) = (name.to_owned(), request_id(1));
        let (etag, codes) = (String::new(), &office.enrollment_codes);
        match self {
            Self::ClassCodeReset => {
                let request = ResetClassCodeRequest {
                    name,
                    etag,
                    request_id,
                };
                let reset = office.class_codes.reset_class_code(by_owner(request));
                reset.await.map(drop)
            }
            Self::InviteTokenReset => {
                let request = ResetInviteTokenRequest {
                    name,
                    etag,
                    request_id,
                };
                let reset = office.tokens.reset_invite_token(by_owner(request));
                reset.await.map(drop)
            }
            Self::TokenRevoked => {
                let request = RevokeTokenRequest {
                    name,
                    etag,
                    request_id,
                };
                let revoked = office.tokens.revoke_token(by_owner(request));
                revoked.await.map(drop)
            }
            Self::JoinUrlOff => {
                let request = UpdateJoinUrlRequest {
                    join_url: Some(JoinUrl {
                        name,
                        enabled: false,
                        ..JoinUrl::default()
                    }),
                    update_mask: Some(mask("enabled")),
                    request_id,
                };
                let off = office.join_urls.update_join_url(by_owner(request));
                off.await.map(drop)
            }
            Self::EnrollmentCodeOff | Self::EnrollmentCodeChanged => {
                let off = matches!(self, Self::EnrollmentCodeOff);
                let request = UpdateEnrollmentCodeRequest {
                    enrollment_code: Some(EnrollmentCode {
                        name,
                        enabled: Some(false),
                        code: "CHEM101".to_owned(),
                        ..EnrollmentCode::default()
                    }),
                    update_mask: Some(mask(if off { "enabled" } else { "code" })),
                    acknowledge_weak: true,
                    request_id,
                };
                let updated = codes.update_enrollment_code(by_owner(request));
                updated.await.map(drop)
            }
            Self::EnrollmentCodeDeleted => {
                let request = DeleteEnrollmentCodeRequest {
                    name,
                    etag,
                    request_id,
                };
                let deleted = codes.delete_enrollment_code(by_owner(request));
                deleted.await.map(drop)
            }
        }
    }
}

/// Returns the number of pending fences.
async fn pending(office: &Office) -> usize {
    let mut repository = office.app.store.read().await.unwrap();
    let pending = repository.list_pending_fences(None, 10).await;
    pending.unwrap().len()
}

#[tokio::test]
async fn p7_each_change_that_shuts_out_is_answered_only_once_its_fence_is_up() {
    for change in EACH {
        let office = Office::open().await;
        let name = change.make(&office).await;
        // Given membership that does not answer, a change stands but is not answered, however often it is tried
        office.membership_is_away(true);
        for _ in 0..2 {
            let unanswered = change.apply(&office, &name).await;
            let reason = reason(unanswered);
            assert_eq!(reason, ErrorReason::MembershipUnavailable, "{change:?}");
        }
        assert_eq!(office.membership.fence(&name), 0, "{change:?}");
        assert_eq!(pending(&office).await, 1, "{change:?}");
        let events = office.event_types().await;
        assert_eq!(events.len(), 2, "made, and changed once: {events:?}");
        // When membership is back, then the same request is answered and the fence is up.
        office.membership_is_away(false);
        change.apply(&office, &name).await.unwrap();
        assert_eq!(office.membership.fence(&name), 2, "{change:?}");
        assert_eq!(pending(&office).await, 0, "{change:?}");
        assert_eq!(office.event_types().await, events, "{change:?}");
    }
}

#[tokio::test]
async fn p7_recovery_raises_the_fence_of_each_and_the_retry_is_answered() {
    for change in EACH {
        let office = Office::open().await;
        let name = change.make(&office).await;
        office.membership_is_away(true);
        change.apply(&office, &name).await.unwrap_err();
        assert_eq!(office.app.raise_pending_fences().await.unwrap(), 0);
        office.membership_is_away(false);
        let raised = office.app.raise_pending_fences().await;
        assert_eq!(raised.unwrap(), 1, "{change:?}");
        assert_eq!(office.membership.fence(&name), 2, "{change:?}");
        // Membership need not be asked again.
        office.membership_is_away(true);
        change.apply(&office, &name).await.unwrap();
    }
}
