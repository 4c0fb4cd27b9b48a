//! Fences: below which epoch an invitation's redemptions are stale (03 P7).

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Result;

/// The fences of invitations, by the invitation's resource name. An invitation without one stands at 0.
#[async_trait]
pub trait Fences: Send {
    /// Reads the fences that there are, without a lock.
    async fn fences(&mut self, invitations: &BTreeSet<String>) -> Result<BTreeMap<String, i64>>;

    /// Locks the fences against raising until the transaction ends, in the order of their names, and
    /// makes those that are missing. The first locks that a transaction takes (03 P6).
    async fn share_fences(
        &mut self,
        invitations: &BTreeSet<String>,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<String, i64>>;

    /// Raises a fence to `epoch`, never lowers it; waits for every transaction that shares it. Gives where it stands.
    async fn raise_fence(
        &mut self,
        invitation: &str,
        epoch: i64,
        now: DateTime<Utc>,
    ) -> Result<i64>;
}
