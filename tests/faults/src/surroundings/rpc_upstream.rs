//! The proxy's connection to its upstream, which is remade after a loss.

use std::net::SocketAddr;

use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http2::{SendRequest, handshake},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::Mutex};
use tokio_util::sync::CancellationToken;

use super::rpc_message::Body;

/// The upstream accepts no connection, or the existing one is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreachable;

/// One connection, shared by all calls of one caller's connection.
pub(super) struct Upstream {
    address: SocketAddr,
    sender: Mutex<Option<SendRequest<Body>>>,
    stop: CancellationToken,
}

impl Upstream {
    pub(super) fn new(address: SocketAddr, stop: CancellationToken) -> Self {
        Self {
            address,
            sender: Mutex::new(None),
            stop,
        }
    }

    /// Sends a request and returns the head of the reply; its body follows.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Unreachable> {
        let mut sender = self.sender().await?;
        sender.ready().await.map_err(|_| Unreachable)?;
        sender.send_request(request).await.map_err(|_| Unreachable)
    }

    async fn sender(&self) -> Result<SendRequest<Body>, Unreachable> {
        let mut held = self.sender.lock().await;
        if let Some(sender) = held.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|_| Unreachable)?;
        drop(stream.set_nodelay(true));
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|_| Unreachable)?;
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(connection));
        *held = Some(sender.clone());
        Ok(sender)
    }
}
