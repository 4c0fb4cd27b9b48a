//! `CONNECTIONS_MAX` of both services: a further connection waits until another has closed.

use std::{net::SocketAddr, time::Duration};

use homeroom_kit::server::CONNECTIONS_MIN;
use homeroom_tests::{
    Engine,
    databases::Databases,
    processes::{Processes, Service},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The time for which an unserved connection is seen to receive nothing, in milliseconds.
const SILENT_MILLIS: u64 = 300;
/// The time within which a connection must be served, even on a busy machine.
const SERVED_SECONDS: u64 = 30;

/// Begins HTTP/2.
async fn begin(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    stream
}

/// Returns true if the service answers within that time.
async fn is_served(stream: &mut TcpStream, within: Duration) -> bool {
    let read = timeout(within, stream.read_u8()).await;
    read.is_ok_and(|byte| byte.is_ok())
}

#[tokio::test]
async fn one_connection_more_than_set_waits_until_another_has_gone() {
    let mut processes = Processes::on(Databases::create(Engine::Sqlite).await);
    let both = [Service::Membership, Service::Invitations];
    for service in both {
        processes =
            processes.with_setting(service, "CONNECTIONS_MAX", &CONNECTIONS_MIN.to_string());
    }
    for service in both {
        // Only one service runs: invitations would hold one of membership's connections.
        processes.launch(service).await;
        let address = processes.address(service);
        let served = Duration::from_secs(SERVED_SECONDS);
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS_MIN {
            let mut stream = begin(address).await;
            assert!(is_served(&mut stream, served).await);
            held.push(stream);
        }
        let mut one_more = begin(address).await;
        assert!(!is_served(&mut one_more, Duration::from_millis(SILENT_MILLIS)).await);
        held.pop();
        assert!(is_served(&mut one_more, served).await);
        processes.kill(service);
    }
    processes.stop().await;
}
