//! The membership port over gRPC: a channel that connects on first use, and tokens that this service signs itself.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{
    common::v1::{ErrorReason, ListEventsRequest, ListEventsResponse},
    ids::UserId,
    membership::v1::{
        AdmitRequest, BatchAdmitRequest, CheckAccessRequest, EraseUserRequest, GetAdmissionRequest,
        ListUserRecordsRequest, MoveUserRequest, Permission, RaiseFenceRequest,
        admission_service_client::AdmissionServiceClient, batch_admit_response,
        event_service_client::EventServiceClient, user_service_client::UserServiceClient,
    },
    names::{Place, RedemptionName, UserName},
};
use homeroom_kit::{
    Error, Result, SharedClock,
    auth::{Claims, Scope, Scopes, Signer},
    erasure::Replacement,
    failpoints::{self, Injected, Moment},
    secret::SecretText,
    status::code_name,
    tls::{ClientTls, RELOAD_SECONDS},
    trace::{self, SpanKind},
};
use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Endpoint},
};

use super::{Access, Admission, Membership, UserRecords, convert};
use crate::{SERVICE, domain::invitation::Epoch, store::PersonKnown};

/// The lifetime of this service's own tokens, in minutes.
const TOKEN_MINUTES: i64 = 5;
/// The time before its expiry from which a token is no longer used, in minutes.
const TOKEN_RENEW_MINUTES: i64 = 1;
/// The subject of this service's own tokens.
const TOKEN_SUBJECT: &str = "homeroom-invitations";
/// The margin by which this service's deadline precedes the caller's, in milliseconds.
const DEADLINE_MARGIN_MILLIS: u64 = 50;
/// The maximum time for a call of membership, in milliseconds, even if the caller allows more.
const CALL_MILLIS_MAX: u64 = 5_000;
/// The maximum time for connecting, in milliseconds.
const CONNECT_MILLIS_MAX: u64 = 2_000;
/// The idle time after which a connection is probed, in seconds.
const KEEPALIVE_SECONDS: u64 = 20;
/// The maximum size of an answer in bytes: 500 admissions, or 1,000 events.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The error for a text that is no address of a membership service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MembershipUrlMalformed {
    /// The text is no URL of a host.
    #[error("must be an address such as http://127.0.0.1:50051 or https://membership:50051")]
    NoAddress,
    /// The address asks for TLS, but no certificate authority is trusted.
    #[error(
        "begins with https://, so MEMBERSHIP_CA_FILE must name the certificate of its authority"
    )]
    NoAuthority,
    /// The address asks for plaintext, but TLS is configured.
    #[error("must begin with https://, since TLS is set up for it")]
    NotTls,
}

/// The membership service, over gRPC.
pub struct MembershipClient {
    admission: AdmissionServiceClient<Channel>,
    events: EventServiceClient<Channel>,
    users: UserServiceClient<Channel>,
    signer: Arc<Signer>,
    issuer: String,
    audience: String,
    clock: SharedClock,
    /// The current token and its expiry.
    token: Mutex<Option<(SecretText, DateTime<Utc>)>>,
}

impl fmt::Debug for MembershipClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MembershipClient")
    }
}

impl MembershipClient {
    /// Checks an address without connecting.
    pub fn check_url(url: &str) -> std::result::Result<(), MembershipUrlMalformed> {
        endpoint(url).map(|_| ())
    }

