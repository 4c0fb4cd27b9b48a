//! The approval queue in the database.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::{ClassName, JoinRequestName, Place},
};
use homeroom_kit::{
    args,
    store::{Table, columns::class_id, json_ids, json_rows},
};
use serde_json::json;
use uuid::Uuid;

use super::{Repository, Result, one_of};
use crate::domain::join_request::{Cause, JoinRequest, JoinRequestFilter};

/// The waiting requests that end together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// All requests of a class that is archived or deleted.
    InClass(ClassName),
    /// All requests of an organization that is deleted, and of its classes.
    InOrganization(OrganizationId),
    /// The requests of these persons at a class or at an organization itself: they have been removed from it.
    Of(Place, Vec<UserId>),
    /// The requests of these persons in an organization that they have left, and in all its classes (R7).
    OfPersonsIn(OrganizationId, Vec<UserId>),
}

pub(super) const JOIN_REQUESTS: Table = Table {
    texts: &[
        "organization_id",
        "class_id",
        "request_id",
        "user_id",
        "display_name",
        "email",
        "external_id",
        "state",
        "cause",
        "invitation",
        "redemption",
        "method",
        "decide_note",
        "decided_by",
    ],
    numbers: &["create_time", "decide_time", "expire_time"],
    ..Table::new("join_requests")
};

/// Returns the selection of requests, before the tables.
pub(super) fn select() -> String {
    format!("SELECT {} FROM ", JOIN_REQUESTS.of("join_requests"))
}

/// Returns the selection of a page of a list: `$3` is the id before it, `$4` the cause or an empty text.
fn list(conditions: &str) -> String {
    format!(
        "{}join_requests WHERE organization_id = $1 AND class_id = $2 \
         AND request_id < $3 AND ($4 = '' OR cause = $4) {conditions} ORDER BY request_id DESC LIMIT $5",
        select()
    )
}

/// An id greater than every other, in the order of both engines.
const BEFORE_THE_FIRST: &str = "g";

fn close(conditions: &str) -> String {
    format!(
        "UPDATE join_requests SET \
         state = CASE WHEN expire_time > $1 THEN 'CLOSED' ELSE 'EXPIRED' END, \
         decided_by = 'system', \
         decide_time = CASE WHEN expire_time > $1 THEN $1 ELSE expire_time END \
         WHERE state = 'PENDING' AND organization_id = $2 \
         AND (organization_id, class_id, request_id) IN ( \
         SELECT organization_id, class_id, request_id FROM join_requests \
         WHERE state = 'PENDING' AND organization_id = $2 {conditions} LIMIT $3) RETURNING {}",
        JOIN_REQUESTS.of("join_requests")
    )
}

homeroom_kit::statements! {
    READ(on) = format!(
        "{}{} JOIN join_requests ON join_requests.organization_id = wanted.value->>'o' \
         AND join_requests.class_id = wanted.value->>'c' AND join_requests.request_id = wanted.value->>'r'",
        select(),
        on.rows("$1", "wanted")
    );
    // Expired requests count as not PENDING, even before the sweep.
    LIST = list("");
    LIST_STATE = list("AND state = $6 AND (state <> 'PENDING' OR expire_time > $7)");
    LIST_USER = list("AND user_id = $6");
    LIST_USER_STATE = list("AND user_id = $6 AND state = $7 AND (state <> 'PENDING' OR expire_time > $8)");
    CLOSE_CLASS = close("AND class_id = $4");
    CLOSE_ORGANIZATION = close("");
    CLOSE_USERS_AT(on) = close(&format!("AND class_id = $4 AND {}", one_of(on, "user_id", "$5")));
    CLOSE_USERS_IN(on) = close(&format!("AND {}", one_of(on, "user_id", "$4")));
    LAPSED_ORGANIZATIONS(on) = format!(
        "SELECT DISTINCT organization_id FROM \
         (SELECT organization_id FROM join_requests WHERE state = 'PENDING' AND expire_time <= $2 \
         AND organization_id NOT IN (SELECT passed.value->>'id' FROM {}) \
         ORDER BY expire_time LIMIT $3) AS lapsed ORDER BY organization_id",
        on.rows("$1", "passed")
    );
    LAPSED = select() + "join_requests WHERE state = 'PENDING' AND expire_time <= $1 \
        AND organization_id = $2 ORDER BY expire_time LIMIT $3";
    FORGET_PERSONS(on) = format!(
        "UPDATE join_requests SET display_name = '', email = '', external_id = '', decide_note = '' \
         WHERE (organization_id, class_id, request_id) IN ( \
         SELECT organization_id, class_id, request_id FROM join_requests WHERE decide_time < $1 \
         AND (display_name <> '' OR email <> '' OR external_id <> '' OR decide_note <> '') \
         ORDER BY decide_time LIMIT $2{})",
        on.skip_locked()
    );
}

