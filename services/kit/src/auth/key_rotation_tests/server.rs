//! A server of a JWK set for tests: it gives a set answer and counts the requests.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// The server, which stops when dropped.
pub(super) struct KeyServer {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    answer: Mutex<Vec<u8>>,
    asked: AtomicUsize,
}

/// Returns a complete HTTP/1.1 answer.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

impl KeyServer {
    pub(super) async fn start(body: &str) -> Self {
        Self::start_with(body, None).await
    }

    pub(super) async fn start_with(body: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let of_task = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &tls {
                    None => of_task.serve(stream).await,
                    Some(tls) => {
                        // A client that does not trust the certificate disconnects.
                        if let Ok(stream) = tls.accept(stream).await {
                            of_task.serve(stream).await;
                        }
                    }
                }
            }
        });
        let server = Self {
            address,
            shared,
            task,
        };
        server.say(answer("200 OK", "", body));
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    /// Sets the answer from now on.
    pub(super) fn say(&self, answer: String) {
        *self.shared.answer.lock().unwrap() = answer.into_bytes();
    }

    /// Answers with these bytes from now on.
    pub(super) fn say_bytes(&self, body: &[u8]) {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        *self.shared.answer.lock().unwrap() = [head.as_bytes(), body].concat();
    }

    /// Returns the number of requests.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        assert!(head.starts_with(b"GET /jwks.json HTTP/1.1\r\n"));
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        // A client that has read enough may have gone.
        let _gone = stream.write_all(&answer).await;
        let _gone = stream.shutdown().await;
    }
}
