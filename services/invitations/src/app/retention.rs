//! How long what is only looked at is kept, and its end.

use chrono::TimeDelta;
use homeroom_kit::{Result, request_ids::forgotten_before};

use super::App;

/// How long refused attempts are kept, in days.
pub const REFUSED_ATTEMPT_DAYS: i64 = 90;
/// How long audit entries are kept, in days: a school year and more (R12).
pub const AUDIT_ENTRY_DAYS: i64 = 400;
/// Rows of each kind that one run deletes at most.
pub const RETENTION_BATCH: u32 = 1_000;
/// How long after a redemption is settled a request id that met it may be noted, at most.
const REQUEST_ID_NOTED_AFTER_MAX: TimeDelta = TimeDelta::hours(1);
/// Request ids that one run forgets at most, and redemptions.
pub const PRUNE_BATCH: u32 = 1_000;

impl App {
    /// Forgets request ids older than 24 hours (R3), and then the redemptions of who was a member already; a part
    /// of them. Returns how many.
    pub async fn prune_request_ids_once(&self) -> Result<u64> {
        let before = forgotten_before(self.clock.now());
        let mut repository = self.store.write().await?;
        let pruned = repository
            .prune_redemption_requests(before, PRUNE_BATCH)
            .await?
            + repository
                .request_ids()
                .prune_request_ids(before, PRUNE_BATCH)
                .await?
            + repository
                .prune_redemptions(before - REQUEST_ID_NOTED_AFTER_MAX, PRUNE_BATCH)
                .await?;
        repository.commit("forget_requests").await?;
        Ok(pruned)
    }

    /// Deletes refused attempts and audit entries that have been kept long enough, a part of them.
    /// Gives how many.
    pub async fn prune_logs_once(&self) -> Result<u64> {
        let now = self.clock.now();
        let mut repository = self.store.write().await?;
        let attempts = repository
            .prune_refused_attempts(now - TimeDelta::days(REFUSED_ATTEMPT_DAYS), RETENTION_BATCH)
            .await?;
        let entries = repository
            .prune_audit_entries(now - TimeDelta::days(AUDIT_ENTRY_DAYS), RETENTION_BATCH)
            .await?;
        repository.commit("forget_logs").await?;
        Ok(attempts + entries)
    }
}
