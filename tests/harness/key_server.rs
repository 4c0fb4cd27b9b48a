//! A server of the key set of an issuer of access tokens.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The server, which stops when dropped.
pub struct KeyServer {
    address: SocketAddr,
    body: Arc<Mutex<Vec<u8>>>,
    serving: JoinHandle<()>,
}

impl KeyServer {
    /// Starts a server that answers with this body.
    pub async fn start(body: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let body = Arc::new(Mutex::new(body.into()));
        let shown = Arc::clone(&body);
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let body = shown.lock().unwrap().clone();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let length = body.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                stream
                    .write_all(&[head.as_bytes(), &body].concat())
                    .await
                    .unwrap();
            }
        });
        Self {
            address,
            body,
            serving,
        }
    }

    /// Returns the address of the set.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    /// Answers with this body from now on.
    pub fn say(&self, body: impl Into<Vec<u8>>) {
        *self.body.lock().unwrap() = body.into();
    }

    /// Stops the server, so that nobody answers at its address.
    pub async fn go_away(mut self) {
        self.serving.abort();
        drop((&mut self.serving).await);
        assert!(TcpStream::connect(self.address).await.is_err());
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
