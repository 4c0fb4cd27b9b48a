//! Conversion of admissions between the contract and the domain.

use homeroom_api::{
    common::v1::{ErrorReason, User},
    ids::UserId,
    membership::v1::{
        self as api, admission, admit_request, check_access_response, join_request, member,
    },
    names::{InvitationName, Place, RedemptionName},
};
use homeroom_kit::{Result, person, validation::Violations};
use uuid::Uuid;

use super::convert;
use crate::{
    admission::{admit::AdmitRequest, plan::Admission},
    app::check_access::Access,
    domain::{
        access::Permission,
        admission::{Attempt, Route},
        class::ClassState,
        join_request::Cause,
        member::{Method, Particulars},
    },
};

/// Returns the organization or class of the invitation with this name; None if it is not the name of an invitation.
pub(super) fn place_of_invitation(name: &str) -> Option<Place> {
    InvitationName::parse(name).map(|name| name.place)
}

/// Parses one redemption to admit. Fails with `INVALID_REQUEST` and all violations in the fields that the invitations
/// service sets itself.
pub(super) fn admit_request(request: &api::AdmitRequest) -> Result<AdmitRequest> {
    let mut violations = Violations::new();
    let place = violations.take("parent", Place::parse(&request.parent));
    let redemption = redemption(&mut violations, request, place.as_ref());
    let of_place = place_of_invitation(&request.invitation);
    let place_fits = place.is_none() || of_place == place;
    violations.check(
        of_place.is_some() && place_fits,
        "invitation",
        "must be the name of an invitation of `parent`",
    );
    violations.check(request.epoch >= 0, "epoch", "must not be negative");
    let person = person(&mut violations, request.user.as_ref());
    let route = route(&mut violations, request);
    let refuse_reason = refuse_reason(&mut violations, request.refuse_reason);
    let method = method(request.method());
    violations.check(
        method.is_some(),
        "method",
        "must be the method of a kind of invitation",
    );
    let issue_time = violations.timestamp("invitation_issue_time", &request.invitation_issue_time);
    let vouch_time = violations.timestamp("vouch_time", &request.vouch_time);
    violations.check(
        request.invitation_issue_time.is_some(),
        "invitation_issue_time",
        "is required",
    );
    let read = place
        .zip(redemption)
        .zip(person)
        .zip(route.zip(method))
        .zip(issue_time);
    let ((((place, redemption), (user, particulars)), (route, method)), invitation_issue_time) =
        violations.finish_with(read)?;
    Ok(AdmitRequest {
        redemption,
        invitation: request.invitation.clone(),
        place,
        user,
        particulars,
        vouch_time,
        attempt: Attempt {
            epoch: request.epoch,
            route,
            refuse_reason,
            invitation_issue_time,
            allow_rejoin: request.allow_rejoin,
        },
        method,
    })
}

/// Parses the name of the redemption, which a preview may omit, as there is none yet.
fn redemption(
    violations: &mut Violations,
    request: &api::AdmitRequest,
    place: Option<&Place>,
) -> Option<RedemptionName> {
    if request.validate_only && request.redemption.is_empty() {
        return place.map(|place| RedemptionName {
            place: Place::Organization(place.organization().clone()),
            id: Uuid::nil(),
        });
    }
    let name = violations.take("redemption", RedemptionName::parse(&request.redemption))?;
    let same = place.is_none_or(|place| place.organization() == name.place.organization());
    // I8: nothing crosses from one organization to another.
    violations
        .check(
            same,
            "redemption",
            "must be of the organization of `parent`",
        )
        .then_some(name)
}

