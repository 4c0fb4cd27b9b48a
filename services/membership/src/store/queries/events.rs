//! Events and request ids: the kit's statements on this engine's connection.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_kit::{
    Randomness,
    outbox::{NewEvent, Outbox as _},
    request_ids::{BodyMac, Claim, RequestIds as _, RequestKey},
};

use super::SqlRepository;
use crate::store::{Events, RequestIdRows, Result};

#[async_trait]
impl Events for SqlRepository {
    async fn append_events(
        &mut self,
        events: &[NewEvent],
        now: DateTime<Utc>,
        random: &dyn Randomness,
    ) -> Result<()> {
        self.0.append(events, now, random).await?;
        Ok(())
    }
}

#[async_trait]
impl RequestIdRows for SqlRepository {
    async fn claim_request(
        &mut self,
        key: &RequestKey,
        body: &BodyMac,
        now: DateTime<Utc>,
    ) -> Result<Claim> {
        self.connection().claim(key, body, now).await
    }

    async fn complete_request(&mut self, key: &RequestKey, response: &[u8]) -> Result<()> {
        self.connection().complete(key, response).await
    }

    async fn prune_requests(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        self.connection().prune_request_ids(before, limit).await
    }
}
