//! Access checks for a caller in a place: scopes, roles and visibility in one order.

use async_trait::async_trait;
use homeroom_api::{common::v1::ErrorReason, ids::UserId, names::Place};
use homeroom_kit::{
    Error, Result,
    auth::{Caller, Scope},
    events::Authorize,
    rpc::place_not_found,
};

use super::{
    App,
    rules::{self, Rule},
};
use crate::{domain::access::Standing, store::Repository};

/// Returns the place with the acting user's roles in it, if the rule allows the call.
///
/// `person` is the person concerned, if the rule allows the call to them. A caller who may not see the place gets
/// `ORGANIZATION_NOT_FOUND` or `CLASS_NOT_FOUND`, any other caller `ROLE_REQUIRED`.
pub async fn authorize(
    repository: &mut Repository,
    caller: &Caller,
    place: &Place,
    rule: &Rule,
    person: Option<&UserId>,
) -> Result<Standing> {
    let standing = standing_in_reach(repository, caller, place).await?;
    let by_scope = rule.is_met_by_scope(caller);
    let visible = by_scope || is_visible(caller, place, &standing);
    if !visible {
        return Err(place_not_found(place));
    }
    let as_person = person.is_some_and(|person| rule.is_met_by_person(caller, person));
    if by_scope || is_met_by_role(rule, &standing) || as_person {
        Ok(standing)
    } else {
        Err(role_required(place, &standing))
    }
}

/// Returns true if the acting user's role in the place has the permission of the rule.
#[must_use]
pub fn is_met_by_role(rule: &Rule, standing: &Standing) -> bool {
    rule.permission
        .is_some_and(|permission| standing.permits(permission))
}

/// Returns the place with the acting user's roles in it, if it exists and the token's organizations cover it.
pub async fn standing_in_reach(
    repository: &mut Repository,
    caller: &Caller,
    place: &Place,
) -> Result<Standing> {
    if !caller.may_reach(place.organization()) {
        return Err(place_not_found(place));
    }
    repository
        .standing(place, &caller.user)
        .await?
        .filter(|standing| place.class().is_none() || standing.class.is_some())
        .ok_or_else(|| place_not_found(place))
}

/// Returns true if the caller may know that the place exists. The platform sees every organization.
#[must_use]
pub fn is_visible(caller: &Caller, place: &Place, standing: &Standing) -> bool {
    let platform_sees = matches!(place, Place::Organization(_)) && caller.has(Scope::Platform);
    platform_sees || standing.is_visible(place)
}

/// Returns `ROLE_REQUIRED`, with the role that the caller has, if any.
#[must_use]
pub fn role_required(place: &Place, standing: &Standing) -> Error {
    let error = Error::new(
        ErrorReason::RoleRequired,
        "Ask an administrator of the organization or the owner of the class: your role does not allow this.",
    )
    .metadata("resource", place.to_string());
    match standing.role() {
        Some(role) => error.metadata("role", role.as_str()),
        None => error,
    }
}

/// Authorizes the readers of the feed (R11).
#[async_trait]
impl Authorize for App {
    async fn authorize(&self, caller: &Caller, place: &Place) -> Result<()> {
        let rule = &rules::LIST_EVENTS;
        let mut repository = self.store.read().await?;
        authorize(&mut repository, caller, place, rule, None).await?;
        Ok(())
    }
}
