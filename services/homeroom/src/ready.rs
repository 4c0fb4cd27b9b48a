//! `homeroom ready`: checks if a running service is ready, and reports by its exit status.

use std::time::Duration;

use homeroom_kit::{server::READINESS, status::code_name};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{Failure, arguments::ReadyArguments, connect::connect};

/// The longest time that a service may take to connect, and to answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) async fn run(arguments: &ReadyArguments) -> Result<(), Failure> {
    let address = &arguments.address;
    let channel = connect(address, &arguments.tls, PATIENCE).await?;
    let request = HealthCheckRequest {
        service: READINESS.to_owned(),
    };
    let status = HealthClient::new(channel)
        .check(request)
        .await
        .map_err(|status| {
            let name = code_name(status.code());
            format!(
                "{address} does not tell whether it is ready: {name}: {}",
                status.message()
            )
        })?
        .into_inner()
        .status();
    if status == ServingStatus::Serving {
        Ok(())
    } else {
        Err(format!(
            "{address} is not ready: it answers {}; its log says why",
            status.as_str_name()
        )
        .into())
    }
}
