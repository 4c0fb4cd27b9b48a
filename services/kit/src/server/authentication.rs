//! The step that authenticates calls and passes the caller to the methods.

use std::sync::Arc;

use homeroom_api::common::v1::ErrorReason;
use http::{HeaderMap, header::AUTHORIZATION};

use super::{
    Deadline, RequestId,
    connection::ConnectionInfo,
    is_open_path,
    middleware::{Inner, Middleware, Request, Response, refuse},
};
use crate::{
    auth::{Caller, Cause, Refused, USER_METADATA, Verifier, key_not_known_yet},
    status::Error,
};

/// Checks every call except those of health and reflection.
#[derive(Debug, Clone)]
pub(crate) struct AuthenticationStep(Arc<Verifier>);

impl AuthenticationStep {
    /// Returns a step that accepts the tokens that the verifier accepts.
    pub(crate) fn new(verifier: Arc<Verifier>) -> Self {
        Self(verifier)
    }

    fn caller(&self, request: &Request) -> Result<Caller, Refused> {
        let token = bearer(request.headers())?;
        let mut users = request.headers().get_all(USER_METADATA).iter();
        let user = users
            .next()
            .map(|user| user.to_str().map_err(|_| malformed_user()))
            .transpose()?;
        if users.next().is_some() {
            return Err(malformed_user().into());
        }
        let mut caller = self.0.caller_by_known_keys(token, user)?;
        let extensions = request.extensions();
        caller.client_address = extensions
            .get::<ConnectionInfo>()
            .and_then(ConnectionInfo::remote_addr)
            .map(|address| address.ip().to_canonical());
        if let Some(RequestId(id)) = extensions.get() {
            caller.request_id.clone_from(id);
        }
        caller.deadline = extensions.get().map(|Deadline(deadline)| *deadline);
        request.uri().path().clone_into(&mut caller.method);
        Ok(caller)
    }
}

impl Middleware for AuthenticationStep {
    async fn handle<S: Inner>(&self, mut request: Request, inner: S) -> Response {
        if !is_open_path(request.uri().path()) {
            let mut found = self.caller(&request);
            let mut known = true;
            if let Err(Refused::UnknownKey { age, .. }) = found {
                known = self.0.keys_read_since(age).await;
                found = self.caller(&request);
            }
            match found {
                Ok(caller) => {
                    tracing::Span::current()
                        .record("subject", caller.subject.as_str())
                        .record("user", caller.user.as_str());
                    request.extensions_mut().insert(caller);
                }
                Err(refused) => {
                    self.0.log(&refused);
                    return refuse(match refused {
                        Refused::UnknownKey { .. } if !known => key_not_known_yet(),
                        refused => refused.into(),
                    });
                }
            }
        }
        inner.answer(request).await
    }
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