    /// Makes a client for the service at `url`, which need not answer yet. It uses `tls` if the address begins with
    /// `https://`, and tokens that `signer` signs for `issuer` and `audience`. It must be called inside a runtime.
    pub fn new(
        url: &str,
        tls: Option<&ClientTls>,
        signer: Arc<Signer>,
        issuer: impl Into<String>,
        audience: impl Into<String>,
        clock: SharedClock,
    ) -> std::result::Result<Self, MembershipUrlMalformed> {
        let endpoint = endpoint(url)?;
        let channel = match (endpoint.uri().scheme_str() == Some("https"), tls) {
            (false, None) => endpoint.connect_lazy(),
            (true, Some(tls)) => {
                tls.watch(Duration::from_secs(RELOAD_SECONDS));
                tls.channel(&endpoint)
            }
            (true, None) => return Err(MembershipUrlMalformed::NoAuthority),
            (false, Some(_)) => return Err(MembershipUrlMalformed::NotTls),
        };
        Ok(Self {
            admission: AdmissionServiceClient::new(channel.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            users: UserServiceClient::new(channel.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            events: EventServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX),
            signer,
            issuer: issuer.into(),
            audience: audience.into(),
            clock,
            token: Mutex::new(None),
        })
    }

    /// Returns a token that is valid for at least another minute.
    fn token(&self) -> Result<SecretText> {
        let now = self.clock.now();
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, until)) = held.as_ref() {
            let fresh = now < *until && *until - now <= TimeDelta::minutes(TOKEN_MINUTES);
            if fresh {
                return Ok(token.clone());
            }
        }
        let claims = Claims::new(
            self.issuer.as_str(),
            self.audience.as_str(),
            TOKEN_SUBJECT,
            now,
            TimeDelta::minutes(TOKEN_MINUTES),
        )
        .with_scopes(Scopes::NONE.with(Scope::Admit));
        let token = self.signer.sign(&claims).map_err(Error::internal)?;
        let until = now + TimeDelta::minutes(TOKEN_MINUTES - TOKEN_RENEW_MINUTES);
        *held = Some((token.clone(), until));
        Ok(token)
    }

    fn forget_token(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Calls the method `rpc` under its deadline and as part of the caller's trace. Failures become errors of this
    /// service.
    async fn call<M, A, F>(
        &self,
        rpc: &'static str,
        message: M,
        deadline: Option<Instant>,
        send: impl FnOnce(Request<M>) -> F,
    ) -> Result<A>
    where
        F: Future<Output = std::result::Result<Response<A>, Status>>,
    {
        let limit = time_left(deadline)?;
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.token()?.expose());
        let mut bearer = bearer
            .parse::<tonic::metadata::MetadataValue<_>>()
            .map_err(Error::internal)?;
        bearer.set_sensitive(true);
        request.metadata_mut().insert("authorization", bearer);
        request.set_timeout(limit);
        let called = async {
            trace::inject(request.metadata_mut());
            failpoints::reached(SERVICE, rpc, Moment::Sending).await?;
            let answer = send(request).await;
            if let Err(status) = &answer {
                trace::failed(code_name(status.code()));
            }
            failpoints::reached(SERVICE, rpc, Moment::Answered).await?;
            Ok::<_, Injected>(answer)
        };
        let attributes = [("rpc.system.name", "grpc")];
        let called = async {
            let called = tokio::time::timeout(limit, called).await;
            if called.is_err() {
                trace::failed(code_name(Code::DeadlineExceeded));
            }
            called
        };
        match trace::span(SpanKind::Client, rpc, &attributes, called).await {
            Ok(Ok(Ok(answer))) => Ok(answer.into_inner()),
            Ok(Ok(Err(status))) => Err(self.failure(&status)),
            Ok(Err(_)) => Err(unavailable()),
            Err(_) => {
                tracing::warn!("membership did not answer in time");
                Err(unavailable())
            }
        }
    }

    /// Converts a failed call: the outcome is unknown, unless membership says more.
    fn failure(&self, status: &Status) -> Error {
        let known = Error::from_status(status);
        match known.as_ref().map(Error::reason) {
            // These answers have a meaning for this service.
            Some(
                ErrorReason::RedemptionNotFound
                | ErrorReason::LastOwner
                | ErrorReason::InvalidPageToken
                | ErrorReason::PageTokenExpired,
            ) => known.unwrap_or_else(unavailable),
            Some(ErrorReason::InvalidRequest) => Error::internal(format_args!(
                "membership refused what this service sent: {status}"
            )),
            Some(ErrorReason::AccessTokenExpired | ErrorReason::AccessTokenInvalid) => {
                self.forget_token();
                tracing::error!(%status, "membership does not accept this service's tokens");
                unavailable()
            }
            _ => {
                tracing::warn!(%status, "membership did not answer");
                unavailable()
            }
        }
    }
}

/// Returns `MEMBERSHIP_UNAVAILABLE`: the outcome is unknown.
fn unavailable() -> Error {
    Error::unavailable(
        ErrorReason::MembershipUnavailable,
        "The membership service does not answer; retry with the same request_id after the delay given.",
    )
}

/// Returns the maximum time for a call, which ends before the caller stops waiting, so that the answer can be sent on.
fn time_left(deadline: Option<Instant>) -> Result<Duration> {
    let longest = Duration::from_millis(CALL_MILLIS_MAX);
    let Some(deadline) = deadline else {
        return Ok(longest);
    };
    let left = deadline
        .saturating_duration_since(Instant::now())
        .saturating_sub(Duration::from_millis(DEADLINE_MARGIN_MILLIS));
    if left.is_zero() {
        return Err(Error::new(
            ErrorReason::DeadlineTooShort,
            "Send a longer deadline: this one leaves no time to ask the membership service.",
        ));
    }
    Ok(left.min(longest))
}

fn endpoint(url: &str) -> std::result::Result<Endpoint, MembershipUrlMalformed> {
    let parsed = url::Url::parse(url).map_err(|_| MembershipUrlMalformed::NoAddress)?;
    if !["http", "https"].contains(&parsed.scheme()) || parsed.host_str().is_none() {
        return Err(MembershipUrlMalformed::NoAddress);
    }
    Ok(Endpoint::from_shared(url.to_owned())
        .map_err(|_| MembershipUrlMalformed::NoAddress)?
        .connect_timeout(Duration::from_millis(CONNECT_MILLIS_MAX))
        .http2_keep_alive_interval(Duration::from_secs(KEEPALIVE_SECONDS))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true))
}

/// Calls a method of one of membership's services.
macro_rules! ask {
    ($self:ident.$service:ident.$method:ident, $rpc:literal, $message:expr, $deadline:expr) => {{
        let mut client = $self.$service.clone();
        let send = |request| async move { client.$method(request).await };
        $self.call($rpc, $message, $deadline, send).await
    }};
}

