//! The invitations that callers name.

use homeroom_api::{
    common::v1::ErrorReason,
    names::{InvitationKind, InvitationName, Place},
};
use homeroom_kit::{
    Error, Result,
    paging::{Page, PageRequest},
    rpc::check_etag,
};

use super::{App, write::Work};
use crate::{
    domain::invitation::InvitationFilter,
    store::{InvitationRow, Repository},
};

/// Returns the invitation of that name, even if it is revoked.
pub(crate) async fn find(
    repository: &mut Repository,
    name: &InvitationName,
) -> Result<InvitationRow> {
    let found = repository
        .get_invitation(name.id.unwrap_or_default())
        .await?;
    found
        .filter(|row| row.invitation.name() == *name && row.delete_time.is_none())
        .ok_or_else(|| not_found(name))
}

/// Returns `TOKEN_NOT_FOUND` or `CODE_NOT_FOUND`.
pub(crate) fn not_found(name: &InvitationName) -> Error {
    let (reason, kind, message) = match name.kind {
        InvitationKind::ClassToken => (
            ErrorReason::TokenNotFound,
            "homeroom/Token",
            "There is no such token that you may see; check its name.",
        ),
        _ => (
            ErrorReason::CodeNotFound,
            "homeroom/EnrollmentCode",
            "There is no such enrollment code that you may see; check its name.",
        ),
    };
    Error::new(reason, message).resource(kind, name.to_string())
}

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
            .list_invitations(place, kind, filter, page.cursor_as()?, page.limit())
            .await?;
        Ok(page.cut(rows, |row| row.invitation.id.to_string()))
    }
}

impl Work {
    /// Returns the invitation of that name if the etag matches; a singleton is made if it is missing. The organization
    /// is locked.
    pub(crate) async fn load(
        &mut self,
        name: &InvitationName,
        etag: &str,
    ) -> Result<InvitationRow> {
        let row = match name.id {
            Some(_) => find(&mut self.repository, name).await?,
            None => self.find_or_make(name.kind).await?,
        };
        check_etag(etag, row.revision)?;
        Ok(row)
    }
}
