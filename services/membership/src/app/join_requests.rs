//! Reads of join requests, and their visibility.

use homeroom_api::{
    common::v1::ErrorReason,
    names::{JoinRequestName, Place},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    paging::{Page, PageRequest},
    rpc::place_not_found,
};

use super::{
    App,
    access::{is_met_by_role, is_visible, role_required, standing_in_reach},
    rules::{self, Rule},
};
use crate::{
    domain::join_request::{JoinRequest, JoinRequestFilter},
    store::Repository,
};

impl App {
    /// Returns the request as it is now, to the person who asked to join and to the staff who decide.
    pub async fn get_join_request(
        &self,
        caller: &Caller,
        name: JoinRequestName,
    ) -> Result<JoinRequest> {
        let mut repository = self.store.read().await?;
        let rule = &rules::GET_JOIN_REQUEST;
        let request = find_join_request(&mut repository, caller, &name, rule).await?;
        Ok(request.as_of(self.clock.now()))
    }

    /// Returns a page of the place's requests, newest first.
    ///
    /// A caller who may not see the place and has no request there is told that it does not exist.
    pub async fn list_join_requests(
        &self,
        caller: &Caller,
        place: Place,
        mut shown: JoinRequestFilter,
        page: &PageRequest,
    ) -> Result<Page<JoinRequest>> {
        let (now, place) = (self.clock.now(), &place);
        let after = page.cursor_as()?;
        let mut repository = self.store.read().await?;
        let standing = standing_in_reach(&mut repository, caller, place).await?;
        if !is_met_by_role(&rules::LIST_JOIN_REQUESTS, &standing) {
            let own = JoinRequestFilter {
                user: Some(caller.user.clone()),
                ..JoinRequestFilter::default()
            };
            let visible = is_visible(caller, place, &standing)
                || !repository
                    .list_join_requests(place, &own, None, 1, now)
                    .await?
                    .is_empty();
            if !visible {
                return Err(place_not_found(place));
            }
            if shown.user.as_ref().is_some_and(|user| *user != caller.user) {
                return Ok(Page::empty());
            }
            shown.user = own.user;
        }
        let found = repository
            .list_join_requests(place, &shown, after, page.limit(), now)
            .await?;
        let page = page.cut(found, |request| request.id.to_string());
        Ok(page.map(|request| request.as_of(now)))
    }
}

/// Returns the stored request if the rule allows the call.
///
/// Roles are checked before existence, so that nobody learns of a request by asking: a caller who may see the place or
/// whose own request it is gets `ROLE_REQUIRED`, everybody else `JOIN_REQUEST_NOT_FOUND`.
pub(crate) async fn find_join_request(
    repository: &mut Repository,
    caller: &Caller,
    name: &JoinRequestName,
    rule: &Rule,
) -> Result<JoinRequest> {
    if !caller.may_reach(name.place.organization()) {
        return Err(join_request_not_found(name));
    }
    let standing = repository.standing(&name.place, &caller.user).await?;
    let request = repository
        .join_requests(std::slice::from_ref(name))
        .await?
        .pop();
    let own = request
        .as_ref()
        .is_some_and(|request| request.user == caller.user);
    let Some(standing) = standing else {
        return Err(join_request_not_found(name));
    };
    if is_met_by_role(rule, &standing) || (rule.own && own) {
        return request.ok_or_else(|| join_request_not_found(name));
    }
    if own || is_visible(caller, &name.place, &standing) {
        return Err(role_required(&name.place, &standing));
    }
    Err(join_request_not_found(name))
}

/// An absent request and a hidden one get the same answer.
pub(crate) fn join_request_not_found(name: &JoinRequestName) -> Error {
    Error::new(
        ErrorReason::JoinRequestNotFound,
        "Check the join request's name: there is none of that name that you may see.",
    )
    .resource("homeroom/JoinRequest", name.to_string())
}
