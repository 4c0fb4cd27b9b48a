//! `homeroom ready`: whether a running service is ready, by its exit status.

use std::time::Duration;

use homeroom_kit::server::READINESS;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{Failure, arguments::ReadyArguments, call::no_answer, dynamic};

/// How long a service may take to connect and to answer, each.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) async fn run(arguments: &ReadyArguments) -> Result<(), Failure> {
    let address = &arguments.address;
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| format!("{address} is no address: {error}"))?
        .connect_timeout(PATIENCE)
        .timeout(PATIENCE)
        .connect()
        .await
        .map_err(|error| no_answer(address, &error))?;
    let request = HealthCheckRequest {
        service: READINESS.to_owned(),
    };
    let status = HealthClient::new(channel)
        .check(request)
        .await
        .map_err(|status| {
            let name = dynamic::code_name(status.code());
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