/// Reads join requests. [`Repository::save`] writes them.
impl Repository {
    /// Reads those of the requests that exist, in no order.
    pub async fn join_requests(&mut self, names: &[JoinRequestName]) -> Result<Vec<JoinRequest>> {
        let wanted = names.iter().map(|name| {
            json!({
                "o": name.place.organization().as_str(),
                "c": class_id(&name.place),
                "r": name.id,
            })
        });
        self.0.all(&READ, args![json_rows(wanted)]).await
    }

    /// Returns a page of a place's requests, newest first, after the one with the id `after`.
    pub async fn list_join_requests(
        &mut self,
        place: &Place,
        shown: &JoinRequestFilter,
        after: Option<Uuid>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<JoinRequest>> {
        let list = match (&shown.user, shown.state) {
            (None, None) => &LIST,
            (None, Some(_)) => &LIST_STATE,
            (Some(_), None) => &LIST_USER,
            (Some(_), Some(_)) => &LIST_USER_STATE,
        };
        let after = after.map_or_else(|| BEFORE_THE_FIRST.to_owned(), |id| id.to_string());
        let cause = shown.cause.map(Cause::as_str);
        let mut bound = args![place.organization(), class_id(place), after, cause, limit];
        bound.extend(shown.user.iter().map(Into::into));
        if let Some(state) = shown.state {
            bound.extend(args![state.as_str(), now]);
        }
        self.0.all(list, bound).await
    }

    /// Closes up to `limit` waiting requests, in no order, and returns them in their new state: CLOSED, or EXPIRED if
    /// their time was over. Must be called under the organization's lock; the caller writes the seat row's `waiting`
    /// and the events.
    pub async fn close_open_requests(
        &mut self,
        which: &Waiting,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>> {
        let (close, organization, more) = match which {
            Waiting::InClass(name) => (&CLOSE_CLASS, &name.organization, args![&name.class]),
            Waiting::InOrganization(organization) => (&CLOSE_ORGANIZATION, organization, vec![]),
            Waiting::Of(place, users) => (
                &CLOSE_USERS_AT,
                place.organization(),
                args![class_id(place), json_ids(users)],
            ),
            Waiting::OfPersonsIn(organization, users) => {
                (&CLOSE_USERS_IN, organization, args![json_ids(users)])
            }
        };
        let mut bound = args![now, organization, limit];
        bound.extend(more);
        self.0.all(close, bound).await
    }

    /// Returns up to `limit` organizations with waiting requests that expired by `now`, except those passed over.
    pub async fn organizations_with_lapsed_requests(
        &mut self,
        now: DateTime<Utc>,
        passed_over: &BTreeSet<OrganizationId>,
        limit: u32,
    ) -> Result<Vec<OrganizationId>> {
        let bound = args![json_ids(passed_over), now, limit];
        self.0.ids(&LAPSED_ORGANIZATIONS, bound).await
    }

    /// Returns up to `limit` waiting requests of an organization that expired by `now`, the oldest first.
    pub async fn lapsed_requests(
        &mut self,
        organization: &OrganizationId,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>> {
        self.0.all(&LAPSED, args![now, organization, limit]).await
    }

    /// Deletes the name, address and external id of the person, and the note, in up to `limit` requests that ended before
    /// a time, the oldest first, except those that another transaction has locked. Returns their number.
    pub async fn forget_persons(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        self.0.run(&FORGET_PERSONS, args![before, limit]).await
    }
}
