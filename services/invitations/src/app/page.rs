//! Pages of lists, newest first: each begins below the id of the last row of the one before.

use homeroom_api::names::Place;
use homeroom_kit::Result;
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
    /// The token of the next page; empty at the end.
    pub next_page_token: String,
}

impl<T> Page<T> {
    /// Of a list of nothing.
    pub(super) const fn empty() -> Self {
        Self {
            items: Vec::new(),
            next_page_token: String::new(),
        }
    }
}

/// Which page of which list is asked for.
#[derive(Debug, Clone)]
pub struct PageAsked {
    list: String,
    size: u32,
    /// The last row of the page before; None on the first.
    pub(super) before: Option<Uuid>,
}

impl PageAsked {
    /// How many rows to read: one more tells whether there is another page.
    pub(super) const fn limit(&self) -> u32 {
        self.size.saturating_add(1)
    }
}

impl App {
    /// The page that is asked for of a list, which `list` tells from every other. `INVALID_PAGE_TOKEN`,
    /// for an authentic token too whose cursor is none of this version's.
    pub fn page_asked(&self, list: String, page_size: i32, page_token: &str) -> Result<PageAsked> {
        let page = self.paging.parse(page_size, page_token, &list)?;
        Ok(PageAsked {
            before: page.cursor_as(0)?,
            size: page.size,
            list,
        })
    }

    /// The page of the rows that were read, at most [`PageAsked::limit`].
    pub(super) fn cut<T>(
        &self,
        asked: &PageAsked,
        mut rows: Vec<T>,
        id: impl Fn(&T) -> Uuid,
    ) -> Page<T> {
        let size = usize::try_from(asked.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let next_page_token = rows
            .last()
            .filter(|_| more)
            .map(|last| self.paging.token(&asked.list, &[id(last).to_string()]))
            .unwrap_or_default();
        Page {
            items: rows,
            next_page_token,
        }
    }

    /// A page of invitations.
    pub(super) async fn list_rows(
        &self,
        place: &Place,
        kind: InvitationKind,
        filter: &InvitationFilter,
        asked: &PageAsked,
    ) -> Result<Page<InvitationRow>> {
        let rows = self
            .store
            .read()
            .await?
            .list_invitations(place, kind, filter, asked.before, asked.limit())
            .await?;
        Ok(self.cut(asked, rows, |row| row.invitation.id))
    }
}
