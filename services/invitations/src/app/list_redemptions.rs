//! `ListRedemptions`: lists redemptions newest first, for staff. States may lag by seconds (P10).

use homeroom_api::{
    ids::UserId,
    names::{ClassCodeName, EnrollmentCodeName, InviteTokenName, JoinUrlName, Place, TokenName},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::{Condition, FieldKind},
    paging::Page,
};
use uuid::Uuid;

use super::{
    App,
    conditions::{bound, conditions, only},
    lists::Asked,
    rules,
};
use crate::{
    domain::{invitation::InvitationKind, redemption::RedemptionState},
    redemption::ledger::{Redemption, RedemptionFilter},
};

const STATES: &[&str] = &["RESERVED", "COMMITTED", "QUEUED", "RELEASED", "REFUSED"];

const FIELDS: &[(&str, FieldKind)] = &[
    ("invitation", FieldKind::Text),
    ("user", FieldKind::Text),
    ("state", FieldKind::Enum(STATES)),
    ("create_time", FieldKind::Time),
];

impl App {
    /// Lists the redemptions of an organization with all its classes, or of a class. Fails with `INVALID_FILTER`,
    /// `INVALID_PAGE_TOKEN`, or as [`App::authorize`].
    pub async fn list_redemptions(
        &self,
        caller: &Caller,
        place: &Place,
        (page_size, page_token, filter): Asked<'_>,
    ) -> Result<Page<Redemption>> {
        let list = format!("ListRedemptions {place} {filter}");
        let page = self.paging.parse(page_size, page_token, list)?;
        let before = page.cursor_as(0)?;
        let conditions = conditions(filter, FIELDS)?;
        self.authorize(caller, place, rules::LIST_REDEMPTIONS)
            .await?;
        let Some(filter) = self.filter_of(place, &conditions).await? else {
            return Ok(Page::empty());
        };
        let rows = self
            .store
            .read()
            .await?
            .list_redemptions(&filter, before, page.limit())
            .await?;
        Ok(page.cut(rows, |row| row.id.to_string()))
    }

    /// Returns the conditions as the store's filter; None if no row can meet them all.
    async fn filter_of(
        &self,
        place: &Place,
        conditions: &[Condition],
    ) -> Result<Option<RedemptionFilter>> {
        let mut filter = RedemptionFilter {
            place: place.clone(),
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
        let by_id = TokenName::parse(name)
            .map(|name| name.id)
            .or_else(|_| EnrollmentCodeName::parse(name).map(|name| name.id));
        if let Ok(id) = by_id {
            return Ok(Some(id));
        }
        let singleton = if let Ok(name) = ClassCodeName::parse(name) {
            (Place::Class(name.0), InvitationKind::ClassCode)
        } else if let Ok(name) = JoinUrlName::parse(name) {
            (Place::Class(name.0), InvitationKind::JoinUrl)
        } else if let Ok(name) = InviteTokenName::parse(name) {
            (
                Place::Organization(name.0),
                InvitationKind::OrganizationToken,
            )
        } else {
            return Ok(None);
        };
        let (place, kind) = singleton;
        let found = self
            .store
            .read()
            .await?
            .find_singleton(&place, kind)
            .await?;
        Ok(found.map(|row| row.invitation.id))
    }
}
