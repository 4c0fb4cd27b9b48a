//! `homeroom ready`: whether a running service is ready, by its exit status.

use std::time::Duration;

use homeroom_kit::server::READINESS;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{Failure, arguments::ReadyArguments};

/// How long a service may take to connect and to answer, each.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) async fn run(arguments: &ReadyArguments) -> Result<(), Failure> {
    let channel = Endpoint::from_shared(format!("http://{}", arguments.address))?
        .connect_timeout(PATIENCE)
        .timeout(PATIENCE)
        .connect()
        .await?;
    let request = HealthCheckRequest {
        service: READINESS.to_owned(),
    };
    let status = HealthClient::new(channel)
        .check(request)
        .await?
        .into_inner()
        .status();
    if status == ServingStatus::Serving {
        Ok(())
    } else {
        Err(format!("it answers {}", status.as_str_name()).into())
    }
}