#[async_trait]
impl Membership for MembershipClient {
    async fn admit(
        &self,
        requests: &[AdmitRequest],
        deadline: Option<Instant>,
    ) -> Vec<Result<Admission>> {
        let message = BatchAdmitRequest {
            requests: requests.to_vec(),
        };
        let answered = ask!(self.admission.batch_admit, "BatchAdmit", message, deadline);
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => return requests.iter().map(|_| Err(error.clone())).collect(),
        };
        // The outcome of a missing row is unknown (P11).
        let mut results: Vec<Result<Admission>> =
            requests.iter().map(|_| Err(unavailable())).collect();
        for result in answered.results {
            let place = usize::try_from(result.index)
                .ok()
                .and_then(|index| results.get_mut(index));
            let Some(place) = place else { continue };
            *place = match result.outcome {
                Some(batch_admit_response::result::Outcome::Admission(admission)) => {
                    convert::admission(admission)
                }
                Some(batch_admit_response::result::Outcome::Status(status)) => {
                    tracing::warn!(
                        code = status.code,
                        message = status.message,
                        "membership did not answer for one redemption"
                    );
                    Err(if status.code == i32::from(Code::InvalidArgument) {
                        Error::new(ErrorReason::InvalidRequest, status.message)
                    } else {
                        unavailable()
                    })
                }
                None => Err(unavailable()),
            };
        }
        results
    }

    async fn get_admission(
        &self,
        redemption: &RedemptionName,
        deadline: Option<Instant>,
    ) -> Result<Option<Admission>> {
        let message = GetAdmissionRequest {
            name: redemption.to_string(),
        };
        let answered = ask!(
            self.admission.get_admission,
            "GetAdmission",
            message,
            deadline
        );
        match answered {
            Ok(admission) => convert::admission(admission).map(Some),
            Err(error) if error.reason() == ErrorReason::RedemptionNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn raise_fence(
        &self,
        invitation: &str,
        epoch: Epoch,
        deadline: Option<Instant>,
    ) -> Result<Epoch> {
        let message = RaiseFenceRequest {
            invitation: invitation.to_owned(),
            epoch: epoch.value(),
        };
        let answered = ask!(self.admission.raise_fence, "RaiseFence", message, deadline)?;
        let stands = Epoch::new(answered.epoch);
        if stands < epoch {
            return Err(Error::internal("membership left a fence below its epoch"));
        }
        Ok(stands)
    }

    async fn check_access(
        &self,
        user: &UserId,
        place: &Place,
        permission: Permission,
        deadline: Option<Instant>,
    ) -> Result<Access> {
        let message = CheckAccessRequest {
            user: user.to_string(),
            name: place.to_string(),
            permission: permission.into(),
        };
        ask!(
            self.admission.check_access,
            "CheckAccess",
            message,
            deadline
        )
        .map(convert::access)
    }

    async fn look_at_person(
        &self,
        user: &UserId,
        deadline: Option<Instant>,
    ) -> Result<Vec<PersonKnown>> {
        let message = EraseUserRequest {
            name: UserName(user.clone()).to_string(),
            validate_only: true,
            ..EraseUserRequest::default()
        };
        let answered = ask!(self.users.erase_user, "EraseUser", message, deadline)?;
        convert::particulars(answered.particulars)
    }

    async fn erase_user(&self, user: &UserId, pseudonym: &UserId) -> Result<()> {
        let message = EraseUserRequest {
            name: UserName(user.clone()).to_string(),
            pseudonym: pseudonym.to_string(),
            validate_only: false,
        };
        ask!(self.users.erase_user, "EraseUser", message, None).map(|_| ())
    }

    async fn move_user(&self, replacement: &Replacement, id: &UserId) -> Result<()> {
        let message = MoveUserRequest {
            name: UserName(replacement.user.clone()).to_string(),
            target: UserName(replacement.by.clone()).to_string(),
            move_id: id.to_string(),
        };
        ask!(self.users.move_user, "MoveUser", message, None).map(|_| ())
    }

    async fn user_records(
        &self,
        user: &UserId,
        page_size: u32,
        page_token: &str,
        deadline: Option<Instant>,
    ) -> Result<UserRecords> {
        let message = ListUserRecordsRequest {
            parent: UserName(user.clone()).to_string(),
            page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
            page_token: page_token.to_owned(),
        };
        let answered = ask!(
            self.users.list_user_records,
            "ListUserRecords",
            message,
            deadline
        )?;
        Ok(UserRecords {
            records: answered.user_records,
            next_page_token: answered.next_page_token,
            known: convert::particulars(answered.particulars)?,
        })
    }

    async fn list_events(&self, page_size: u32, page_token: &str) -> Result<ListEventsResponse> {
        let message = ListEventsRequest {
            parent: "organizations/-".to_owned(),
            page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
            page_token: page_token.to_owned(),
        };
        ask!(self.events.list_events, "ListEvents", message, None)
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
