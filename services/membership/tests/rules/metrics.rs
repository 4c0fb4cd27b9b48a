//! Metrics, if an address for them is set.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{support::Database, world::World};

#[tokio::test]
async fn metrics_are_read_where_they_are_set_to_listen_and_nowhere_else() {
    let database = Database::sqlite().await;
    let world = World::start(&database).await;
    assert_eq!(world.service.metrics_address(), None);
    world.end().await;

    let world = World::start_with(&database, |config| {
        config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let address = world.service.metrics_address().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: metrics\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let service = "homeroom_build_info{service=\"membership\"";
    assert!(answer.contains(service), "{answer}");
    world.end().await;
    assert!(TcpStream::connect(address).await.is_err(), "it ends too");
    database.end().await;
}
