//! How long what is only looked at is kept, and its end.

use chrono::TimeDelta;
use homeroom_kit::Result;

use super::App;

/// How long refused attempts are kept, in days.
pub const REFUSED_ATTEMPT_DAYS: i64 = 90;
/// How long audit entries are kept, in days: a school year and more (R12).
pub const AUDIT_ENTRY_DAYS: i64 = 400;
/// Rows of each kind that one run deletes at most.
pub const RETENTION_BATCH: u32 = 1_000;

impl App {
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
