//! Keys that change while the service runs.

mod files;
mod server;
mod settings;
mod unknown_keys;
mod urls;

use std::{fs, sync::Arc, time::Duration};

use homeroom_api::common::v1::ErrorReason;
use serde_json::json;

use super::{
    tests::{AUDIENCE, ISSUER, claims, noon, reason, signer},
    *,
};
use crate::{clock::ManualClock, shutdown::Shutdown};
use server::{KeyServer, answer};

/// The time for which a test waits for an expected event.
const EVENTUALLY: Duration = Duration::from_secs(30);
/// A second so short that no test waits for an interval.
const SHORT: Duration = Duration::from_millis(1);

/// Returns a token signed by the key of this seed.
fn token(seed: u64) -> String {
    signer(seed).sign(&claims()).unwrap().expose().to_owned()
}

/// Returns the set of the keys with these seeds.
fn jwks(seeds: &[u64]) -> String {
    let keys: Vec<_> = seeds.iter().map(|seed| signer(*seed).jwk(None)).collect();
    json!({ "keys": keys }).to_string()
}

/// Returns the set of a key with its private part.
fn private(seed: u64) -> String {
    jwks(&[seed]).replacen("\"x\"", "\"d\":\"AAAA\",\"x\"", 1)
}

struct World {
    clock: Arc<ManualClock>,
    verifier: Arc<Verifier>,
}

impl World {
    fn new(keys: TokenKeys) -> Self {
        let clock = Arc::new(ManualClock::new(noon()));
        let verifier = Arc::new(Verifier::new(keys, ISSUER, AUDIENCE, clock.clone()));
        Self { clock, verifier }
    }

    /// Fetches the keys of a server, with seconds of this length.
    async fn of(server: &KeyServer, second: Duration) -> Self {
        let keys = TokenKeys::of_url(&server.url()).unwrap();
        let world = Self::new(keys.with_second(second));
        world.verifier.fetch_first_keys().await.unwrap();
        world
    }

    /// Follows the keys as long as the test runs.
    fn followed(self) -> Self {
        tokio::spawn(Arc::clone(&self.verifier).follow_keys(Shutdown::new()));
        self
    }

    fn sources(&self) -> &TokenKeys {
        &self.verifier.issuers[0].keys
    }

    /// Checks every source once.
    async fn look_again(&self) {
        for source in &self.sources().sources {
            drop(self.verifier.look_at(source).await);
        }
    }

    fn knows(&self, seed: u64) -> bool {
        self.verifier.verify(&token(seed)).is_ok()
    }

    /// Returns true if a call with a token of this key is told to retry.
    fn is_looking_for(&self, seed: u64) -> bool {
        reason(self.verifier.verify(&token(seed))) == ErrorReason::Overloaded
    }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(EVENTUALLY, wait).await;
    assert!(waited.is_ok(), "{what}");
}
