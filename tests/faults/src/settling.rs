//! Measures how long redemptions stay in doubt once everything works again (P13).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use homeroom_kit::database::Url;
use tokio::{task::JoinHandle, time::sleep};

use crate::history::facts::Reader;

/// The time within which everything settles once health has returned.
pub(crate) const SETTLE_SECONDS: u64 = 60;
/// The longest time of one call between the services. A redemption that was reserved earlier than
/// this before health returned was in doubt.
const CALL_MILLIS: u64 = 2_000;
/// The interval between two checks.
const LOOK_MILLIS: u64 = 50;

const RESERVED: &str = "SELECT redemption_id FROM redemptions WHERE state = 'RESERVED'";
const QUEUED: &str = "SELECT redemption_id FROM redemptions WHERE state = 'QUEUED'";
const FENCES: &str =
    "SELECT 'fence of ' || invitation_id FROM invitations WHERE fence_epoch < epoch";
const PENDING: &str =
    "SELECT substr(redemption, length(redemption) - 35) FROM join_requests WHERE state = 'PENDING'";

/// The times for which redemptions were in doubt once everything worked again.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// For the redemptions in doubt when the round's faults were over.
    pub(crate) at_the_end: Vec<Duration>,
    /// For the redemptions in doubt when everything worked again for a while.
    pub(crate) between: Vec<Duration>,
    /// Whatever is in doubt after a minute.
    pub(crate) left: Vec<String>,
}

/// The reservations in doubt when health returned, and the times at which they settled. Times are
/// this process's own, since the services' clocks may step.
#[derive(Debug, Default)]
struct Watch {
    /// The time at which health returned; `None` while something is broken.
    health: Option<Instant>,
    /// For each current reservation, the time at which it was first seen.
    standing: HashMap<String, Instant>,
    settled: Settled,
}

impl Watch {
    fn broken(&mut self) {
        self.health = None;
        let since_health = std::mem::take(&mut self.settled.at_the_end);
        self.settled.between.extend(since_health);
    }

    fn healthy(&mut self, now: Instant) {
        self.broken();
        self.health = Some(now);
    }

    fn was_in_doubt(&self, first_seen: Instant) -> bool {
        let longest = Duration::from_millis(CALL_MILLIS);
        self.health
            .is_some_and(|since| first_seen + longest <= since)
    }

    /// Records the current reservations.
    fn look(&mut self, reserved: &HashSet<String>, now: Instant) {
        let gone = self
            .standing
            .extract_if(|id, _| !reserved.contains(id))
            .collect::<Vec<_>>();
        for (_, first_seen) in gone {
            if let Some(since) = self.health.filter(|_| self.was_in_doubt(first_seen)) {
                self.settled.at_the_end.push(now - since);
            }
        }
        for id in reserved {
            self.standing.entry(id.clone()).or_insert(now);
        }
    }

    /// Returns the result if nothing is in doubt now or too much time has passed.
    fn end(&mut self, in_doubt: Result<InDoubt, sqlx::Error>, since: Instant) -> Option<Settled> {
        let now = Instant::now();
        if let Ok(in_doubt) = &in_doubt {
            self.look(&in_doubt.reserved, now);
            if in_doubt.is_empty() {
                return Some(std::mem::take(&mut self.settled));
            }
        }
        if now - since <= Duration::from_secs(SETTLE_SECONDS) {
            return None;
        }
        // The remaining ones were in doubt for all that time.
        self.look(&HashSet::new(), now);
        let mut settled = std::mem::take(&mut self.settled);
        settled.left = match in_doubt {
            Ok(left) => left.reserved.into_iter().chain(left.others).collect(),
            Err(error) => vec![format!("the databases cannot be read: {error}")],
        };
        settled.left.sort_unstable();
        Some(settled)
    }
}

