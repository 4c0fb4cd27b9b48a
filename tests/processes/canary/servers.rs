//! A PostgreSQL that logs every statement with its bound values, and a listener that receives every
//! command sent to Redis.

use std::sync::{Arc, Mutex};

use homeroom_tests::postgres::{Postgres, PostgresOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Starts a cluster that logs everything.
pub(crate) async fn logging_postgres() -> Postgres {
    let settings = [
        "log_statement=all",
        "log_duration=on",
        "log_parameter_max_length=-1",
        "log_parameter_max_length_on_error=-1",
        "log_connections=on",
        "log_error_verbosity=verbose",
    ];
    Postgres::start(PostgresOptions {
        settings: settings.map(str::to_owned).into(),
        ..PostgresOptions::default()
    })
    .await
}

/// A record of every command that anyone sends to Redis from now on.
pub(crate) struct RedisMonitor {
    heard: Arc<Mutex<Vec<u8>>>,
    listening: tokio::task::JoinHandle<()>,
}

impl RedisMonitor {
    pub(crate) async fn listen(url: &str) -> Self {
        let url = url::Url::parse(url).unwrap();
        let address = (url.host_str().unwrap(), url.port().unwrap_or(6379));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let listening = tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { heard, listening }
    }

    pub(crate) fn heard(self) -> Vec<u8> {
        self.listening.abort();
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

/// Returns every key of Redis with its value, in Redis's own file format.
pub(crate) async fn redis_dump(url: &str) -> Vec<u8> {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut dump = Vec::new();
    for key in keys {
        let value: Option<Vec<u8>> = redis::cmd("DUMP")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        dump.extend_from_slice(&key);
        dump.push(b'\n');
        dump.extend(value.unwrap_or_default());
        dump.push(b'\n');
    }
    dump
}
