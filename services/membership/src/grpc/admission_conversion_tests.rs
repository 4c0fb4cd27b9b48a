//! Tests of what Admit accepts and refuses.

use homeroom_api::names::InvitationKind;
use homeroom_kit::person::{EXTERNAL_ID_CHARS_MAX, PERSON_NAME_CHARS_MAX};

use super::*;

const ID: &str = "01900000-0000-7000-8000-000000000001";

fn valid() -> api::AdmitRequest {
    api::AdmitRequest {
        redemption: format!("organizations/hamilton/redemptions/{ID}"),
        invitation: "organizations/hamilton/classes/bio-101/classCode".to_owned(),
        epoch: 0,
        parent: "organizations/hamilton/classes/bio-101".to_owned(),
        user: Some(User {
            user: "eve".to_owned(),
            email: "Eve@Hamilton.example".to_owned(),
            ..User::default()
        }),
        route: admit_request::Route::AdmitAtOnce.into(),
        method: member::provenance::Method::ClassCode.into(),
        invitation_issue_time: Some(prost_types::Timestamp::default()),
        ..api::AdmitRequest::default()
    }
}

fn violated(request: &api::AdmitRequest) -> Vec<String> {
    let error = admit_request(request).unwrap_err();
    assert_eq!(error.reason(), ErrorReason::InvalidRequest);
    let found = error.field_violations().iter();
    found.map(|found| found.field.clone()).collect()
}

#[test]
fn a_whole_request_is_read() {
    let read = admit_request(&valid()).unwrap();
    assert_eq!(read.place.to_string(), valid().parent);
    assert_eq!(read.redemption.to_string(), valid().redemption);
    assert_eq!(read.particulars.email, "eve@hamilton.example");
    assert_eq!(read.method, Method::Invitation(InvitationKind::ClassCode));
    assert_eq!(read.attempt.route, Route::AtOnce);
}

#[test]
fn every_violation_is_named_at_once() {
    let all = [
        "parent",
        "redemption",
        "invitation",
        "user",
        "route",
        "method",
        "invitation_issue_time",
    ];
    assert_eq!(violated(&api::AdmitRequest::default()), all);
}

#[test]
fn i8_redemption_and_invitation_are_of_the_parent() {
    let mut elsewhere = valid();
    elsewhere.redemption = format!("organizations/another/redemptions/{ID}");
    elsewhere.invitation = "organizations/hamilton/inviteToken".to_owned();
    assert_eq!(violated(&elsewhere), ["redemption", "invitation"]);
    let mut of_class = valid();
    of_class.redemption = format!("{}/redemptions/{ID}", of_class.parent);
    assert_eq!(violated(&of_class), ["redemption"]);
}

#[test]
fn a_route_into_the_queue_says_why() {
    let mut request = valid();
    request.set_route(admit_request::Route::Queue);
    assert_eq!(violated(&request), ["queue_cause"]);
    request.set_queue_cause(join_request::Cause::CodeLocked);
    let read = admit_request(&request).unwrap();
    assert_eq!(read.attempt.route, Route::Queue(Cause::CodeLocked));
}

#[test]
fn p1_nothing_said_of_the_person_fails_the_row() {
    let mut request = valid();
    let user = request.user.as_mut().unwrap();
    user.display_name = format!("\u{202b}{}", "é".repeat(PERSON_NAME_CHARS_MAX + 1));
    user.external_id = "x".repeat(EXTERNAL_ID_CHARS_MAX);
    user.email = "no address".to_owned();
    let read = admit_request(&request).unwrap();
    let longest = "é".repeat(PERSON_NAME_CHARS_MAX);
    assert_eq!(read.particulars.display_name, longest);
    assert_eq!(read.particulars.external_id.len(), EXTERNAL_ID_CHARS_MAX);
    assert_eq!(read.particulars.email, "");
    assert_eq!(read.attempt.refuse_reason, None);
}

#[test]
fn u5_an_external_id_that_cannot_be_kept_is_left_out() {
    for external_id in [
        "x".repeat(EXTERNAL_ID_CHARS_MAX + 1),
        "s\u{200f}1".to_owned(),
        "s\u{0}1".to_owned(),
    ] {
        let mut request = valid();
        request.user.as_mut().unwrap().external_id = external_id;
        let read = admit_request(&request).unwrap();
        assert_eq!(read.particulars.external_id, "");
        assert_eq!(read.attempt.refuse_reason, None);
    }
}

#[test]
fn r4_a_preview_need_not_name_a_redemption() {
    let mut request = valid();
    request.redemption.clear();
    assert_eq!(violated(&request), ["redemption"]);
    request.validate_only = true;
    assert!(admit_request(&request).is_ok());
}

#[test]
fn r6_nobody_is_admitted_as_added() {
    let mut request = valid();
    request.set_method(member::provenance::Method::Added);
    assert_eq!(violated(&request), ["method"]);
}

#[test]
fn each_invitations_place_is_known() {
    let class = "organizations/hamilton/classes/bio-101";
    let organization = "organizations/hamilton";
    for (name, place) in [
        (format!("{organization}/inviteToken"), Some(organization)),
        (format!("{class}/classCode"), Some(class)),
        (format!("{class}/joinUrl"), Some(class)),
        (format!("{class}/tokens/{ID}"), Some(class)),
        (format!("{class}/enrollmentCodes/{ID}"), Some(class)),
        (
            format!("{organization}/enrollmentCodes/{ID}"),
            Some(organization),
        ),
        (format!("{organization}/tokens/{ID}"), None),
        (format!("{class}/members/eve"), None),
        (String::new(), None),
    ] {
        let place = place.map(|place| Place::parse(place).unwrap());
        assert_eq!(place_of_invitation(&name), place, "{name}");
    }
}
