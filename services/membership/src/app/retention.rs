//! How long ended join requests say who asked (F9).

use homeroom_kit::{
    Result,
    config::Reader,
    retention::{kept_since, read_days},
};

use super::App;

/// The fewest days for which an ended join request keeps the person's particulars, so that staff can read why somebody
/// was turned away.
pub const JOIN_REQUESTS_DAYS_MIN: u32 = 30;
/// The maximum number of join requests whose particulars one run deletes.
pub const FORGOTTEN_REQUESTS_BATCH: u32 = 500;

/// Reads `RETENTION_JOIN_REQUESTS_DAYS`: the days for which an ended request keeps the person's particulars; `None` means
/// for ever.
pub fn read_join_requests_days(reader: &mut Reader) -> Option<u32> {
    let name = "RETENTION_JOIN_REQUESTS_DAYS";
    read_days(reader, name, JOIN_REQUESTS_DAYS_MIN)
}

impl App {
    /// Deletes the particulars of people, and the notes about them, in join requests that ended more than so many days
    /// ago, in limited numbers: user ids, states and times stay (P5, R9). It locks no organization and waits for nobody.
    /// Returns true if there may be more.
    pub async fn forget_persons_once(&self, days: u32) -> Result<bool> {
        let before = kept_since(self.clock.now(), days);
        let mut repository = self.store.write().await?;
        let forgotten = repository.forget_persons(before, FORGOTTEN_REQUESTS_BATCH);
        let forgotten = forgotten.await?;
        repository.commit("forget_persons").await?;
        Ok(forgotten >= u64::from(FORGOTTEN_REQUESTS_BATCH))
    }
}
