//! Events and request ids: the kit's statements on this engine's connection.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_kit::{
    Randomness,
    outbox::{self, NewEvent},
    request_ids::{self, BodyMac, Claim, RequestKey},
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
        outbox::append(self.connection(), events, now, random).await?;
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
        request_ids::claim(self.connection(), key, body, now).await
    }

    async fn complete_request(&mut self, key: &RequestKey, response: &[u8]) -> Result<()> {
        request_ids::complete(self.connection(), key, response).await
    }

    async fn prune_requests(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        request_ids::prune(self.connection(), before, limit).await
    }
}
