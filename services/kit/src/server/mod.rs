//! The gRPC server: every call goes through the same layers, under the same limits.

mod authentication;
mod calls;
mod connection;
mod connections;
mod descriptors;
mod ending;
#[cfg(feature = "failpoints")]
mod failpoints;
mod health;
mod layers;
pub(crate) mod middleware;
mod options;
mod shares;
mod wire;

use std::{
    convert::Infallible,
    future::pending,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use homeroom_api::FILE_DESCRIPTOR_SET;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::Routes, transport::Server};
use tower::Service;

pub use calls::{HEALTH_CALLS_MAX, REFLECTION_CALLS_MAX};
pub use descriptors::FILES_RESERVED;
pub use ending::Ending;
pub use health::{Health, LIVENESS, READINESS};
pub use layers::{CALL_SECONDS_MAX, REQUEST_ID_CHARS_MAX, REQUEST_ID_METADATA};
pub use options::{
    CALLS_MAX, CONNECTIONS_DEFAULT, CONNECTIONS_MAX, CONNECTIONS_MIN, CONNECTIONS_SETTING,
    ServeError, ServerOptions, read_connections_max,
};
pub use shares::CALLS_OF_A_PERSON_MAX;

use crate::shutdown::Shutdown;
pub(crate) use authentication::AuthenticationStep;
use calls::Calls;
use connections::Limits;
use layers::{AnswerStep, DeadlineStep, RequestIdStep, TraceStep};
use middleware::{Middleware as _, Steps};
use shares::ShareStep;
use wire::Wires;

/// The most bytes of a message that a server accepts.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of a message that a server sends, the same number that the clients between our
/// services accept. A page of 1,000 resources may exceed 1 MiB, and a page that cannot be sent
/// would block a list permanently.
pub const MESSAGE_OUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most bytes of a message to health or reflection.
pub const OPEN_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// The most bytes of a call's headers.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;
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

/// The id of a request, an extension of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// The time at which the caller stops waiting, an extension of requests with a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// Returns the generated server `$server` with gzip and the message limits of every Homeroom
/// service.
#[macro_export]
macro_rules! tuned {
    ($server:expr) => {
        $server
            .accept_compressed(::tonic::codec::CompressionEncoding::Gzip)
            .send_compressed(::tonic::codec::CompressionEncoding::Gzip)
            .max_decoding_message_size($crate::server::MESSAGE_BYTES_MAX)
            .max_encoding_message_size($crate::server::MESSAGE_OUT_BYTES_MAX)
    };
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
    names: Vec<&'static str>,
}

impl Services {
    /// Returns health alone: alive, not ready.
    pub async fn new() -> Self {
        let (health, service) = Health::start().await;
        Self {
            routes: Routes::new(service.max_decoding_message_size(OPEN_MESSAGE_BYTES_MAX)),
            health,
            names: Vec::new(),
        }
    }

    /// Adds a service: a generated server, [`tuned!`].
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
        self.names.push(S::NAME);
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
/// answer has finished when it has left, or when no reader has taken any bytes for a second; if the
/// time is over before that, it is cut.
///
/// # Errors
/// Returns [`ServeError::NotDrained`] if a call is still under way when the time is over. Refuses
/// to start without authentication, and without TLS beyond loopback unless the options allow it.
pub async fn serve(
    listener: TcpListener,
    options: ServerOptions,
    services: Services,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let address: SocketAddr = listener.local_addr()?;
    let verifier = options.check(address)?;
    let follow_keys = Arc::clone(&verifier).follow_keys(shutdown.clone());
    let Services {
        mut routes,
        health,
        names,
    } = services;
    for name in &names {
        health.add_service(name).await;
    }
    if options.reflection {
        routes = add_reflection(routes, &names)?;
    }

    let calls = Calls::new(options.calls_max);
    let request_ids = RequestIdStep {
        clock: options.clock.clone(),
        random: options.random.clone(),
    };
    let steps = request_ids
        .then(TraceStep)
        .then(AnswerStep)
        .then(DeadlineStep)
        .then(AuthenticationStep::new(verifier))
        .then(ShareStep::new(options.calls_max));
    #[cfg(feature = "failpoints")]
    let steps = steps.then(failpoints::FailpointStep);
    let server = Server::builder()
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_PENDING_MAX))
        .http2_max_local_error_reset_streams(Some(ERROR_RESETS_MAX))
        .http2_keepalive_interval(Some(Duration::from_secs(KEEPALIVE_SECONDS)))
        .http2_keepalive_timeout(Some(Duration::from_secs(KEEPALIVE_TIMEOUT_SECONDS)))
        .max_connection_age(options.connection_age)
        .layer(calls.clone())
        .layer(Steps::new(steps));

    tokio::spawn(follow_keys);
    if let Some(tls) = &options.tls {
        tls.watch(options.tls_reload);
    }
    tracing::info!(%address, tls = options.tls.is_some(), "serving");
    let cut = CancellationToken::new();
    let connections = connections::accepted(
        listener,
        Limits {
            connections_max: descriptors::room_for(options.connections_max),
            handshake: options.handshake,
        },
        options.tls,
        shutdown.clone(),
        Wires {
            cut: cut.clone(),
            activity: calls.activity(),
        },
    );
    // Accepting ends by itself after the shutdown, once all earlier connections have been accepted.
    let serving = server.serve_with_incoming_shutdown(routes, connections, pending());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => {
            health.set_ready(false).await;
            return Ok(ended?);
        }
        () = shutdown.wait() => health.set_ready(false).await,
    }
    let drain = options.drain.min(shutdown.time_left());
    let drained = tokio::time::timeout(drain, async {
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = calls.ended() => {}
        }
        // Only connections are left: of watches of health, of clients that do not notice the order
        // to close (hyperium/hyper #4170), or of readers that have stopped reading.
        tracing::info!("connections without a call are cut");
        cut.cancel();
        Ok(serving.await?)
    })
    .await;
    drained.unwrap_or_else(|_| {
        cut.cancel();
        if calls.none() {
            tracing::info!("connections are cut: the time to finish calls is over");
            Ok(())
        } else {
            Err(ServeError::NotDrained(drain))
        }
    })
}

fn add_reflection(routes: Routes, names: &[&str]) -> Result<Routes, ServeError> {
    let configure = || {
        names
            .iter()
            .fold(
                tonic_reflection::server::Builder::configure(),
                |builder, name| builder.with_service_name(*name),
            )
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health")
    };
    let refused = |error: tonic_reflection::server::Error| {
        ServeError::Io(io::Error::other(error.to_string()))
    };
    let v1 = configure().build_v1().map_err(refused)?;
    let v1alpha = configure().build_v1alpha().map_err(refused)?;
    Ok(routes
        .add_service(v1.max_decoding_message_size(OPEN_MESSAGE_BYTES_MAX))
        .add_service(v1alpha.max_decoding_message_size(OPEN_MESSAGE_BYTES_MAX)))
}

#[cfg(test)]
mod tests;
