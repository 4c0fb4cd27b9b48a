//! Keys that change while the service runs.

mod files;
mod server;
mod settings;
mod unknown_keys;
mod urls;

use std::{fs, future::Future, path::Path, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use homeroom_api::common::v1::ErrorReason;
use serde_json::{Value, json};
use tonic::body::Body;

use super::{jwks_url::JwksUrl, *};
use crate::{
    clock::{ManualClock, from_micros},
    random::SeededRandomness,
    server::authenticate,
    shutdown::Shutdown,
    status::Error,
};
use server::{KeyServer, answer};

const ISSUER: &str = "https://school.example";
const AUDIENCE: &str = "homeroom";
/// The time for which a test waits for an expected event.
const EVENTUALLY: Duration = Duration::from_secs(30);

fn noon() -> DateTime<Utc> {
    from_micros(1_700_000_000_000_000)
}

fn signer(seed: u64) -> Signer {
    Signer::generate(&SeededRandomness::new(seed)).unwrap()
}

/// Returns a token signed by the key of this seed.
fn token(seed: u64) -> String {
    let claims = Claims::new(ISSUER, AUDIENCE, "ada", noon(), TimeDelta::days(1));
    signer(seed).sign(&claims).unwrap().expose().to_owned()
}

/// Returns the set of the keys with these seeds.
fn jwks(seeds: &[u64]) -> String {
    let keys: Vec<Value> = seeds
        .iter()
        .map(|seed| {
            serde_json::from_str::<Value>(&signer(*seed).jwks(None)).unwrap()["keys"][0].clone()
        })
        .collect();
    json!({ "keys": keys }).to_string()
}

struct World {
    clock: Arc<ManualClock>,
    verifier: Arc<Verifier>,
}

/// Intervals so short that no test waits for one, and time limits so long that none passes.
const PAUSES: KeyPauses = KeyPauses {
    file_look: Duration::from_millis(5),
    url_refresh: Duration::from_millis(5),
    url_retry: Duration::from_millis(5),
    start_max: Duration::from_millis(50),
    start_retry: Duration::from_millis(5),
    unknown_key_wait: EVENTUALLY,
};

impl World {
    fn new(keys: TokenKeys) -> Self {
        let clock = Arc::new(ManualClock::new(noon()));
        let keys = keys.with_pauses(PAUSES);
        let verifier = Arc::new(Verifier::new(keys, ISSUER, AUDIENCE, clock.clone()));
        Self { clock, verifier }
    }

    /// Fetches the keys of a server.
    async fn of(server: &KeyServer) -> Self {
        let world = Self::new(TokenKeys::of_url(&server.url()).unwrap());
        world.verifier.fetch_first_keys().await.unwrap();
        world
    }

    /// Fetches the keys of a server with these pauses, and follows them as long as the world
    /// exists.
    async fn followed(server: &KeyServer, pauses: KeyPauses) -> Self {
        let keys = TokenKeys::of_url(&server.url()).unwrap();
        let clock = Arc::new(ManualClock::new(noon()));
        let keys = keys.with_pauses(pauses);
        let verifier = Arc::new(Verifier::new(keys, ISSUER, AUDIENCE, clock.clone()));
        verifier.fetch_first_keys().await.unwrap();
        tokio::spawn(Arc::clone(&verifier).follow_keys(Shutdown::new()));
        Self { clock, verifier }
    }

    /// Checks every source once.
    async fn look_again(&self) {
        for source in &self.verifier.following.sources {
            drop(self.verifier.look_at(source).await);
        }
    }

    fn knows(&self, seed: u64) -> bool {
        self.verifier.verify(&token(seed)).is_ok()
    }

    /// Calls with a token of this key; returns `Ok` if the call is accepted.
    fn try_call(&self, seed: u64) -> impl Future<Output = Result<(), Error>> + use<> {
        self.try_call_with(&token(seed))
    }

    /// Calls with this token.
    fn try_call_with(&self, token: &str) -> impl Future<Output = Result<(), Error>> + use<> {
        let verifier = Arc::clone(&self.verifier);
        let mut request = http::Request::post("/homeroom.membership.v1.ClassService/GetClass")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        async move {
            authenticate(&verifier, &mut request).await?;
            assert!(request.extensions().get::<Caller>().is_some());
            Ok(())
        }
    }

    /// Returns true if a call with a token of this key is accepted.
    fn call(&self, seed: u64) -> impl Future<Output = bool> + use<> {
        let call = self.try_call(seed);
        async move { call.await.is_ok() }
    }
}

/// Checks that the call may be retried with the same token.
fn comes_back(refused: Result<(), Error>) {
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert_eq!(refused.reason(), ErrorReason::Overloaded);
    let delay = Duration::from_secs(UNKNOWN_KEY_RETRY_SECONDS);
    assert_eq!(refused.retry_delay(), Some(delay));
}

/// Checks that the call needs another token.
fn is_refused(refused: Result<(), Error>) {
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    assert_eq!(refused.reason(), ErrorReason::AccessTokenInvalid);
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        tokio::time::timeout(EVENTUALLY, wait).await.is_ok(),
        "{what}"
    );
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}
