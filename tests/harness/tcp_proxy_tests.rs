//! The network fails as ordered, and the proxy counts it.

use super::*;

/// Long enough for anything on loopback to arrive.
const QUIET: Duration = Duration::from_millis(150);

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

async fn ask(stream: &mut TcpStream, byte: u8) -> io::Result<u8> {
    stream.write_u8(byte).await?;
    stream.read_u8().await
}

#[tokio::test]
async fn the_network_fails_as_ordered_and_the_proxy_counts_it() {
    let proxy = TcpProxy::start(echo(1).await).await;
    let through = async || TcpStream::connect(proxy.address()).await.unwrap();
    let mut before = through().await;
    assert_eq!(ask(&mut before, 1).await.unwrap(), 2);

    proxy.refuse(true);
    assert!(ask(&mut through().await, 1).await.is_err());
    assert_eq!(ask(&mut before, 1).await.unwrap(), 2);
    assert_eq!(proxy.faults(), 1);

    proxy.heal();
    proxy.set_upstream(echo(2).await);
    assert_eq!(ask(&mut before, 1).await.unwrap(), 2);
    assert_eq!(ask(&mut through().await, 1).await.unwrap(), 3);

    for direction in [Direction::ToUpstream, Direction::ToClient] {
        proxy.stall(direction, true);
        let held = tokio::time::timeout(QUIET, ask(&mut before, 1)).await;
        assert!(held.is_err(), "{direction:?} was not held");
        proxy.stall(direction, false);
        assert_eq!(before.read_u8().await.unwrap(), 2);
    }
    assert_eq!(proxy.faults(), 3);

    let mut ending = through().await;
    ending.write_u8(2).await.unwrap();
    ending.shutdown().await.unwrap();
    let mut rest = Vec::new();
    // A reset would be an error.
    ending.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, [4]);

    assert!(proxy.cut() > 0);
    let cut = before.read_u8().await.unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(ask(&mut through().await, 1).await.unwrap(), 3);
}
