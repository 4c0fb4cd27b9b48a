//! Events and request ids: the kit's tables, as parts of a session.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_kit::{
    outbox::NewEvent,
    random::Randomness,
    request_ids::{BodyMac, Claim, RequestKey},
};

use super::Result;

/// The feed of this service (R11).
#[async_trait]
pub trait Events: Send {
    /// Has events written with the commit, in the order given. The organization is locked by this session.
    async fn append_events(
        &mut self,
        events: &[NewEvent],
        now: DateTime<Utc>,
        random: &dyn Randomness,
    ) -> Result<()>;
}

/// Request ids of everything but redemptions (AIP-155).
#[async_trait]
pub trait RequestIds: Send {
    /// Looks a request id up, without claiming it.
    async fn find_request(
        &mut self,
        key: &RequestKey,
        body: &BodyMac,
        now: DateTime<Utc>,
    ) -> Result<Claim>;

    /// Claims a request id in the transaction of the change; waits for another one that holds it.
    async fn claim_request(
        &mut self,
        key: &RequestKey,
        body: &BodyMac,
        now: DateTime<Utc>,
    ) -> Result<Claim>;

    /// Stores the response, in the transaction that claimed the id. It holds no secret.
    async fn complete_request(&mut self, key: &RequestKey, response: &[u8]) -> Result<()>;

    /// Deletes rows made before a time, at most `limit`. Gives how many.
    async fn prune_requests(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64>;
}
