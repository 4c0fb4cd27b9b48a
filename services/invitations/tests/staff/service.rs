//! The service as a server: it starts without membership, reports that, and ends when it is told to.

use std::{net::SocketAddr, sync::Arc};

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{GetClassCodeRequest, class_code_service_client::ClassCodeServiceClient},
};
use homeroom_invitations::{Config, Dependencies, start};
use homeroom_kit::{
    auth::{Claims, Signer, Verifier},
    clock::{Clock as _, SystemClock},
    keys::KeyRing,
    random::SystemRandomness,
    shutdown::Shutdown,
};
use tonic::{Request, transport::Endpoint};

use crate::{
    databases::Database,
    scrape::until_shown,
    world::{CLASS, reason},
};

const ISSUER: &str = "https://platform.example";
const AUDIENCE: &str = "homeroom";

/// Returns the settings of a service whose membership never answers.
fn without_membership(database: &Database, signer: &Arc<Signer>) -> Config {
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let keys = signer.keys(None).unwrap();
    let verifier = Verifier::new(keys, ISSUER, AUDIENCE, Arc::new(SystemClock));
    Config::for_tests(
        database.url.clone(),
        None,
        nobody,
        Arc::new(verifier),
        Arc::new(KeyRing::generate(&SystemRandomness).unwrap()),
        signer.clone(),
        ISSUER,
        AUDIENCE,
    )
}

fn dependencies() -> Dependencies {
    Dependencies {
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandomness),
    }
}

#[tokio::test]
async fn p13_its_gauges_are_shown_where_metrics_are_set_to_listen() {
    let database = Database::sqlite().await;
    let signer = Arc::new(Signer::generate(&SystemRandomness).unwrap());
    let mut config = without_membership(&database, &signer);
    config.service.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    let shutdown = Shutdown::new();
    let service = start(config, dependencies(), shutdown.clone())
        .await
        .unwrap();
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
    let database = Database::sqlite().await;
    let signer = Arc::new(Signer::generate(&SystemRandomness).unwrap());
    let clock = Arc::new(SystemClock);
    let config = without_membership(&database, &signer);
    let shutdown = Shutdown::new();
    let service = start(config, dependencies(), shutdown.clone())
        .await
        .unwrap();

    let endpoint = Endpoint::from_shared(format!("http://{}", service.address())).unwrap();
    let mut client = ClassCodeServiceClient::new(endpoint.connect().await.unwrap());
    let claims = Claims::new(
        ISSUER,
        AUDIENCE,
        "owner",
        clock.now(),
        TimeDelta::minutes(5),
    );
    let token = signer.sign(&claims).unwrap();
    let request = |authorized: bool| {
        let mut request = Request::new(GetClassCodeRequest {
            name: format!("{CLASS}/classCode"),
        });
        if authorized {
            let bearer = format!("Bearer {}", token.expose()).parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    };
    let refused = client.get_class_code(request(false)).await;
    assert_eq!(reason(refused), ErrorReason::AccessTokenInvalid);
    let refused = client.get_class_code(request(true)).await;
    assert_eq!(reason(refused), ErrorReason::MembershipUnavailable);

    drop(client);
    shutdown.begin();
    service.stopped().await.unwrap();
}
