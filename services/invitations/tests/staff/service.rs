//! The service as a server: it starts without membership, says so, and ends when it is told to.

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
    office::{CLASS, reason},
};

const ISSUER: &str = "https://platform.example";
const AUDIENCE: &str = "homeroom";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_without_membership_it_serves_and_says_that_the_outcome_is_not_known() {
    let database = Database::sqlite().await;
    let signer = Arc::new(Signer::generate(&SystemRandomness).unwrap());
    let keys = signer.keys(None).unwrap();
    let clock = Arc::new(SystemClock);
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let config = Config::for_tests(
        database.url.clone(),
        None,
        nobody,
        Arc::new(Verifier::new(keys, ISSUER, AUDIENCE, clock.clone())),
        Arc::new(KeyRing::generate(&SystemRandomness).unwrap()),
        signer.clone(),
        ISSUER,
        AUDIENCE,
    );
    let dependencies = Dependencies {
        clock: clock.clone(),
        random: Arc::new(SystemRandomness),
    };
    let shutdown = Shutdown::new();
    let service = start(config, dependencies, shutdown.clone()).await.unwrap();

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
