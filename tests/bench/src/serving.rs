//! Waits for a service that is about to start.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{Failure, homeroom::connect};

/// The health service's name for readiness.
const READINESS: &str = "readiness";
/// The time within which a service must start.
const START_SECONDS_MAX: u64 = 60;
/// The interval between two checks.
const PAUSE_MILLIS: u64 = 1;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The address of the service.
    #[arg(long)]
    address: SocketAddr,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    // The program that starts the service waits for this line, and takes the time of the next.
    println!("looking");
    let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
    while !is_serving(arguments.address).await {
        if Instant::now() >= deadline {
            return Err(format!("not ready within {START_SECONDS_MAX} s").into());
        }
        sleep(Duration::from_millis(PAUSE_MILLIS)).await;
    }
    Ok(json!("serving"))
}

async fn is_serving(address: SocketAddr) -> bool {
    let Ok(channel) = connect(address).await else {
        return false;
    };
    let request = HealthCheckRequest {
        service: READINESS.to_owned(),
    };
    let answer = HealthClient::new(channel).check(request).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}
