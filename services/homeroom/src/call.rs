//! `homeroom call`: one call to a running service, for machines that have neither grpcurl nor buf.

use anstream::println;
use serde_json::Value;

use crate::{
    Failure,
    arguments::CallArguments,
    dynamic::{Contract, message},
    remote::Remote,
};

pub(crate) async fn run(arguments: &CallArguments) -> Result<(), Failure> {
    let method = Contract::load()?.method(&arguments.method)?;
    if method.is_server_streaming() {
        return Err("this method answers a stream; use grpcurl or buf curl".into());
    }
    let json: Value = serde_json::from_str(&arguments.request)
        .map_err(|error| format!("the request is not JSON: {error}"))?;
    let request = message(&method, &json)?;
    let (address, user) = (&arguments.address, arguments.user.as_deref());
    let remote = Remote::connect(address, &arguments.caller, user).await?;
    let answer = remote.answer(&method, request).await?;
    println!("{answer:#}");
    Ok(())
}
