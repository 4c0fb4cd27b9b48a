//! Lists, newest first: of invitations, and of what is only looked at, audit entries and refused attempts:
//! of a parent or of every organization, filtered.

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

/// What a list request asks for: the size of its page, its page token and its filter.
pub(super) type Asked<'asked> = (i32, &'asked str, &'asked str);

/// How rows of one log are listed.
pub(super) struct Log<Filter, Row> {
    pub(super) rule: Rule,
    /// What the filter may name.
    pub(super) fields: &'static [(&'static str, FieldKind)],
    /// All of a parent.
    pub(super) all_of: fn(Option<&Place>) -> Filter,
    /// Narrows to what meets a condition; false where nothing can.
    pub(super) narrow: fn(&mut Filter, &Condition) -> bool,
    pub(super) read: ReadLog<Filter, Row>,
    pub(super) id: fn(&Row) -> Uuid,
}

/// Reads at most so many rows that the filter takes, newest first, from below an id on.
type ReadLog<Filter, Row> = for<'read> fn(
    &'read mut dyn Repository,
    &'read Filter,
    Option<Uuid>,
    u32,
) -> BoxFuture<'read, store::Result<Vec<Row>>>;

impl App {
    /// A page of a log, of a parent or with None of every organization. `INVALID_FILTER`,
    /// `INVALID_PAGE_TOKEN`; then as [`App::authorize_list`].
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

    /// A page of the invitations of a place.
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
