//! Authenticates calls, and passes the caller to the methods.

use http::{HeaderMap, header::AUTHORIZATION};
use tonic::transport::server::TcpConnectInfo;

use super::{Deadline, Request, RequestId, TrustedProxies};
use crate::{
    auth::{Cause, USER_METADATA, Verifier, malformed_user},
    status::Error,
};

/// Adds the caller to the call, or says why its access token is refused.
pub(crate) fn authenticate(
    verifier: &Verifier,
    proxies: &TrustedProxies,
    request: &mut Request,
) -> Result<(), Error> {
    let token = bearer(request.headers()).map_err(|cause| verifier.refuse(&cause))?;
    let malformed = || malformed_user("must be one user id");
    let mut users = request.headers().get_all(USER_METADATA).iter();
    let user = users
        .next()
        .map(|user| user.to_str().map_err(|_| malformed()));
    let user = user.transpose()?;
    if users.next().is_some() {
        return Err(malformed());
    }
    let mut caller = verifier.caller(token, user)?;
    let extensions = request.extensions();
    caller.client_address = extensions
        .get::<TcpConnectInfo>()
        .and_then(TcpConnectInfo::remote_addr)
        .map(|address| proxies.client_address(address.ip(), request.headers()));
    if let Some(RequestId(id)) = extensions.get() {
        caller.request_id.clone_from(id);
    }
    caller.deadline = extensions.get().map(|Deadline(deadline)| *deadline);
    request.uri().path().clone_into(&mut caller.method);
    tracing::Span::current()
        .record("subject", caller.subject.as_str())
        .record("user", caller.user.as_str());
    request.extensions_mut().insert(caller);
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Result<&str, Cause> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Cause::Missing);
    };
    let text = value.to_str().ok();
    match text.and_then(|text| text.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Cause::NotBearer),
    }
}