/// Parses the person. Nothing that the platform said of them fails the row, because it is kept with the redemption and
/// sent again unchanged. A name is cleaned; anything else that cannot be stored is left out.
fn person(violations: &mut Violations, user: Option<&User>) -> Option<(UserId, Particulars)> {
    let Some(user) = user else {
        violations.add("user", "is required");
        return None;
    };
    let id = violations.take("user.user", UserId::parse(&user.user))?;
    let particulars = Particulars {
        display_name: person::display_name(&user.display_name),
        email: person::shown_email(&user.email),
        external_id: person::external_id(&user.external_id).unwrap_or_default(),
    };
    Some((id, particulars))
}

fn route(violations: &mut Violations, request: &api::AdmitRequest) -> Option<Route> {
    match request.route() {
        admit_request::Route::AdmitAtOnce => Some(Route::AtOnce),
        admit_request::Route::Queue => {
            let cause = cause(request.queue_cause());
            violations.check(
                cause.is_some(),
                "queue_cause",
                "is required where `route` is QUEUE",
            );
            cause.map(Route::Queue)
        }
        admit_request::Route::Unspecified => {
            violations.add("route", "must be ADMIT_AT_ONCE or QUEUE");
            None
        }
    }
}

fn cause(cause: join_request::Cause) -> Option<Cause> {
    Cause::parse(cause.as_str_name())
}

fn refuse_reason(violations: &mut Violations, reason: i32) -> Option<ErrorReason> {
    match ErrorReason::try_from(reason) {
        Ok(ErrorReason::Unspecified) => None,
        Ok(reason) => Some(reason),
        Err(_) => {
            violations.add("refuse_reason", "is not a reason that this service knows");
            None
        }
    }
}

fn method(method: member::provenance::Method) -> Option<Method> {
    Method::parse(method.as_str_name()).filter(|method| *method != Method::Added)
}

/// Returns the domain's permission for a permission asked about a place.
pub(super) fn permission(permission: api::Permission, place: &Place) -> Option<Permission> {
    Some(match (permission, place) {
        (api::Permission::Unspecified, _) => return None,
        (api::Permission::View, Place::Organization(_)) => Permission::ViewOrganization,
        (api::Permission::View, Place::Class(_)) => Permission::ViewClass,
        (api::Permission::ReadInvitations, _) => Permission::ReadInvitations,
        (api::Permission::ManageInvitations, _) => Permission::ManageInvitations,
        (api::Permission::ManageOrganization, _) => Permission::ManageOrganization,
    })
}

/// Converts an answer to the contract's form.
pub(super) fn admission(admission: &Admission) -> api::Admission {
    let outcome = admission::Outcome::from_str_name(admission.outcome.as_str());
    let refuse_reason = admission.outcome.refuse_reason();
    api::Admission {
        redemption: admission.redemption.clone(),
        outcome: outcome.unwrap_or_default().into(),
        refuse_reason: refuse_reason.unwrap_or(ErrorReason::Unspecified).into(),
        member: admission.member.clone().map(api::Member::from),
        join_request: admission.join_request.clone().map(Into::into),
        organization_display_name: admission.organization_display_name.clone(),
        class_display_name: admission.class_display_name.clone(),
        seat_limit: admission.seat_limit,
        answered_before: admission.answered_before,
        user: admission.user.to_string(),
    }
}

/// Converts the facts about a place to the contract's form.
pub(super) fn access(access: Access) -> api::CheckAccessResponse {
    let mut standing = access.standing;
    let class = standing.class.take();
    let state = match class.as_ref().map(|class| class.state) {
        Some(ClassState::Archived) => check_access_response::State::Archived,
        _ => check_access_response::State::Active,
    };
    api::CheckAccessResponse {
        visible: access.visible,
        allowed: access.allowed,
        role: access.role.map_or(0, |role| convert::role(role).into()),
        state: state.into(),
        organization_display_name: standing.organization_display_name,
        class_display_name: class.map_or_else(String::new, |class| class.display_name),
        code_prefix: standing.code_prefix,
        seat_limit: standing.seat_limit,
        notify: access.notify.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
#[path = "admission_conversion_tests.rs"]
mod tests;
