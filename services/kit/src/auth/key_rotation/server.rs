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
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;

/// The server, which stops when dropped.
pub(super) struct KeyServer {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    answer: Mutex<String>,
    asked: AtomicUsize,
    /// A semaphore of which each answer takes one permit.
    answers: Semaphore,
}

/// Returns a complete HTTP/1.1 answer.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl KeyServer {
    pub(super) async fn start(body: &str) -> Self {
        Self::start_with(body, None).await
    }

    pub(super) async fn start_with(body: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Mutex::new(answer("200 OK", "", body)),
            asked: AtomicUsize::new(0),
            answers: Semaphore::new(1_000),
        });
        let of_task = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&of_task);
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => shared.serve(stream).await,
                        Some(tls) => {
                            // A client that does not trust the certificate disconnects.
                            if let Ok(stream) = tls.accept(stream).await {
                                shared.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            shared,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    /// Sets the answer from now on.
    pub(super) fn say(&self, answer: String) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// Returns the number of requests.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Holds every answer until released.
    pub(super) fn hold(&self) {
        self.shared.answers.forget_permits(1_000);
    }

    pub(super) fn go_on(&self) {
        self.shared.answers.add_permits(1_000);
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
        let permit = self.answers.acquire().await.unwrap();
        let answer = self.answer.lock().unwrap().clone();
        drop(permit);
        // A client that has read enough may have gone.
        let _gone = stream.write_all(answer.as_bytes()).await;
        let _gone = stream.shutdown().await;
    }
}
