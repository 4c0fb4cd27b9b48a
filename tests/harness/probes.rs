//! Reads a service's health and metrics, which need no token.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Returns true if the service at this address reports that it is ready. Returns false if it does
/// not answer.
pub async fn is_ready(address: SocketAddr) -> bool {
    let request = HealthCheckRequest {
        service: "readiness".to_owned(),
    };
    let mut health = HealthClient::new(crate::channel(address));
    let answer = health.check(request).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

/// Returns the answer to `GET /metrics`, including its head.
pub async fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Returns the value of a gauge or counter without labels, or `None` if it is not present.
pub async fn metric(address: SocketAddr, name: &str) -> Option<f64> {
    let answer = scrape(address).await;
    let mut lines = answer.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}
