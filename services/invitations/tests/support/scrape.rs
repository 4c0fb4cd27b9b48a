//! Reads a service's metrics as Prometheus does.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The maximum time that a test waits for lines, in seconds.
const SECONDS_MAX: u64 = 20;

/// Returns the answer to `GET /metrics`, with its head.
pub(crate) async fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Waits until each of these lines is shown together with the others.
pub(crate) async fn until_shown(address: SocketAddr, lines: &[&str]) {
    let shown = async {
        loop {
            let answer = scrape(address).await;
            let is_shown = |line: &&str| answer.lines().any(|shown| shown == *line);
            if lines.iter().all(is_shown) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(SECONDS_MAX), shown)
        .await
        .unwrap_or_else(|_| panic!("never shown: {lines:?}"));
}
