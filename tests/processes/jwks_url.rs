//! Both services read the key set of their callers from a URL: it is rotated while they run, and
//! becomes unreachable.

use std::{net::SocketAddr, time::Duration};

use chrono::TimeDelta;
use homeroom_kit::{
    auth::{Claims, Scopes, Signer, UNKNOWN_KEY_RETRY_SECONDS},
    clock::{Clock as _, SystemClock},
    random::SystemRandomness,
};
use homeroom_tests::{
    Clients, Engine, School,
    databases::Databases,
    details, eventually, free_address,
    key_server::KeyServer,
    probes::metric,
    processes::{Processes, Service},
    reason,
};
use serde_json::json;
use tonic::{Code, Status};

use crate::request;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "homeroom";
/// The metric of the last time at which the set was read.
const READ_TIME: &str = "homeroom_token_keys_read_timestamp_seconds";

/// Returns the seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "a time of this century")]
fn now() -> f64 {
    SystemClock.now().timestamp() as f64
}

/// Returns the set of this key.
fn jwks(signer: &Signer) -> String {
    json!({ "keys": [signer.jwk(None)] }).to_string()
}

/// Starts two services that have no key except from the URL; membership also has the key of
/// invitations.
async fn start(keys: &KeyServer) -> (Processes, SocketAddr) {
    let mut processes = Processes::on(Databases::create(Engine::Sqlite).await);
    let metrics = free_address();
    let url = keys.url();
    for service in Service::BOTH {
        processes = processes
            .with_setting(service, "JWKS_FILE", "")
            .with_setting(service, "JWKS_URL", &url)
            .with_setting(service, "TOKEN_ISSUER", ISSUER)
            .with_setting(service, "TOKEN_AUDIENCE", AUDIENCE);
    }
    processes = processes.with_keys_of_invitations().with_setting(
        Service::Membership,
        "METRICS_LISTEN_ADDRESS",
        &metrics.to_string(),
    );
    processes.launch_both().await;
    (processes, metrics)
}

/// Returns a caller whose token this key has signed at this time before now.
fn caller(
    processes: &Processes,
    signer: &Signer,
    subject: &str,
    scopes: &[&str],
    age: TimeDelta,
) -> Clients {
    let life = TimeDelta::hours(1);
    let claims = Claims::new(ISSUER, AUDIENCE, subject, SystemClock.now() - age, life)
        .with_scopes(Scopes::parse(&scopes.join(" ")));
    let token = signer.sign(&claims).unwrap();
    let [membership, invitations] = Service::BOTH.map(|service| processes.address(service));
    Clients::connect(membership, invitations, token.expose())
}

/// Returns the answers of both services to a person whose token of this key and age they see for the first time.
async fn answers(
    processes: &Processes,
    code: &str,
    signer: &Signer,
    age: TimeDelta,
) -> [Result<(), Status>; 2] {
    let student = caller(processes, signer, "student", &[], age);
    let redeemed = student.redeem_with(request(code, 0)).await;
    let list = "OrganizationService.ListOrganizations";
    let listed = student.call(list, &json!({})).await;
    [redeemed.map(drop), listed.map(drop)]
}

/// Checks that both services refuse tokens of this key, and say when to retry.
async fn both_look_for(processes: &Processes, code: &str, signer: &Signer) {
    for answer in answers(processes, code, signer, TimeDelta::zero()).await {
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        assert_eq!(reason(&refused), "OVERLOADED");
        let delay = details(&refused).retry_info().unwrap().retry_delay.unwrap();
        assert_eq!(delay, Duration::from_secs(UNKNOWN_KEY_RETRY_SECONDS));
    }
}

/// Checks that both services accept tokens of this key, at the latest after some retries.
async fn both_know(processes: &Processes, code: &str, signer: &Signer) {
    eventually("the key is known", async || {
        let answers = answers(processes, code, signer, TimeDelta::zero()).await;
        answers.iter().all(Result::is_ok)
    })
    .await;
}

#[tokio::test]
async fn keys_at_a_url_are_rotated_without_a_restart_and_outlast_their_server() {
    let [a, b, unknown] = [(); 3].map(|()| Signer::generate(&SystemRandomness).unwrap());
    let keys = KeyServer::start(jwks(&a)).await;
    let begun = now();
    let (processes, metrics) = start(&keys).await;
    let school = School::create("hamilton", 5, |claims| {
        let now = TimeDelta::zero();
        caller(&processes, &a, claims.subject, claims.scopes, now)
    });
    let code = school.await.class_code().await.code;
    both_know(&processes, &code, &a).await;
    let read = metric(metrics, READ_TIME).await.unwrap();
    assert!(begun <= read && read <= now());

    // The first token of another key causes a read of the set; then older tokens of a key that is
    // not in it are invalid.
    keys.say(jwks(&b));
    both_look_for(&processes, &code, &b).await;
    both_know(&processes, &code, &b).await;
    for answer in answers(&processes, &code, &a, TimeDelta::minutes(5)).await {
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
        assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
    }
    let read = metric(metrics, READ_TIME).await;

    keys.go_away().await;
    both_look_for(&processes, &code, &unknown).await;
    both_know(&processes, &code, &b).await;
    assert_eq!(metric(metrics, READ_TIME).await, read, "it was not read");
    processes.stop().await;
}
