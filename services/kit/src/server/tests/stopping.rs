//! A stopping server waits for some work and not for other work.

use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;

use super::*;

/// The number of bytes that the slow reader takes at a time, and the time between two reads.
const STEP_BYTES: u16 = 32 * 1024;
const STEP_PAUSE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_shutdown_ends_the_server_when_its_calls_have_ended() {
    let server = start(|_| {}).await;
    server.call(server.request("any")).await.unwrap();
    server.shutdown.begin();
    server.served.await.unwrap().unwrap();
    assert!(!server.health.is_ready());
}

#[tokio::test]
async fn a_shutdown_is_told_to_watchers_of_health_and_waits_for_none_of_them() {
    let server = start(|_| {}).await;
    server.health.set_ready(true).await;
    let mut watch = HealthClient::new(server.channel.clone())
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    server.shutdown.begin();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_waits_for_no_connection_that_says_nothing() {
    let server = start(|_| {}).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    // The server's settings arrive once it has read ours.
    silent.read_exact(&mut [0; 9]).await.unwrap();
    server.shutdown.begin();
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let server = start(|options| options.drain = Duration::from_millis(20)).await;
    let request = server.request("hang");
    let mut client = EventServiceClient::new(server.channel.clone());
    let hanging = tokio::spawn(async move { client.list_events(request).await });
    // The call is under way once a later one has been answered.
    server.call(server.request("any")).await.unwrap();
    server.shutdown.begin();
    let ended = server.served.await.unwrap();
    assert!(matches!(ended, Err(ServeError::NotDrained(_))));
    hanging.abort();
}

/// Returns a channel whose reader orders the shutdown once it has taken `quick` bytes, and is slow
/// from then on.
async fn slow_reader(address: SocketAddr, quick: usize, shutdown: Shutdown) -> Channel {
    let connect = tower::service_fn(move |_: http::Uri| {
        let shutdown = shutdown.clone();
        async move {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(STEP_BYTES.into())?;
            let (mut from, mut to) = socket.connect(address).await?.into_split();
            let (near, far) = tokio::io::duplex(STEP_BYTES.into());
            let (mut requests, mut answers) = tokio::io::split(far);
            tokio::spawn(async move { tokio::io::copy(&mut requests, &mut to).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; STEP_BYTES.into()];
                let mut taken = 0;
                while let Ok(count @ 1..) = from.read(&mut bytes).await {
                    answers.write_all(&bytes[..count]).await.unwrap();
                    taken += count;
                    if taken > quick {
                        shutdown.begin();
                        tokio::time::sleep(STEP_PAUSE).await;
                    }
                }
                answers.shutdown().await.unwrap();
            });
            Ok::<_, io::Error>(TokioIo::new(near))
        }
    });
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect_with_connector(connect).await.unwrap()
}

#[tokio::test]
async fn a_shutdown_lets_an_answer_of_2_mib_reach_a_slow_reader_whole() {
    // A small buffer keeps the system from holding much of the answer, which it would deliver
    // without the server.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(STEP_BYTES.into()).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let server = start_on(socket.listen(9).unwrap(), |_| {}).await;
    let bytes = 2 * 1024 * 1024;
    let channel = slow_reader(server.address, bytes * 5 / 8, server.shutdown.clone()).await;
    let request = server.request(&format!("{LARGE}{bytes}"));
    let answered = EventServiceClient::new(channel).list_events(request).await;
    let answer = answered.unwrap().into_inner();
    assert_eq!(answer.next_page_token.len(), bytes);
    assert!(server.shutdown.has_begun());
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_ends_in_the_last_second_has_ended() {
    // Less than the time for which connections are kept after the last call.
    let drain = Duration::from_millis(500);
    let server = start(|options| options.drain = drain).await;
    server.call(server.request("any")).await.unwrap();
    let watch = HealthClient::new(server.channel.clone())
        .watch(HealthCheckRequest::default())
        .await
        .unwrap();
    server.shutdown.begin();
    server.served.await.unwrap().unwrap();
    drop(watch);
}
