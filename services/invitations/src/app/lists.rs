//! Lists of invitations.

use homeroom_api::names::{InvitationKind, Place};
use homeroom_kit::{
    Result,
    paging::{Page, PageRequest},
};

use super::App;
use crate::store::{InvitationFilter, InvitationRow};

impl App {
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
