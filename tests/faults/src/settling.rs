//! How long redemptions stay in doubt once everything works again (03 P13).

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use homeroom_kit::{
    clock::{Clock as _, SystemClock, micros},
    database::Url,
};
use tokio::{task::JoinHandle, time::sleep};

use crate::history::facts::Reader;

/// Within which everything is settled once health has returned.
pub(crate) const SETTLE_SECONDS: u64 = 60;
/// Between two looks.
const LOOK_MILLIS: u64 = 50;

const RESERVED: &str =
    "SELECT redemption_id, CAST(create_time AS TEXT) FROM redemptions WHERE state = 'RESERVED'";
const QUEUED: &str = "SELECT redemption_id FROM redemptions WHERE state = 'QUEUED'";
const FENCES: &str =
    "SELECT 'fence of ' || invitation_id FROM invitations WHERE fence_epoch < epoch";
const PENDING: &str =
    "SELECT substr(redemption, length(redemption) - 35) FROM join_requests WHERE state = 'PENDING'";

/// When everything worked again for the last time.
#[derive(Debug, Clone, Copy)]
struct Health {
    since: Instant,
    at: DateTime<Utc>,
}

#[derive(Debug, Default)]
struct Shared {
    /// None while something is broken.
    health: Option<Health>,
    samples: Vec<Duration>,
}

/// Watches the reservations of one round.
pub(crate) struct Settling {
    shared: Arc<Mutex<Shared>>,
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
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let task = tokio::spawn(look(urls[1].clone(), Arc::clone(&shared)));
        Self {
            shared,
            urls: urls.clone(),
            task,
        }
    }

    /// Something is broken from now on.
    pub(crate) fn broken(&self) {
        self.shared.lock().unwrap().health = None;
    }

    /// Everything works from now on.
    pub(crate) fn healthy(&self) {
        self.shared.lock().unwrap().health = Some(Health {
            since: Instant::now(),
            at: SystemClock.now(),
        });
    }

    /// Waits until nothing is in doubt any more: no reservation, no fence, no end of a join request.
    /// How long each took since health returned, and what is still in doubt after a minute.
    pub(crate) async fn settled(self) -> (Vec<Duration>, Vec<String>) {
        let since = self
            .shared
            .lock()
            .unwrap()
            .health
            .map_or_else(Instant::now, |health| health.since);
        self.task.abort();
        let mut samples = std::mem::take(&mut self.shared.lock().unwrap().samples);
        let mut known: BTreeSet<String> = BTreeSet::new();
        let stopped = Instant::now();
        loop {
            let in_doubt = in_doubt(&self.urls).await;
            if let Ok(now) = &in_doubt {
                let settled = known.iter().filter(|id| !now.contains(*id)).count();
                samples.extend(std::iter::repeat_n(since.elapsed(), settled));
                known.clone_from(now);
                if now.is_empty() {
                    return (samples, Vec::new());
                }
            }
            if stopped.elapsed() > Duration::from_secs(SETTLE_SECONDS) {
                let left = match in_doubt {
                    Ok(left) => left.into_iter().collect(),
                    Err(error) => vec![format!("the databases cannot be read: {error}")],
                };
                return (samples, left);
            }
            sleep(Duration::from_millis(LOOK_MILLIS)).await;
        }
    }
}

/// What is in doubt now that nothing new is begun.
async fn in_doubt(urls: &[Url; 2]) -> Result<BTreeSet<String>, sqlx::Error> {
    let mut invitations = Reader::open(&urls[1]).await?;
    let first = |row: Vec<String>| row.into_iter().next().unwrap_or_default();
    let mut found: BTreeSet<String> = invitations
        .rows(RESERVED)
        .await?
        .into_iter()
        .map(first)
        .collect();
    found.extend(invitations.rows(FENCES).await?.into_iter().map(first));
    let queued = invitations.rows(QUEUED).await?;
    invitations.close().await;
    let mut membership = Reader::open(&urls[0]).await?;
    let pending: HashSet<String> = membership
        .rows(PENDING)
        .await?
        .into_iter()
        .map(first)
        .collect();
    membership.close().await;
    found.extend(
        queued
            .into_iter()
            .map(first)
            .filter(|id| !pending.contains(id)),
    );
    Ok(found)
}

/// Looks again and again. A reservation that stood when health returned is in doubt; it is sampled
/// when it is gone, unless something broke again before.
async fn look(invitations: Url, shared: Arc<Mutex<Shared>>) {
    let mut reader = None;
    // Of each reservation, when it was made.
    let mut before: HashMap<String, i64> = HashMap::new();
    loop {
        sleep(Duration::from_millis(LOOK_MILLIS)).await;
        if reader.is_none() {
            reader = Reader::open(&invitations).await.ok();
        }
        let Some(open) = &mut reader else { continue };
        let Ok(rows) = open.rows(RESERVED).await else {
            reader = None;
            continue;
        };
        let now: HashMap<String, i64> = rows
            .into_iter()
            .filter_map(|row| Some((row[0].clone(), row[1].parse().ok()?)))
            .collect();
        {
            let mut shared = shared.lock().unwrap();
            if let Some(health) = shared.health {
                let in_doubt = before
                    .iter()
                    .filter(|(id, made)| !now.contains_key(*id) && **made <= micros(health.at));
                let settled = in_doubt.count();
                let took = health.since.elapsed();
                shared.samples.extend(std::iter::repeat_n(took, settled));
            }
        }
        before = now;
    }
}
