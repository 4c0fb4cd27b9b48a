//! Filtered lists, newest first, of a parent or of every organization: of invitations, and of the logs, which are audit
//! entries and refused attempts.

use futures::future::BoxFuture;
use homeroom_api::names::Place;
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::{Condition, FieldKind},
    paging::{Page, PageRequest},
};
use uuid::Uuid;

use super::{App, conditions::conditions, rules::Rule};
use crate::{
    domain::invitation::InvitationKind,
    store::{self, InvitationFilter, InvitationRow, Repository},
};

/// The page size, the page token and the filter of a list request.
pub(super) type Asked<'asked> = (i32, &'asked str, &'asked str);

/// The description of a log's list.
pub(super) struct Log<Filter, Row> {
    pub(super) rule: Rule,
    /// The fields that the filter may name.
    pub(super) fields: &'static [(&'static str, FieldKind)],
    /// Returns the filter for all rows of a parent.
    pub(super) all_of: fn(Option<&Place>) -> Filter,
    /// Narrows the filter by a condition; returns false if no row can meet it.
    pub(super) narrow: fn(&mut Filter, &Condition) -> bool,
    pub(super) read: ReadLog<Filter, Row>,
    pub(super) id: fn(&Row) -> Uuid,
}

/// Reads the rows that match the filter and have an id below the given one, newest first, up to a number.
type ReadLog<Filter, Row> = for<'read> fn(
    &'read mut dyn Repository,
    &'read Filter,
    Option<Uuid>,
    u32,
) -> BoxFuture<'read, store::Result<Vec<Row>>>;

impl App {
    /// Returns a page of a log, of a parent or, with None, of every organization. Fails with `INVALID_FILTER`,
    /// `INVALID_PAGE_TOKEN`, or as [`App::authorize_list`].
    pub(super) async fn list_log<Filter, Row>(
        &self,
        log: &Log<Filter, Row>,
        caller: &Caller,
        parent: Option<&Place>,
        (page_size, page_token, filter): Asked<'_>,
    ) -> Result<Page<Row>> {
        let of = parent.map(Place::to_string).unwrap_or_default();
        let list = format!("{} {of} {filter}", log.rule.method);
        let page = self.paging.parse(page_size, page_token, list)?;
        let before = page.cursor_as(0)?;
        let conditions = conditions(filter, log.fields)?;
        self.authorize_list(caller, parent, log.rule).await?;
        let mut wanted = (log.all_of)(parent);
        if !conditions.iter().all(|one| (log.narrow)(&mut wanted, one)) {
            return Ok(Page::empty());
        }
        let mut repository = self.store.read().await?;
        let rows = (log.read)(repository.as_mut(), &wanted, before, page.limit()).await?;
        Ok(page.cut(rows, |row| (log.id)(row).to_string()))
    }

    /// Returns a page of the invitations of a place.
    pub(super) async fn list_rows(
        &self,
        place: &Place,
        kind: InvitationKind,
        filter: &InvitationFilter,
        page: &PageRequest,
    ) -> Result<Page<InvitationRow>> {
        let rows = self
            .store
            .read()
            .await?
            .list_invitations(place, kind, filter, page.cursor_as(0)?, page.limit())
            .await?;
        Ok(page.cut(rows, |row| row.invitation.id.to_string()))
    }
}
