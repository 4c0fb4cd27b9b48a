//! The retention of logs and request ids.

use chrono::TimeDelta;
use homeroom_kit::{Result, request_ids::forgotten_before};

use super::App;

/// The number of days for which refused attempts are kept.
pub const REFUSED_ATTEMPT_DAYS: i64 = 90;
/// The number of days for which audit entries are kept: more than a school year (R12).
pub const AUDIT_ENTRY_DAYS: i64 = 400;
/// The maximum number of rows of each kind that one run deletes.
pub const RETENTION_BATCH: u32 = 1_000;
/// The maximum time after a redemption is settled in which a request id that met it may be recorded.
const REQUEST_ID_NOTED_AFTER_MAX: TimeDelta = TimeDelta::hours(1);
/// The maximum number of request ids, and of redemptions, that one run forgets.
pub const PRUNE_BATCH: u32 = 1_000;

impl App {
    /// Forgets request ids older than 24 hours (R3), and then the redemptions of people who were members already, in
    /// limited numbers. Returns the number deleted.
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

    /// Deletes refused attempts and audit entries past their retention, in limited numbers. Returns the number deleted.
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
