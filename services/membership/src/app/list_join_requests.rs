//! `ListJoinRequests`: staff see a place's whole queue, anyone else their own requests.

use homeroom_api::names::Place;
use homeroom_kit::{
    Result,
    auth::Caller,
    paging::{Page, PageRequest},
    rpc::place_not_found,
};

use super::{
    App,
    access::{is_visible, standing_in_reach},
    rules,
};
use crate::{domain::join_request::JoinRequest, store::Shown};

impl App {
    /// Returns a page of the place's requests, newest first.
    ///
    /// A caller who may not see the place and has no request there is told that it does not exist.
    pub async fn list_join_requests(
        &self,
        caller: &Caller,
        place: Place,
        mut shown: Shown,
        page: &PageRequest,
    ) -> Result<Page<JoinRequest>> {
        let (now, place) = (self.clock.now(), &place);
        let after = page.cursor_as(0)?;
        let mut repository = self.store.read().await?;
        let standing = standing_in_reach(&mut repository, caller, place).await?;
        if !rules::LIST_JOIN_REQUESTS.is_met_by_role(&standing) {
            let own = Shown {
                user: Some(caller.user.clone()),
                ..Shown::default()
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
