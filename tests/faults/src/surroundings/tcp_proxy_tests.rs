//! The network fails as ordered, and the proxy counts it.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{Direction, TcpProxy};
use crate::surroundings::free_address;

/// Long enough for anything on loopback to arrive.
const QUIET: Duration = Duration::from_millis(150);
/// Longer than anything takes to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves an upstream that returns each byte, raised by `step`.
async fn echo(step: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(byte) = stream.read_u8().await {
                    stream.write_u8(byte + step).await.unwrap();
                }
            });
        }
    });
    address
}

async fn ask(stream: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
    stream.write_u8(byte).await?;
    stream.read_u8().await
}

async fn through(proxy: &TcpProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

#[tokio::test]
async fn bytes_pass_and_an_end_is_an_end() {
    let proxy = TcpProxy::start(echo(1).await).await;
    let mut stream = through(&proxy).await;
    assert_eq!(ask(&mut stream, 1).await.unwrap(), 2);
    stream.write_u8(2).await.unwrap();
    stream.shutdown().await.unwrap();
    while proxy.open() > 0 {
        tokio::task::yield_now().await;
    }
    let mut rest = Vec::new();
    // A reset would be an error.
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!((rest, proxy.counts().accepted), (vec![3], 1));
}

#[tokio::test]
async fn what_is_sent_last_arrives_though_its_reader_is_slow() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = TcpProxy::start(listener.local_addr().unwrap()).await;
    let mut client = through(&proxy).await;
    let (mut server, _) = listener.accept().await.unwrap();
    server.shutdown().await.unwrap();
    // The reader's system buffers less than this before it reads.
    let sent = vec![1; 1_000_000];
    client.write_all(&sent).await.unwrap();
    client.shutdown().await.unwrap();
    while proxy.open() > 0 {
        tokio::time::sleep(QUIET).await;
    }
    let mut received = Vec::new();
    server.read_to_end(&mut received).await.unwrap();
    assert_eq!(received.len(), sent.len());
}

#[tokio::test]
async fn a_delay_is_waited_each_way() {
    let proxy = TcpProxy::start(echo(1).await).await;
    proxy.delay(Duration::from_millis(60));
    let mut stream = through(&proxy).await;
    let began = Instant::now();
    assert_eq!(ask(&mut stream, 1).await.unwrap(), 2);
    assert!(began.elapsed() >= Duration::from_millis(120));
    assert_eq!(proxy.counts().delayed, 2);
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_nothing_else() {
    let proxy = TcpProxy::start(echo(1).await).await;
    let mut streams = [through(&proxy).await, through(&proxy).await];
    for stream in &mut streams {
        ask(stream, 1).await.unwrap();
    }
    assert_eq!(proxy.cut(), 2);
    for stream in &mut streams {
        let read = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
        let error = read.expect("it was not reset").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(ask(&mut through(&proxy).await, 1).await.unwrap(), 2);
    assert_eq!(proxy.counts().cut, 2);
}

#[tokio::test]
async fn a_refusal_keeps_newcomers_out() {
    let proxy = TcpProxy::start(echo(1).await).await;
    let mut before = through(&proxy).await;
    ask(&mut before, 1).await.unwrap();
    proxy.refuse(true);
    assert!(ask(&mut through(&proxy).await, 1).await.is_err());
    assert_eq!(ask(&mut before, 1).await.unwrap(), 2);
    assert_eq!(proxy.counts().refused, 1);
    proxy.heal();
    assert_eq!(ask(&mut through(&proxy).await, 1).await.unwrap(), 2);
}

#[tokio::test]
async fn a_one_way_partition_holds_one_direction_until_it_heals() {
    for (direction, held_upstream) in [(Direction::ToUpstream, true), (Direction::ToClient, false)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = TcpProxy::start(listener.local_addr().unwrap()).await;
        let mut client = through(&proxy).await;
        let (mut server, _) = listener.accept().await.unwrap();
        proxy.stall(direction, true);
        client.write_u8(1).await.unwrap();
        server.write_u8(2).await.unwrap();
        let (held, free) = if held_upstream {
            (&mut server, &mut client)
        } else {
            (&mut client, &mut server)
        };
        free.read_u8().await.unwrap();
        let silence = tokio::time::timeout(QUIET, held.read_u8()).await;
        assert!(silence.is_err(), "{direction:?} was not held");
        assert_eq!(proxy.counts().stalled, 1);
        proxy.stall(direction, false);
        held.read_u8().await.unwrap();
    }
}

#[tokio::test]
async fn newcomers_are_led_to_the_new_upstream() {
    let proxy = TcpProxy::start(echo(1).await).await;
    let mut before = through(&proxy).await;
    ask(&mut before, 1).await.unwrap();
    proxy.set_upstream(echo(2).await);
    assert_eq!(ask(&mut before, 1).await.unwrap(), 2);
    assert_eq!(ask(&mut through(&proxy).await, 1).await.unwrap(), 3);
    proxy.set_upstream(free_address());
    assert!(ask(&mut through(&proxy).await, 1).await.is_err());
    assert_eq!(proxy.counts().unreachable, 1);
}

#[tokio::test]
async fn a_dropped_proxy_leaves_nothing_open() {
    let proxy = TcpProxy::start(echo(1).await).await;
    let mut stream = through(&proxy).await;
    ask(&mut stream, 1).await.unwrap();
    let address = proxy.address();
    drop(proxy);
    assert!(stream.read_u8().await.is_err());
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
}
