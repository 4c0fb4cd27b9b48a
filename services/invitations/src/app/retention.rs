//! How long data is kept (F9), and what is deleted afterwards, each time in one short transaction that locks no
//! organization and waits for nobody.

use chrono::TimeDelta;
use homeroom_kit::{
    Result,
    config::Reader,
    request_ids::forgotten_before,
    retention::{RETENTION_DAYS_MAX, kept_since, read_days},
};

use super::App;

/// The number of days for which refused attempts are kept, unless set.
pub const REFUSED_ATTEMPTS_DAYS_DEFAULT: u32 = 90;
/// The fewest days for which refused attempts are kept.
pub const REFUSED_ATTEMPTS_DAYS_MIN: u32 = 1;
/// The number of days for which audit entries are kept, unless set: more than a school year (R12).
pub const AUDIT_ENTRIES_DAYS_DEFAULT: u32 = 400;
/// The fewest days for which audit entries are kept.
pub const AUDIT_ENTRIES_DAYS_MIN: u32 = 30;
/// The fewest days for which redemptions keep the particulars of people: a request waits for up to 90 days.
pub const REDEMPTIONS_DAYS_MIN: u32 = 100;
/// The maximum number of rows of each kind that one run deletes.
pub const RETENTION_BATCH: u32 = 1_000;
/// The maximum number of redemptions whose particulars one run deletes.
pub const FORGOTTEN_PERSONS_BATCH: u32 = 500;
/// The maximum time after a redemption is settled in which a request id that met it may be recorded.
const REQUEST_ID_NOTED_AFTER_MAX: TimeDelta = TimeDelta::hours(1);
/// The maximum number of request ids, and of redemptions, that one run forgets.
pub const PRUNE_BATCH: u32 = 1_000;

const _: () = assert!(AUDIT_ENTRIES_DAYS_DEFAULT <= RETENTION_DAYS_MAX);

/// The days for which this service keeps its logs, and redemptions the particulars of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Of refused attempts. `RETENTION_REFUSED_ATTEMPTS_DAYS`
    pub refused_attempts_days: u32,
    /// Of audit entries. `RETENTION_AUDIT_ENTRIES_DAYS`
    pub audit_entries_days: u32,
    /// Of the particulars in redemptions; None: for ever. `RETENTION_REDEMPTIONS_DAYS`
    pub redemptions_days: Option<u32>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            refused_attempts_days: REFUSED_ATTEMPTS_DAYS_DEFAULT,
            audit_entries_days: AUDIT_ENTRIES_DAYS_DEFAULT,
            redemptions_days: None,
        }
    }
}

impl Retention {
    /// Reads the settings.
    pub fn read(reader: &mut Reader) -> Self {
        let mut days = |name, min| read_days(reader, name, min);
        Self {
            refused_attempts_days: days(
                "RETENTION_REFUSED_ATTEMPTS_DAYS",
                REFUSED_ATTEMPTS_DAYS_MIN,
            )
            .unwrap_or(REFUSED_ATTEMPTS_DAYS_DEFAULT),
            audit_entries_days: days("RETENTION_AUDIT_ENTRIES_DAYS", AUDIT_ENTRIES_DAYS_MIN)
                .unwrap_or(AUDIT_ENTRIES_DAYS_DEFAULT),
            redemptions_days: days("RETENTION_REDEMPTIONS_DAYS", REDEMPTIONS_DAYS_MIN),
        }
    }
}

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
    pub async fn prune_logs_once(&self, retention: &Retention) -> Result<u64> {
        let now = self.clock.now();
        let mut repository = self.store.write().await?;
        let before = kept_since(now, retention.refused_attempts_days);
        let attempts = repository.prune_refused_attempts(before, RETENTION_BATCH);
        let attempts = attempts.await?;
        let before = kept_since(now, retention.audit_entries_days);
        let entries = repository.prune_audit_entries(before, RETENTION_BATCH);
        let entries = entries.await?;
        repository.commit("forget_logs").await?;
        Ok(attempts + entries)
    }

    /// Deletes the particulars of people in redemptions past their retention, in limited numbers: their ids, outcomes
    /// and uses stay (P1, P4, R6). Returns true if there may be more.
    pub async fn forget_persons_once(&self, days: u32) -> Result<bool> {
        let before = kept_since(self.clock.now(), days);
        let mut repository = self.store.write().await?;
        let passed = repository.forget_persons(before, FORGOTTEN_PERSONS_BATCH);
        let passed = passed.await?;
        repository.commit("forget_persons").await?;
        Ok(passed >= FORGOTTEN_PERSONS_BATCH as usize)
    }
}
