//! What a service tells of itself to who asks without a token: its health and its metrics.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Whether the service at this address says of readiness that it serves. One that is away does not.
pub async fn is_ready(address: SocketAddr) -> bool {
    let request = HealthCheckRequest {
        service: "readiness".to_owned(),
    };
    let mut health = HealthClient::new(crate::channel(address));
    let answer = health.check(request).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

/// What `GET /metrics` answers, with its head.
pub async fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The value of a gauge or counter without labels; None where it is not shown.
pub async fn metric(address: SocketAddr, name: &str) -> Option<f64> {
    let answer = scrape(address).await;
    let mut lines = answer.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}
