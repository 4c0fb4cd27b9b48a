//! Keeps the keys of access tokens up to date: they are read at the start, at intervals, and when a token names an
//! unknown key.

use std::sync::Arc;

use ::metrics::{describe_gauge, gauge};
use futures::future::join_all;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Issuer, TokenKeys, Verifier, token_keys::Source};
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

/// The first keys of some issuers could not be fetched: a line for each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenKeysUnavailable(String);

impl Verifier {
    /// Fetches the first keys of every URL, with retries each second.
    pub async fn fetch_first_keys(&self) -> Result<(), TokenKeysUnavailable> {
        let fetching = self.issuers.iter().map(|issuer| self.fetch_first(issuer));
        let failed = join_all(fetching).await.into_iter().filter_map(Result::err);
        let failed: Vec<String> = failed.collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(TokenKeysUnavailable(failed.join("\n")))
        }
    }

    async fn fetch_first(&self, issuer: &Issuer) -> Result<(), String> {
        let Some(source) = issuer.keys.url() else {
            return Ok(());
        };
        let second = issuer.keys.second;
        let end = Instant::now() + START_SECONDS_MAX * second;
        while let Err(problem) = self.look_at(source).await {
            if Instant::now() + second >= end {
                let url = &source.place;
                return Err(format!(
                    "{url} (JWKS_URL, or jwks_url of an issuer) has given no usable keys for {START_SECONDS_MAX} seconds: \
                     {problem}; correct the address, or name a file instead"
                ));
            }
            sleep(second).await;
        }
        Ok(())
    }

    /// Reads files and URLs at their intervals until the shutdown.
    pub async fn follow_keys(self: Arc<Self>, shutdown: Shutdown) {
        let this = &*self;
        let following: Vec<_> = this
            .issuers
            .iter()
            .flat_map(|issuer| {
                issuer
                    .keys
                    .sources
                    .iter()
                    .map(move |source| (issuer, source))
            })
            .map(|(issuer, source)| this.follow(&issuer.keys, source))
            .collect();
        shutdown.unless_begun(join_all(following)).await;
    }

    async fn follow(&self, keys: &TokenKeys, source: &Source) {
        let mut pause = if source.is_url() {
            URL_REFRESH_SECONDS
        } else {
            FILE_LOOK_SECONDS
        };
        let mut soonest = Instant::now();
        loop {
            self.show_read_time();
            let wanted = async {
                sleep_until(soonest).await;
                keys.wanted.notified().await;
            };
            tokio::select! {
                () = sleep(pause * keys.second) => {}
                () = wanted, if source.is_url() => {
                    soonest = Instant::now() + URL_RETRY_SECONDS * keys.second;
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
            self.renew_keys();
        }
        Ok(())
    }

    /// Reports the age of the keys of URLs as a metric: of those that were read the longest time ago. Files are on this
    /// machine, and their problems are logged.
    fn show_read_time(&self) {
        describe_gauge!(
            READ_TIME,
            "when the set at JWKS_URL was last read, in seconds since 1970"
        );
        let urls = self.issuers.iter().filter_map(|issuer| issuer.keys.url());
        let oldest = urls.map(|source| source.last().read_time).min().flatten();
        if let Some(read) = oldest {
            #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
            gauge!(READ_TIME).set(read.timestamp() as f64);
        }
    }
}
