//! `ListRedemptions`: lists redemptions newest first, for staff. States may lag by seconds (P10).

use homeroom_api::{
    ids::UserId,
    names::{InvitationName, Place},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::{Condition, FieldKind},
    paging::{Page, PageRequest},
};
use uuid::Uuid;

use super::{
    App,
    conditions::{bound, conditions, only},
    rules,
};
use crate::{
    domain::redemption::RedemptionState,
    redemption::ledger::{Redemption, RedemptionFilter},
};

const STATES: &[&str] = &["RESERVED", "COMMITTED", "QUEUED", "RELEASED", "REFUSED"];

const FIELDS: &[(&str, FieldKind)] = &[
    ("invitation", FieldKind::Text),
    ("user", FieldKind::Text),
    ("state", FieldKind::Enum(STATES)),
    ("create_time", FieldKind::Time),
];

/// Parses the filter. Fails with `INVALID_FILTER`.
pub fn redemption_filter(text: &str) -> Result<Vec<Condition>> {
    conditions(text, FIELDS)
}

impl App {
    /// Lists the redemptions of an organization with all its classes, or of a class. Fails with `INVALID_PAGE_TOKEN`,
    /// or as [`App::authorize`].
    pub async fn list_redemptions(
        &self,
        caller: &Caller,
        place: Place,
        conditions: Vec<Condition>,
        page: &PageRequest,
    ) -> Result<Page<Redemption>> {
        self.authorize(caller, &place, rules::LIST_REDEMPTIONS)
            .await?;
        let Some(filter) = self.filter_of(place, &conditions).await? else {
            return Ok(Page::empty());
        };
        let mut repository = self.store.read().await?;
        let rows = repository
            .list_redemptions(&filter, page.cursor_as(0)?, page.limit())
            .await?;
        Ok(page.cut(rows, |row| row.id.to_string()))
    }

    /// Returns the conditions as the store's filter; None if no row can meet them all.
    async fn filter_of(
        &self,
        place: Place,
        conditions: &[Condition],
    ) -> Result<Option<RedemptionFilter>> {
        let mut filter = RedemptionFilter {
            place,
            invitation_id: None,
            user: None,
            state: None,
            from: None,
            till: None,
        };
        for condition in conditions {
            let text = condition.value.text();
            let possible = match condition.field.as_str() {
                "invitation" => match self.invitation_id(text).await? {
                    Some(id) => only(&mut filter.invitation_id, id),
                    None => false,
                },
                "user" => UserId::parse(text).is_ok_and(|user| only(&mut filter.user, user)),
                "state" => RedemptionState::from_name(text)
                    .is_some_and(|state| only(&mut filter.state, state)),
                _ => bound(&mut filter.from, &mut filter.till, condition),
            };
            if !possible {
                return Ok(None);
            }
        }
        Ok(Some(filter))
    }

    /// Returns the id of the invitation with this resource name; singletons are looked up.
    async fn invitation_id(&self, name: &str) -> Result<Option<Uuid>> {
        let Some(name) = InvitationName::parse(name) else {
            return Ok(None);
        };
        if name.id.is_some() {
            return Ok(name.id);
        }
        let mut repository = self.store.read().await?;
        let found = repository.find_singleton(&name.place, name.kind).await?;
        Ok(found.map(|row| row.invitation.id))
    }
}
