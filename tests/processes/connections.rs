//! `CONNECTIONS_MAX` of both services: one connection more waits until another has gone.

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

/// How long a connection that is not served is seen to hear nothing, in milliseconds.
const SILENT_MILLIS: u64 = 300;
/// How long one may take to be served, also on a busy machine.
const SERVED_SECONDS: u64 = 30;

/// Begins to speak HTTP/2.
async fn begin(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    stream
}

/// Whether the service answers it within that time.
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
        // Alone: invitations would hold one of membership's.
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
