//! P7: a change that shuts people out is answered only when membership has confirmed it.

use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        ClassCode, CreateEnrollmentCodeRequest, DeleteEnrollmentCodeRequest, EnrollmentCode,
        GetClassCodeRequest, ResetClassCodeRequest, ResetClassCodeResponse,
        class_code_service_server::ClassCodeService,
        enrollment_code_service_server::EnrollmentCodeService,
    },
};
use tonic::{Response, Status};

use crate::office::{CLASS, Office, by_owner, reason, request_id};

fn name() -> String {
    format!("{CLASS}/classCode")
}

async fn get(office: &Office) -> ClassCode {
    let request = GetClassCodeRequest { name: name() };
    let answer = office.class_codes.get_class_code(by_owner(request)).await;
    answer.unwrap().into_inner()
}

async fn reset(office: &Office) -> Result<Response<ResetClassCodeResponse>, Status> {
    let request = ResetClassCodeRequest {
        name: name(),
        request_id: request_id(1),
        ..ResetClassCodeRequest::default()
    };
    office.class_codes.reset_class_code(by_owner(request)).await
}

#[tokio::test]
async fn p7_a_reset_without_membership_stands_but_is_not_answered() {
    let office = Office::open().await;
    let old = get(&office).await;
    office.membership_is_away(true);
    for _ in 0..2 {
        assert_eq!(
            reason(reset(&office).await),
            ErrorReason::MembershipUnavailable
        );
    }
    assert_eq!(office.membership.fence(&name()), 0);
    let standing = get(&office).await;
    assert_ne!(standing.code, old.code, "the change stands");

    // A retry with the same request id finishes what the first one began.
    office.membership_is_away(false);
    let answered = reset(&office)
        .await
        .unwrap()
        .into_inner()
        .class_code
        .unwrap();
    assert_eq!(answered, standing);
    assert_eq!(office.membership.fence(&name()), 2);
    assert_eq!(
        office.event_types().await,
        ["class_code.created", "class_code.reset"]
    );
}

#[tokio::test]
async fn p7_recovery_finishes_a_fence_left_pending() {
    let office = Office::open().await;
    get(&office).await;
    office.membership_is_away(true);
    assert!(reset(&office).await.is_err());
    assert_eq!(office.app.raise_pending_fences().await.unwrap(), 0);
    office.membership_is_away(false);
    assert_eq!(office.app.raise_pending_fences().await.unwrap(), 1);
    assert_eq!(office.membership.fence(&name()), 2);
    assert_eq!(
        office.app.raise_pending_fences().await.unwrap(),
        0,
        "nothing is left"
    );
}

#[tokio::test]
async fn p7_a_deleted_code_is_not_said_to_be_gone_before_its_fence_is_up() {
    let office = Office::open().await;
    let request = CreateEnrollmentCodeRequest {
        parent: CLASS.to_owned(),
        enrollment_code: Some(EnrollmentCode {
            code: "BIO101".to_owned(),
            ..EnrollmentCode::default()
        }),
        acknowledge_weak: true,
        ..CreateEnrollmentCodeRequest::default()
    };
    let made = office
        .enrollment_codes
        .create_enrollment_code(by_owner(request))
        .await;
    let name = made.unwrap().into_inner().name;
    let delete = async || {
        let request = DeleteEnrollmentCodeRequest {
            name: name.clone(),
            ..DeleteEnrollmentCodeRequest::default()
        };
        reason(
            office
                .enrollment_codes
                .delete_enrollment_code(by_owner(request))
                .await,
        )
    };
    office.membership_is_away(true);
    assert_eq!(delete().await, ErrorReason::MembershipUnavailable);
    assert_eq!(delete().await, ErrorReason::MembershipUnavailable);
    office.membership_is_away(false);
    assert_eq!(delete().await, ErrorReason::CodeNotFound);
    assert_eq!(office.membership.fence(&name), 2);
}
