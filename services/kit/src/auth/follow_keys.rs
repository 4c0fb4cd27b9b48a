//! Keeps the keys of access tokens up to date: they are read at the start, at intervals, and when a token names an
//! unknown key.

use std::sync::Arc;

use ::metrics::{describe_gauge, gauge};
use futures::future::join_all;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Verifier, token_keys::Source};
use crate::shutdown::Shutdown;

/// The interval at which a key set's file is read, in seconds.
pub(super) const FILE_LOOK_SECONDS: u32 = 10;
/// The interval at which a key set's URL is fetched, in seconds.
pub(super) const URL_REFRESH_SECONDS: u32 = 10 * 60;
/// The delay after which a URL that gave no usable keys is fetched again, and the shortest time between two fetches for
/// unknown keys, in seconds.
pub(super) const URL_RETRY_SECONDS: u32 = 60;
/// The time for which a service tries to fetch its first keys before it refuses to start, in seconds.
pub(super) const START_SECONDS_MAX: u32 = 30;
/// The metric of when the set at `JWKS_URL` was last read, in seconds since 1970.
const READ_TIME: &str = "homeroom_token_keys_read_timestamp_seconds";

/// The first keys could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "JWKS_URL: {url} has given no usable keys for {START_SECONDS_MAX} seconds: {problem}; correct the address, or \
     name a file in JWKS_FILE instead"
)]
pub struct TokenKeysUnavailable {
    url: String,
    problem: String,
}

impl Verifier {
    /// Fetches the first keys of a URL, with retries each second; does nothing if keys come from elsewhere.
    pub async fn fetch_first_keys(&self) -> Result<(), TokenKeysUnavailable> {
        let Some(source) = self.sources.url() else {
            return Ok(());
        };
        let second = self.sources.second;
        let end = Instant::now() + START_SECONDS_MAX * second;
        while let Err(problem) = self.look_at(source).await {
            if Instant::now() + second >= end {
                let url = source.place.clone();
                return Err(TokenKeysUnavailable { url, problem });
            }
            sleep(second).await;
        }
        Ok(())
    }

    /// Reads files and URLs at their intervals until the shutdown.
    pub async fn follow_keys(self: Arc<Self>, shutdown: Shutdown) {
        let sources = self.sources.sources.iter();
        let following = join_all(sources.map(|source| self.follow(source)));
        shutdown.unless_begun(following).await;
    }

    async fn follow(&self, source: &Source) {
        let mut pause = if source.is_url() {
            URL_REFRESH_SECONDS
        } else {
            FILE_LOOK_SECONDS
        };
        let mut soonest = Instant::now();
        loop {
            show_read_time(source);
            let wanted = async {
                sleep_until(soonest).await;
                self.sources.wanted.notified().await;
            };
            tokio::select! {
                () = sleep(pause * self.sources.second) => {}
                () = wanted, if source.is_url() => {
                    soonest = Instant::now() + URL_RETRY_SECONDS * self.sources.second;
                }
            }
            let looked = self.look_at(source).await;
            if source.is_url() {
                pause = looked.map_or(URL_RETRY_SECONDS, |()| URL_REFRESH_SECONDS);
            }
        }
    }

    /// Reads a source, and puts new keys into use beside those of the other sources.
    pub(super) async fn look_at(&self, source: &Source) -> Result<(), String> {
        if source.read(self.clock.now()).await? {
            self.replace_keys(self.sources.keys());
        }
        Ok(())
    }
}

/// Reports the age of the keys of a URL as a metric. Files are on this machine, and their problems are logged.
fn show_read_time(source: &Source) {
    describe_gauge!(
        READ_TIME,
        "when the set at JWKS_URL was last read, in seconds since 1970"
    );
    let read_time = source.last().read_time;
    if let Some(read) = read_time.filter(|_| source.is_url()) {
        #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
        gauge!(READ_TIME).set(read.timestamp() as f64);
    }
}
