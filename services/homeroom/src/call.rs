//! `homeroom call`: one call of a running service, for machines that have neither grpcurl nor buf.

use anstream::println;
use serde_json::Value;
use tonic::transport::Endpoint;
use tonic_types::StatusExt as _;

use crate::{
    Failure,
    arguments::CallArguments,
    dynamic::{self, Contract},
};

pub(crate) async fn run(arguments: &CallArguments) -> Result<(), Failure> {
    let method = Contract::load()?.method(&arguments.method)?;
    if method.is_server_streaming() {
        return Err("this method answers a stream; use grpcurl or buf curl".into());
    }
    let json: Value = serde_json::from_str(&arguments.request)
        .map_err(|error| format!("the request is not JSON: {error}"))?;
    let request = dynamic::request(&method, &json, &arguments.token)?;
    let channel = Endpoint::from_shared(format!("http://{}", arguments.address))?
        .connect()
        .await?;
    match dynamic::call(channel, &method, request).await? {
        Ok(answer) => {
            println!("{answer:#}");
            Ok(())
        }
        Err(status) => {
            let mut text = format!(
                "{} {}: {}",
                dynamic::code_name(status.code()),
                dynamic::reason_of(&status),
                status.message()
            );
            if let Some(request) = status.get_details_bad_request() {
                for violation in request.field_violations {
                    text.push_str("\n  ");
                    text.push_str(&violation.field);
                    text.push_str(": ");
                    text.push_str(&violation.description);
                }
            }
            Err(text.into())
        }
    }
}
