//! `ListRedemptions`: lists redemptions newest first, for staff. States may lag by seconds (P10).

use homeroom_api::{
    ids::UserId,
    membership::v1::Permission,
    names::{InvitationName, Place},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::FieldKind,
    paging::{Page, PageRequest},
};

use super::{App, conditions::Conditions};
use crate::{
    domain::redemption::RedemptionState,
    redemption::ledger::{Redemption, RedemptionFilter},
};

const FIELDS: &[(&str, FieldKind)] = &[
    ("invitation", FieldKind::Text),
    ("user", FieldKind::Text),
    ("state", FieldKind::Enum(RedemptionState::NAMES)),
    ("create_time", FieldKind::Time),
];

/// Parses the filter; None if no redemption can meet it. Fails with `INVALID_FILTER`.
pub fn redemption_filter(text: &str) -> Result<Option<Conditions>> {
    Conditions::parse(text, FIELDS)
}

impl App {
    /// Lists the redemptions of an organization with all its classes, or of a class. Fails with `INVALID_PAGE_TOKEN`,
    /// or as [`App::authorize`].
    pub async fn list_redemptions(
        &self,
        caller: &Caller,
        place: Place,
        wanted: Option<Conditions>,
        page: &PageRequest,
    ) -> Result<Page<Redemption>> {
        self.authorize(caller, &place, Permission::ReadInvitations)
            .await?;
        let filter = match wanted {
            Some(wanted) => self.filter_of(place, &wanted).await?,
            None => None,
        };
        let Some(filter) = filter else {
            return Ok(Page::empty());
        };
        let mut repository = self.store.read().await?;
        let rows = repository
            .list_redemptions(&filter, page.cursor_as()?, page.limit())
            .await?;
        Ok(page.cut(rows, |row| row.id.to_string()))
    }

    /// Returns the conditions as the store's filter; None if no row can meet them all. Singletons are looked up.
    async fn filter_of(
        &self,
        place: Place,
        wanted: &Conditions,
    ) -> Result<Option<RedemptionFilter>> {
        let invitation = wanted.value("invitation", InvitationName::parse);
        let user = wanted.value("user", |text| UserId::parse(text).ok());
        let state = wanted.value("state", RedemptionState::from_name);
        let (Ok(invitation), Ok(user), Ok(state)) = (invitation, user, state) else {
            return Ok(None);
        };
        let mut invitation_id = invitation.as_ref().and_then(|name| name.id);
        if let Some(name) = invitation.filter(|name| name.id.is_none()) {
            let mut repository = self.store.read().await?;
            let found = repository.find_singleton(&name.place, name.kind).await?;
            let Some(row) = found else {
                return Ok(None);
            };
            invitation_id = Some(row.invitation.id);
        }
        Ok(Some(RedemptionFilter {
            place,
            invitation_id,
            user,
            state,
            from: wanted.from,
            till: wanted.till,
        }))
    }
}
