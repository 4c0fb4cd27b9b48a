//! The gRPC server: every call goes through the same layers, under the same limits.

mod authentication;
mod calls;
mod connections;
mod descriptors;
#[cfg(feature = "failpoints")]
mod failpoints;
mod health;
mod layers;
mod methods;
mod options;
mod proxies;

use std::{
    convert::Infallible,
    io,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use homeroom_api::FILE_DESCRIPTOR_SET;
use tokio::{net::TcpListener, time::sleep};
use tonic::{body::Body, server::NamedService, service::Routes, transport::Server};
use tower::Service;

pub(crate) use authentication::authenticate;
pub use calls::{HEALTH_CALLS_MAX, REFLECTION_CALLS_MAX};
pub use descriptors::FILES_RESERVED;
pub use health::{Health, LIVENESS, READINESS};
pub use layers::{CALL_SECONDS_MAX, REQUEST_ID_CHARS_MAX, REQUEST_ID_METADATA};
pub use options::{
    CALLS_MAX, CONNECTIONS_DEFAULT, CONNECTIONS_MAX, CONNECTIONS_MIN, CONNECTIONS_SETTING,
    ServeError, ServerOptions, read_connections_max,
};
pub use proxies::TrustedProxies;

use crate::{shutdown::Shutdown, status::Error};
use calls::Calls;
use connections::Limits;
use layers::Steps;

pub(crate) type Request = http::Request<Body>;
pub(crate) type Response = http::Response<Body>;

/// The most bytes of a message that a server accepts.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of a message that a server sends, the same number that the clients between our
/// services accept. A page of 1,000 resources may exceed 1 MiB, and a page that cannot be sent
/// would block a list permanently.
pub const MESSAGE_OUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most bytes of a message to health or reflection.
pub const OPEN_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// The most bytes of a call's headers: those of the longest access token, and as many again, so that a token that is
/// too long is refused by a sentence of ours.
pub const HEADER_BYTES_MAX: u32 = 32 * 1024;
/// The most calls under way on one connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 200;
/// The most calls of one connection that were cancelled before they began; more end the connection
/// (CVE-2023-44487).
pub const RESETS_PENDING_MAX: usize = 20;
/// The most calls of one connection that ended by its own errors; more end the connection
/// (CVE-2025-8671).
pub const ERROR_RESETS_MAX: usize = 1_024;
/// The time within which a connection must begin HTTP/2, including its TLS handshake, in seconds.
pub const HANDSHAKE_SECONDS_MAX: u64 = 5;
/// The time after which a silent connection is pinged, in seconds.
pub const KEEPALIVE_SECONDS: u64 = 30;
/// The time within which it must answer the ping, in seconds.
pub const KEEPALIVE_TIMEOUT_SECONDS: u64 = 10;
/// The time that calls have to finish after the order to shut down, in seconds.
pub const DRAIN_SECONDS_MAX: u64 = 20;
/// The time for which a shutdown waits for handshakes under way, in milliseconds.
const LATE_MILLIS: u64 = 500;

/// The id of a request, an extension of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// The time at which the caller stops waiting, an extension of requests with a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// Returns health and these generated servers, each with its handlers, gzip and the message limits of every Homeroom
/// service. It awaits, so it stands in async code.
#[macro_export]
macro_rules! services {
    ($($server:ident($handlers:expr)),+ $(,)?) => {
        $crate::server::Services::new().await$(.add_service(
            $server::new($handlers)
                .accept_compressed(::tonic::codec::CompressionEncoding::Gzip)
                .send_compressed(::tonic::codec::CompressionEncoding::Gzip)
                .max_decoding_message_size($crate::server::MESSAGE_BYTES_MAX)
                .max_encoding_message_size($crate::server::MESSAGE_OUT_BYTES_MAX),
        ))+
    };
}

/// Answers a call with a failure, as a trailers-only gRPC response.
pub(crate) fn refuse(error: Error) -> Response {
    tonic::Status::from(error).into_http()
}

/// Returns true if the path belongs to health.
pub(crate) fn is_health_path(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.Health/")
}

/// Returns true if the path is open to callers without a token: health and reflection.
pub(crate) fn is_open_path(path: &str) -> bool {
    let reflection = [
        "/grpc.reflection.v1.ServerReflection/",
        "/grpc.reflection.v1alpha.ServerReflection/",
    ];
    is_health_path(path) || reflection.iter().any(|service| path.starts_with(service))
}

/// The gRPC services of a server, including health.
#[derive(Debug)]
pub struct Services {
    routes: Routes,
    health: Health,
}

impl Services {
    /// Returns health alone: alive, not ready.
    pub async fn new() -> Self {
        let (health, service) = Health::start().await;
        Self {
            routes: Routes::new(service.max_decoding_message_size(OPEN_MESSAGE_BYTES_MAX)),
            health,
        }
    }

    /// Adds a service: a generated server ([`services!`](crate::services)).
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.health.add_service(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// Returns the handle that sets readiness.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }
}

/// Serves until the order to shut down, and until all work has finished or its time is over. An
/// answer has finished when it has left, or when no reader has taken any bytes for a second.
/// Connections that are left then end with the process.
///
/// # Errors
/// Returns [`ServeError::NotDrained`] if a call is still under way when the time is over.
pub async fn serve(
    listener: TcpListener,
    options: ServerOptions,
    services: Services,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let Services { mut routes, health } = services;
    health.report().await;
    if options.reflection {
        routes = add_reflection(routes, health.services())?;
    }
    tokio::spawn(Arc::clone(&options.verifier).follow_keys(shutdown.clone()));
    if let Some(tls) = &options.tls {
        tls.watch(options.tls_reload);
    }
    tracing::info!(%address, tls = options.tls.is_some(), "serving");

    let calls = Calls::new(options.calls_max);
    let steps = Steps::new(
        calls.clone(),
        options.verifier,
        options.trusted_proxies,
        options.clock,
        options.random,
    );
    let writes = Arc::new(AtomicU64::new(0));
    let limits = Limits {
        connections_max: descriptors::room_for(options.connections_max),
        handshake: options.handshake,
        tls: options.tls,
        writes: Arc::clone(&writes),
    };
    let accepted = connections::accepted(listener, limits, shutdown.clone());
    let late = async {
        shutdown.wait().await;
        sleep(Duration::from_millis(LATE_MILLIS)).await;
    };
    let serving = Server::builder()
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_PENDING_MAX))
        .http2_max_local_error_reset_streams(Some(ERROR_RESETS_MAX))
        .http2_keepalive_interval(Some(Duration::from_secs(KEEPALIVE_SECONDS)))
        .http2_keepalive_timeout(Some(Duration::from_secs(KEEPALIVE_TIMEOUT_SECONDS)))
        .max_connection_age(options.connection_age)
        .layer(steps)
        .serve_with_incoming_shutdown(routes, accepted, late);
    let stopping = async {
        shutdown.wait().await;
        health.set_ready(false).await;
        let drain = options.drain.min(shutdown.time_left());
        let ended = tokio::time::timeout(drain, calls.ended(&writes)).await;
        if ended.is_err() && !calls.none() {
            return Err(ServeError::NotDrained(drain));
        }
        // Only connections are left: of watches of health, of clients that do not notice the order
        // to close (hyperium/hyper #4170), or of readers that have stopped reading.
        Ok(())
    };
    tokio::select! {
        served = serving => {
            health.set_ready(false).await;
            Ok(served?)
        }
        stopped = stopping => stopped,
    }
}

fn add_reflection(routes: Routes, names: &[&str]) -> io::Result<Routes> {
    let configure = || {
        let builder = tonic_reflection::server::Builder::configure();
        names
            .iter()
            .fold(builder, |builder, name| builder.with_service_name(*name))
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health")
    };
    let v1 = configure().build_v1().map_err(io::Error::other)?;
    let v1alpha = configure().build_v1alpha().map_err(io::Error::other)?;
    Ok(routes
        .add_service(v1.max_decoding_message_size(OPEN_MESSAGE_BYTES_MAX))
        .add_service(v1alpha.max_decoding_message_size(OPEN_MESSAGE_BYTES_MAX)))
}

#[cfg(test)]
mod tests;
