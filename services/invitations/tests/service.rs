//! The service as a server: it starts without membership, reports that, and ends when it is told to.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests: what they panic on is their failure"
)]

#[path = "support/scrape.rs"]
mod scrape;

use std::sync::Arc;

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{GetClassCodeRequest, class_code_service_client::ClassCodeServiceClient},
};
use homeroom_invitations::{Config, Dependencies, start, store};
use homeroom_kit::{
    Error,
    auth::{Claims, Signer, Verifier},
    clock::{Clock as _, SystemClock},
    database::{Options, Url},
    keys::KeyRing,
    random::SystemRandomness,
    service::Settings,
    shutdown::Shutdown,
};
use tempfile::TempDir;
use tonic::{Request, transport::Endpoint};

use crate::scrape::until_shown;

const CLASS_CODE: &str = "organizations/hamilton/classes/bio-101/classCode";
const ISSUER: &str = "https://platform.example";
const AUDIENCE: &str = "homeroom";

/// Returns an empty database, and the settings of a service whose membership never answers.
async fn without_membership(signer: &Arc<Signer>) -> (TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let url = Url::Sqlite(folder.path().join("invitations.db"));
    let store = store::open(&url, Options::default(), true).await.unwrap();
    store.close().await;
    let keys = signer.keys(None).unwrap();
    let verifier = Verifier::new(keys, ISSUER, AUDIENCE, Arc::new(SystemClock));
    let ring = KeyRing::generate(&SystemRandomness).unwrap();
    let settings = Settings::local(url, Arc::new(verifier), Arc::new(ring));
    let nobody = "http://127.0.0.1:1".to_owned();
    (folder, Config::local(settings, nobody, signer.clone()))
}

fn dependencies() -> Dependencies {
    Dependencies {
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandomness),
    }
}

#[tokio::test]
async fn p13_its_gauges_are_shown_where_metrics_are_set_to_listen() {
    let signer = Arc::new(Signer::generate(&SystemRandomness).unwrap());
    let (_folder, mut config) = without_membership(&signer).await;
    config.service.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    let shutdown = Shutdown::new();
    let service = start(config, dependencies(), shutdown.clone()).await;
    let service = service.unwrap();
    let shown = [
        "homeroom_redemptions_stuck 0",
        "homeroom_redemptions_reserved 0",
        "homeroom_events_skipped 0",
    ];
    until_shown(service.metrics_address().unwrap(), &shown).await;
    shutdown.begin();
    service.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_without_membership_it_serves_and_says_that_the_outcome_is_not_known() {
    let signer = Arc::new(Signer::generate(&SystemRandomness).unwrap());
    let (_folder, config) = without_membership(&signer).await;
    let shutdown = Shutdown::new();
    let service = start(config, dependencies(), shutdown.clone()).await;
    let service = service.unwrap();

    let endpoint = Endpoint::from_shared(format!("http://{}", service.address())).unwrap();
    let mut client = ClassCodeServiceClient::new(endpoint.connect().await.unwrap());
    let (now, life) = (SystemClock.now(), TimeDelta::minutes(5));
    let claims = Claims::new(ISSUER, AUDIENCE, "owner", now, life);
    let token = signer.sign(&claims).unwrap();
    let request = |authorized: bool| {
        let name = CLASS_CODE.to_owned();
        let mut request = Request::new(GetClassCodeRequest { name });
        if authorized {
            let bearer = format!("Bearer {}", token.expose()).parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    };
    for (authorized, reason) in [
        (false, ErrorReason::AccessTokenInvalid),
        (true, ErrorReason::MembershipUnavailable),
    ] {
        let refused = client.get_class_code(request(authorized)).await;
        let refused = Error::from_status(&refused.unwrap_err()).unwrap();
        assert_eq!(refused.reason(), reason);
    }

    drop(client);
    shutdown.begin();
    service.stopped().await.unwrap();
}