/// The watch on the reservations of one round.
pub(crate) struct Settling {
    watch: Arc<Mutex<Watch>>,
    urls: [Url; 2],
    task: JoinHandle<()>,
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Settling {
    /// Watches these databases: membership's and invitations'.
    pub(crate) fn watch(urls: &[Url; 2]) -> Self {
        let watch: Arc<Mutex<Watch>> = Arc::default();
        let task = tokio::spawn(look(urls[1].clone(), Arc::clone(&watch)));
        Self {
            watch,
            urls: urls.clone(),
            task,
        }
    }

    /// Records that something is broken from now on.
    pub(crate) fn broken(&self) {
        self.watch.lock().unwrap().broken();
    }

    /// Records that everything works from now on.
    pub(crate) fn healthy(&self) {
        self.watch.lock().unwrap().healthy(Instant::now());
    }

    /// Waits until nothing is in doubt any more, at most a minute after health has returned: no
    /// reservation, no fence, no end of a join request.
    pub(crate) async fn settled(self) -> Settled {
        self.task.abort();
        let health = self.watch.lock().unwrap().health;
        let since = health.unwrap_or_else(Instant::now);
        loop {
            let in_doubt = in_doubt(&self.urls).await;
            if let Some(settled) = self.watch.lock().unwrap().end(in_doubt, since) {
                return settled;
            }
            sleep(Duration::from_millis(LOOK_MILLIS)).await;
        }
    }
}

/// Everything that is not settled.
struct InDoubt {
    reserved: HashSet<String>,
    /// Pending fences, and redemptions whose join request has ended.
    others: Vec<String>,
}

impl InDoubt {
    fn is_empty(&self) -> bool {
        self.reserved.is_empty() && self.others.is_empty()
    }
}

/// Returns everything that is in doubt, when nothing new is begun.
async fn in_doubt(urls: &[Url; 2]) -> Result<InDoubt, sqlx::Error> {
    let mut invitations = Reader::open(&urls[1]).await?;
    let reserved = ids(&mut invitations, RESERVED).await?;
    let fences = ids(&mut invitations, FENCES).await?;
    let queued = ids(&mut invitations, QUEUED).await?;
    invitations.close().await;
    let mut membership = Reader::open(&urls[0]).await?;
    let pending = ids(&mut membership, PENDING).await?;
    membership.close().await;
    let ended = queued.difference(&pending).cloned();
    Ok(InDoubt {
        reserved,
        others: fences.into_iter().chain(ended).collect(),
    })
}

/// Returns the first column.
async fn ids(reader: &mut Reader, sql: &str) -> Result<HashSet<String>, sqlx::Error> {
    let rows = reader.rows(sql).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| row.into_iter().next())
        .collect())
}

/// Checks the reservations repeatedly.
async fn look(invitations: Url, watch: Arc<Mutex<Watch>>) {
    let mut reader = None;
    loop {
        sleep(Duration::from_millis(LOOK_MILLIS)).await;
        if reader.is_none() {
            reader = Reader::open(&invitations).await.ok();
        }
        let Some(open) = &mut reader else { continue };
        let Ok(reserved) = ids(open, RESERVED).await else {
            reader = None;
            continue;
        };
        watch.lock().unwrap().look(&reserved, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[&str]) -> HashSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn p13_only_what_was_in_doubt_at_the_last_health_is_measured_by_it() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut watch = Watch::default();
        watch.look(&set(&["early", "old"]), at(0));
        watch.healthy(at(2_000));
        watch.look(&set(&["old"]), at(2_300));
        watch.broken();
        watch.look(&set(&["old", "fresh"]), at(2_400));
        watch.healthy(at(4_399));
        watch.look(&set(&["old"]), at(5_000));
        assert!(watch.settled.at_the_end.is_empty());
        watch.look(&set(&[]), at(5_399));
        assert_eq!(watch.settled.at_the_end, [Duration::from_secs(1)]);
        assert_eq!(watch.settled.between, [Duration::from_millis(300)]);
    }

    #[test]
    fn p13_a_reservation_is_in_doubt_from_the_end_of_one_call_on() {
        let start = Instant::now();
        for (age, samples) in [(CALL_MILLIS - 1, 0), (CALL_MILLIS, 1)] {
            let health = start + Duration::from_millis(age);
            let mut watch = Watch::default();
            watch.look(&set(&["one"]), start);
            watch.healthy(health);
            watch.look(&set(&[]), health + Duration::from_millis(1));
            assert_eq!(watch.settled.at_the_end.len(), samples, "{age}");
        }
    }
}
