//! Authenticates calls, and passes the caller to the methods.

use std::net::IpAddr;

use homeroom_api::common::v1::ErrorReason;
use http::{HeaderMap, header::AUTHORIZATION};
use tonic::transport::server::TcpConnectInfo;

use super::{Deadline, Request, RequestId};
use crate::{
    auth::{Caller, Cause, Refused, USER_METADATA, Verifier, key_not_known_yet},
    status::Error,
};

/// Adds the caller to the call, or says why its access token is refused.
pub(crate) async fn authenticate(verifier: &Verifier, request: &mut Request) -> Result<(), Error> {
    let mut found = caller(verifier, request);
    let mut known = true;
    if let Err(Refused::UnknownKey { age, .. }) = found {
        known = verifier.keys_read_since(age).await;
        found = caller(verifier, request);
    }
    let caller = found.map_err(|refused| {
        verifier.log(&refused);
        match refused {
            Refused::UnknownKey { .. } if !known => key_not_known_yet(),
            refused => refused.into(),
        }
    })?;
    tracing::Span::current()
        .record("subject", caller.subject.as_str())
        .record("user", caller.user.as_str());
    request.extensions_mut().insert(caller);
    Ok(())
}

fn caller(verifier: &Verifier, request: &Request) -> Result<Caller, Refused> {
    let token = bearer(request.headers())?;
    let mut users = request.headers().get_all(USER_METADATA).iter();
    let user = users
        .next()
        .map(|user| user.to_str().map_err(|_| malformed_user()))
        .transpose()?;
    if users.next().is_some() {
        return Err(malformed_user().into());
    }
    let mut caller = verifier.caller_by_known_keys(token, user)?;
    let extensions = request.extensions();
    caller.client_address = extensions
        .get::<TcpConnectInfo>()
        .and_then(TcpConnectInfo::remote_addr)
        .map(|address| IpAddr::to_canonical(&address.ip()));
    if let Some(RequestId(id)) = extensions.get() {
        caller.request_id.clone_from(id);
    }
    caller.deadline = extensions.get().map(|Deadline(deadline)| *deadline);
    request.uri().path().clone_into(&mut caller.method);
    Ok(caller)
}

fn malformed_user() -> Error {
    Error::new(
        ErrorReason::InvalidRequest,
        "Correct the metadata x-homeroom-user.",
    )
    .violation(USER_METADATA, "must be one user id")
}

fn bearer(headers: &HeaderMap) -> Result<&str, Cause> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Cause::Missing);
    };
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or(Cause::NotBearer)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(Cause::NotBearer)
    }
}
