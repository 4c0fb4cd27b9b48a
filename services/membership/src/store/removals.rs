//! The table of removals by staff (R8).

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::Place};

use super::Result;

/// The table `removals`.
#[async_trait]
pub trait RemovalRows: Send {
    /// Records that staff removed the user from the place at `time`; a later removal replaces an earlier one.
    async fn record_removal(
        &mut self,
        place: &Place,
        user: &UserId,
        time: DateTime<Utc>,
    ) -> Result<()>;
    /// Forgets every removal of a deleted place, and for an organization those of its classes.
    async fn forget_removals(&mut self, place: &Place) -> Result<()>;
}
