//! The parameters of admissions, as the rows of one JSON array.

use homeroom_api::{common::v1::ErrorReason, ids::OrganizationId, names::Place};
use homeroom_kit::clock::micros;
use serde_json::{Value, json};

use super::rows::class_text;
use crate::{
    domain::{join_request::JoinRequest, member::Member},
    store::{PersonAt, StoredAdmission},
};

/// Returns the row of an organization.
pub(super) fn of_organization(id: &OrganizationId) -> Value {
    json!({ "o": id.as_str() })
}

/// Returns the row of an organization or class.
pub(super) fn of_place(place: &Place) -> Value {
    json!({ "o": place.organization().as_str(), "c": class_text(place) })
}

/// Returns the row of a person at a place.
pub(super) fn of_person(person: &PersonAt) -> Value {
    let (place, user) = person;
    json!({
        "o": place.organization().as_str(),
        "c": class_text(place),
        "u": user.as_str(),
    })
}

/// Returns the row of a membership.
pub(super) fn of_member(member: &Member) -> Value {
    json!({
        "o": member.place.organization().as_str(),
        "c": class_text(&member.place),
        "u": member.user.as_str(),
        "display_name": member.particulars.display_name,
        "email": member.particulars.email,
        "external_id": member.particulars.external_id,
        "told_time": micros(member.told_time),
        "set_by_hand": member.set_by_hand.0,
        "role": member.role.as_str(),
        "time": micros(member.join_time),
        "invitation": member.provenance.invitation,
        "redemption": member.provenance.redemption,
        "by": member.provenance.approved_by,
        "method": member.provenance.method.as_str(),
    })
}

/// Returns the row of a join request.
pub(super) fn of_request(request: &JoinRequest) -> Value {
    json!({
        "o": request.place.organization().as_str(),
        "c": class_text(&request.place),
        "r": request.id.to_string(),
        "u": request.user.as_str(),
        "display_name": request.particulars.display_name,
        "email": request.particulars.email,
        "external_id": request.particulars.external_id,
        "state": request.state.as_str(),
        "cause": request.cause.as_str(),
        "invitation": request.invitation,
        "redemption": request.redemption,
        "method": request.method.as_str(),
        "note": request.decide_note,
        "by": request.decided_by,
        "create_time": micros(request.create_time),
        "time": request.decide_time.map(micros),
        "expire_time": micros(request.expire_time),
    })
}

/// Returns the row of an answer.
pub(super) fn of_admission(admission: &StoredAdmission) -> Value {
    let reason = admission.outcome.refuse_reason();
    json!({
        "r": admission.redemption.to_string(),
        "o": admission.place.organization().as_str(),
        "c": class_text(&admission.place),
        "u": admission.user.as_str(),
        "invitation": admission.invitation,
        "epoch": admission.epoch,
        "outcome": admission.outcome.as_str(),
        "reason": reason.map_or("", |reason: ErrorReason| reason.as_str_name()),
        "request": admission.join_request.map_or_else(String::new, |id| id.to_string()),
        "time": micros(admission.create_time),
    })
}
