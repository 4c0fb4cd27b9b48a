//! What is kept of a person in every organization, to be listed. The memberships have their own list.

use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::Place};
use homeroom_kit::{
    args,
    store::columns::{self, class_id},
};
use serde::Deserialize;
use uuid::Uuid;

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
    JOIN_REQUESTS = join_requests::select() + "join_requests WHERE user_id = $1 AND request_id > $2 \
        ORDER BY request_id LIMIT $3";

    REMOVALS = "SELECT organization_id, class_id, remove_time FROM removals \
        WHERE user_id = $1 AND (organization_id, class_id) > ($2, $3) ORDER BY organization_id, class_id LIMIT $4";
}

impl Repository {
    /// Returns the user's join requests in every state, in the order of their ids, after `after`.
    pub async fn join_requests_of(
        &mut self,
        user: &UserId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>> {
        self.0.all(&JOIN_REQUESTS, args![user, after, limit]).await
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
