//! What is kept of a person in every organization, to be listed. The memberships have their own list.

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::UserId,
    names::{JoinRequestName, Place},
};
use homeroom_kit::{
    args,
    store::columns::{self, class_id},
};
use serde::Deserialize;

use super::{Repository, Result, join_requests};
use crate::domain::join_request::JoinRequest;

/// A removal of a person by staff (R8).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Removal {
    /// The place.
    #[serde(flatten, with = "columns::place")]
    pub place: Place,
    /// The time.
    #[serde(with = "columns::time")]
    pub remove_time: DateTime<Utc>,
}

homeroom_kit::statements! {
    /// By the index of each organization's requests of a user.
    JOIN_REQUESTS = join_requests::select() + "organizations JOIN join_requests \
        ON join_requests.organization_id = organizations.organization_id AND join_requests.user_id = $1 \
        WHERE (join_requests.organization_id, class_id, request_id) > ($2, $3, $4) \
        ORDER BY join_requests.organization_id, class_id, request_id LIMIT $5";

    REMOVALS = "SELECT organization_id, class_id, remove_time FROM removals \
        WHERE user_id = $1 AND (organization_id, class_id) > ($2, $3) ORDER BY organization_id, class_id LIMIT $4";
}

impl Repository {
    /// Returns the user's join requests in every state, in the order of their names, after `after`.
    pub async fn join_requests_of(
        &mut self,
        user: &UserId,
        after: Option<&JoinRequestName>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>> {
        let place = after.map(|name| &name.place);
        let id = after.map(|name| name.id.to_string());
        let bound = args![
            user,
            place.map(Place::organization),
            place.map(class_id),
            id.as_deref(),
            limit
        ];
        self.0.all(&JOIN_REQUESTS, bound).await
    }

    /// Returns the removals of the user, in the order of the places' ids, after `after`.
    pub async fn removals_of(
        &mut self,
        user: &UserId,
        after: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<Removal>> {
        let organization = after.map(Place::organization);
        let bound = args![user, organization, after.map(class_id), limit];
        self.0.all(&REMOVALS, bound).await
    }
}
