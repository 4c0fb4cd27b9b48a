//! Metrics for an operator's monitoring: `GET /metrics` in Prometheus's text format, on a separate
//! address and without a token.
//!
//! The code records metrics through the `metrics` facade; without a [`MetricsServer`] in the
//! process that costs nothing and shows nothing.

use std::{
    convert::Infallible,
    error::Error,
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ::metrics::{describe_gauge, gauge};
use futures::StreamExt as _;
use http::{Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;

use crate::{
    config::{Reader, parse_as},
    shutdown::Shutdown,
};

/// The setting of the address.
pub const METRICS_LISTEN_ADDRESS: &str = "METRICS_LISTEN_ADDRESS";
/// The most open connections; further ones wait.
pub const CONNECTIONS_MAX: usize = 16;
/// The longest time from accepting a connection to the last byte of its answer, in seconds.
pub const CONNECTION_SECONDS_MAX: u64 = 5;
/// Prometheus's text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric with the service's name and version.
const BUILD_INFO: &str = "homeroom_build_info";

/// The reason why metrics are not served.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Anyone could read the metrics.
    #[error(
        "metrics on {0} could be read from other machines without a token: listen on 127.0.0.1 or [::1], or keep the way there private and set insecure plaintext explicitly"
    )]
    Exposed(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0} for metrics: {1}; choose another METRICS_LISTEN_ADDRESS")]
    Bind(SocketAddr, #[source] io::Error),
    /// Another part of this process already records metrics.
    #[error("metrics cannot be kept: {0}")]
    Recorder(#[from] BuildError),
}

/// Reads `METRICS_LISTEN_ADDRESS`; returns `None` if metrics are not served. An address beyond
/// loopback is an error unless `insecure_plaintext`.
pub fn read_address(reader: &mut Reader<'_>, insecure_plaintext: bool) -> Option<SocketAddr> {
    let parse = parse_as("an IP address and a port, such as 127.0.0.1:9464");
    let address: Option<SocketAddr> = reader.optional(METRICS_LISTEN_ADDRESS, parse);
    if address.is_some_and(|address| !may_listen(address, insecure_plaintext)) {
        reader.error(
            METRICS_LISTEN_ADDRESS,
            "is reachable from other machines and metrics are read without a token: listen on 127.0.0.1, \
             or keep the way there private and set INSECURE_PLAINTEXT to true",
        );
    }
    address
}

fn may_listen(address: SocketAddr, insecure_plaintext: bool) -> bool {
    insecure_plaintext || address.ip().to_canonical().is_loopback()
}

/// A bound metrics server that does not serve yet.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
    metrics: PrometheusHandle,
}

