//! Pages of lists of invitations.

use homeroom_api::names::Place;
use homeroom_kit::{Error, Result, paging::PageRequest};
use uuid::Uuid;

use super::App;
use crate::{
    domain::invitation::InvitationKind,
    store::{InvitationFilter, InvitationRow},
};

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// The id after which the next page begins; None at the end.
    pub next: Option<Uuid>,
}

impl App {
    /// A page of rows of which one more than `size` was read, and the token of the next page; empty
    /// at the end.
    pub(super) fn cut<T>(
        &self,
        mut rows: Vec<T>,
        size: u32,
        list: &str,
        id: impl Fn(&T) -> Uuid,
    ) -> (Vec<T>, String) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|last| self.paging.token(list, &[id(last).to_string()]))
            .unwrap_or_default();
        (rows, next)
    }

    /// A page of rows.
    pub(crate) async fn list_rows(
        &self,
        place: &Place,
        kind: InvitationKind,
        filter: &InvitationFilter,
        page: &PageRequest,
    ) -> Result<Page<InvitationRow>> {
        let before = match page.cursor.as_deref() {
            None => None,
            Some(cursor) => Some(
                cursor
                    .first()
                    .and_then(|id| Uuid::try_parse(id).ok())
                    .ok_or_else(|| Error::internal("an authentic page token holds no id"))?,
            ),
        };
        // One more tells whether there is another page.
        let mut items = self
            .store
            .read()
            .await?
            .list_invitations(place, kind, filter, before, page.size.saturating_add(1))
            .await?;
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(|row| row.invitation.id);
        Ok(Page { items, next })
    }
}
