//! Metrics for an operator's monitoring: `GET /metrics` in Prometheus's text format, on a separate
//! address and without a token.
//!
//! The code records metrics through the `metrics` facade; without a [`MetricsServer`] in the
//! process that costs nothing and shows nothing.

use std::{io, net::SocketAddr, sync::LazyLock, time::Duration};

use ::metrics::{describe_gauge, gauge};
use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::config::{Reader, parse_as};

/// The setting of the address.
pub const METRICS_LISTEN_ADDRESS: &str = "METRICS_LISTEN_ADDRESS";
/// Prometheus's text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// A metric with the service's name and version.
const BUILD_INFO: &str = "homeroom_build_info";
/// The database connections of a service: those `in_use`, and the `max`.
const CONNECTIONS: &str = "homeroom_database_connections";
/// The upper bounds of the buckets of times, in seconds.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];
/// The upper bounds of the buckets of the sizes of batches.
const ITEMS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// The interval at which recorded times are added to their buckets if nobody reads metrics, in seconds: until then each
/// takes memory.
const UPKEEP_SECONDS: u64 = 5;

/// The reason why metrics are not served.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0} for metrics: {1}; choose another METRICS_LISTEN_ADDRESS")]
    Bind(SocketAddr, #[source] io::Error),
    /// Another part of this process already records metrics.
    #[error("metrics cannot be kept: {0}")]
    Recorder(&'static BuildError),
}

/// Reads `METRICS_LISTEN_ADDRESS`; returns `None` if metrics are not served. An address beyond
/// loopback is an error unless `insecure_plaintext`.
pub fn read_address(reader: &mut Reader, insecure_plaintext: bool) -> Option<SocketAddr> {
    let parse = parse_as("an IP address and a port, such as 127.0.0.1:9464");
    let address: Option<SocketAddr> = reader.optional(METRICS_LISTEN_ADDRESS, parse);
    if !insecure_plaintext
        && address.is_some_and(|address| !address.ip().to_canonical().is_loopback())
    {
        reader.error(
            METRICS_LISTEN_ADDRESS,
            "is reachable from other machines and metrics are read without a token: listen on 127.0.0.1, \
             or keep the way there private and set INSECURE_PLAINTEXT to true",
        );
    }
    address
}

/// The process's one recorder, which is installed on first use.
static RECORDER: LazyLock<Result<PrometheusHandle, BuildError>> = LazyLock::new(|| {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_items".to_owned()), &ITEMS)?
        .install_recorder()
});

/// Begins to record this process's metrics, before the first is set.
pub(crate) fn record() -> Result<&'static PrometheusHandle, MetricsError> {
    RECORDER.as_ref().map_err(MetricsError::Recorder)
}

/// Returns a count as a gauge's value: exact up to 4 billion, and never above that.
#[must_use]
pub fn gauged(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

/// Serves metrics until it is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    task: JoinHandle<io::Result<()>>,
}

impl MetricsServer {
    /// Serves at `address` (port 0 takes a free port), and records this process's metrics. `connections`
    /// returns the service's database connections: those in use, and the maximum.
    pub async fn start(
        address: SocketAddr,
        service: &'static str,
        connections: impl Fn() -> (usize, usize) + Clone + Send + Sync + 'static,
    ) -> Result<Self, MetricsError> {
        let failed = |error| MetricsError::Bind(address, error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = record()?;
        describe_gauge!(BUILD_INFO, "1 for each service in this process");
        let version = env!("CARGO_PKG_VERSION");
        gauge!(BUILD_INFO, "service" => service, "version" => version).set(1.0);
        tracing::info!(%address, "serving metrics");
        let shown = get(async move || {
            let (in_use, max) = connections();
            for (state, count) in [("in_use", in_use), ("max", max)] {
                let gauge = gauge!(CONNECTIONS, "service" => service, "state" => state);
                gauge.set(gauged(count));
            }
            ([(CONTENT_TYPE, TEXT)], metrics.render())
        });
        let serving = axum::serve(listener, Router::new().route("/metrics", shown));
        let upkeep = async {
            loop {
                tokio::time::sleep(Duration::from_secs(UPKEEP_SECONDS)).await;
                metrics.run_upkeep();
            }
        };
        let task = tokio::spawn(async move {
            tokio::select! {
                served = serving.into_future() => served,
                () = upkeep => Ok(()),
            }
        });
        Ok(Self { address, task })
    }

    /// Returns its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    async fn ask(address: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{head} HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_is_counted_is_read_at_metrics_and_nowhere_else() {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = MetricsServer::start(loopback, "kit", || (2, 16))
            .await
            .unwrap();
        let address = server.address();
        gauge!("homeroom_test_gauge").set(3.0);
        let answer = ask(address, "GET /metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        for shown in [
            "content-type: text/plain; version=0.0.4",
            "\nhomeroom_test_gauge 3\n",
            "homeroom_build_info{service=\"kit\"",
            "homeroom_database_connections{service=\"kit\",state=\"in_use\"} 2\n",
        ] {
            assert!(answer.contains(shown), "{shown}: {answer}");
        }
        for (head, status) in [("GET /", "404"), ("POST /metrics", "405")] {
            let answer = ask(address, head).await;
            let expected = format!("HTTP/1.1 {status}");
            assert!(answer.starts_with(&expected), "{head}: {answer}");
        }
        // Its address is taken, which a second server says.
        let refused = MetricsServer::start(address, "kit", || (0, 0))
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains(&address.to_string()),
            "{refused}"
        );
    }

    #[test]
    fn metrics_are_not_served_beyond_loopback_unless_told_to() {
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
}