impl MetricsServer {
    /// Listens at `address` (port 0 takes a free port), and begins to record this process's
    /// metrics. Refuses to listen beyond loopback unless `insecure_plaintext`.
    pub async fn bind(
        address: SocketAddr,
        insecure_plaintext: bool,
        service: &'static str,
    ) -> Result<Self, MetricsError> {
        if !may_listen(address, insecure_plaintext) {
            return Err(MetricsError::Exposed(address));
        }
        let failed = |error| MetricsError::Bind(address, error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = recorder()?;
        describe_gauge!(BUILD_INFO, "1 for each service in this process");
        let version = env!("CARGO_PKG_VERSION");
        gauge!(BUILD_INFO, "service" => service, "version" => version).set(1.0);
        Ok(Self {
            listener,
            address,
            metrics,
        })
    }

    /// Returns its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the shutdown, then cuts unanswered requests.
    pub async fn serve(self, shutdown: Shutdown) {
        tracing::info!(address = %self.address, "serving metrics");
        let connections = TcpListenerStream::new(self.listener);
        let metrics = &self.metrics;
        let serving = connections.for_each_concurrent(CONNECTIONS_MAX, |accepted| async move {
            if let Err(error) = answer(accepted, metrics).await {
                tracing::debug!(%error, "metrics were not read to the end");
            }
        });
        shutdown.unless_begun(serving).await;
    }
}

/// Answers one request, within [`CONNECTION_SECONDS_MAX`].
async fn answer(
    accepted: io::Result<TcpStream>,
    metrics: &PrometheusHandle,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let limit = Duration::from_secs(CONNECTION_SECONDS_MAX);
    let stream = match accepted {
        Ok(stream) => TokioIo::new(stream),
        Err(error) => {
            // The most common cause is a lack of file descriptors, and the next accept would fail
            // at once.
            tokio::time::sleep(limit).await;
            return Err(error.into());
        }
    };
    let service = service_fn(move |request| {
        let response = respond(&request, metrics);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .keep_alive(false)
        .header_read_timeout(None)
        .serve_connection(stream, service);
    Ok(tokio::time::timeout(limit, served).await??)
}

/// Serves metrics until the shutdown, if there is a server.
pub async fn serve(server: Option<MetricsServer>, shutdown: Shutdown) {
    if let Some(server) = server {
        server.serve(shutdown).await;
    }
}

fn respond(request: &Request<Incoming>, metrics: &PrometheusHandle) -> Response<String> {
    let mut response = Response::new(String::new());
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    } else {
        let text = header::HeaderValue::from_static(TEXT);
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        *response.body_mut() = metrics.render();
    }
    response
}

/// Returns the process's one recorder, which is installed on first use.
fn recorder() -> Result<PrometheusHandle, BuildError> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(metrics) = recorder.as_ref() {
        return Ok(metrics.clone());
    }
    let metrics = PrometheusBuilder::new().install_recorder()?;
    Ok(recorder.insert(metrics).clone())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LOOPBACK: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    async fn ask(address: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{head} HTTP/1.1\r\nHost: metrics\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_is_counted_is_read_at_metrics_and_nowhere_else() {
        let server = MetricsServer::bind(LOOPBACK, false, "kit").await.unwrap();
        let address = server.address();
        let shutdown = Shutdown::new();
        let serving = tokio::spawn(server.serve(shutdown.clone()));
        gauge!("homeroom_test_gauge").set(3.0);
        let answer = ask(address, "GET /metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("content-type: text/plain; version=0.0.4"),
            "{answer}"
        );
        assert!(answer.contains("\nhomeroom_test_gauge 3\n"), "{answer}");
        assert!(
            answer.contains("homeroom_build_info{service=\"kit\""),
            "{answer}"
        );
        for (head, status) in [
            ("GET /", "404"),
            ("GET /metrics/x", "404"),
            ("POST /metrics", "405"),
        ] {
            let answer = ask(address, head).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{head}: {answer}"
            );
        }
        shutdown.begin();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_shutdown_waits_for_no_room_among_connections() {
        let server = MetricsServer::bind(LOOPBACK, false, "kit").await.unwrap();
        let address = server.address();
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let shutdown = Shutdown::new();
        let serving = tokio::spawn(server.serve(shutdown.clone()));
        // Before so many more have connected the server has had its turn, and accepted all it may.
        for _ in 0..CONNECTIONS_MAX {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        shutdown.begin();
        let soon = Duration::from_secs(CONNECTION_SECONDS_MAX - 1);
        let ended = tokio::time::timeout(soon, serving).await;
        ended.expect("nobody is waited for").unwrap();
    }

    #[tokio::test]
    async fn metrics_are_not_served_beyond_loopback_unless_told_to() {
        let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let refused = MetricsServer::bind(everywhere, false, "kit")
            .await
            .unwrap_err();
        assert!(matches!(refused, MetricsError::Exposed(_)), "{refused}");
        for (text, insecure, mistakes) in [
            ("0.0.0.0:9464", false, 1),
            ("0.0.0.0:9464", true, 0),
            ("127.0.0.1:9464", false, 0),
            ("[::1]:9464", false, 0),
            ("nowhere", true, 1),
            ("", false, 0),
        ] {
            let source = [(METRICS_LISTEN_ADDRESS, text)];
            let mut reader = Reader::new(&source);
            read_address(&mut reader, insecure);
            let errors = reader.finish().err().map_or(0, |errors| errors.0.len());
            assert_eq!(errors, mistakes, "{text}");
        }
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let taken = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = taken.local_addr().unwrap();
        let refused = MetricsServer::bind(address, false, "kit")
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains(&address.to_string()),
            "{refused}"
        );
    }
}
