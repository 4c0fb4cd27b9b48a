//! Accepts invitations at better-auth over HTTP/1.1, each on a connection that is kept alive.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    Failure, LoadArguments,
    closed_loop::{self, Operation, Refusal},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The peer's address.
    #[arg(long)]
    address: SocketAddr,
    /// A file of invitations: each line has an id, a tab, and the cookie of the invited user.
    #[arg(long)]
    invitations: PathBuf,
    #[command(flatten)]
    load: LoadArguments,
}

struct Acceptor {
    connection: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    invitations: Arc<[String]>,
}

impl Acceptor {
    async fn accept(&mut self, number: u64) -> Result<(), Failure> {
        let place = usize::try_from(number)?;
        let invitation = self.invitations.get(place);
        let (id, cookie) = invitation
            .and_then(|line| line.split_once('\t'))
            .ok_or("the invitations ran out")?;
        let request = Request::post("/api/auth/organization/accept-invitation")
            .header(header::HOST, self.address.to_string())
            .header(header::ORIGIN, format!("http://{}", self.address))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::COOKIE, cookie)
            .body(Full::new(json!({ "invitationId": id }).to_string().into()))?;
        self.connection.ready().await?;
        let response = self.connection.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("{status} {}", String::from_utf8_lossy(&body)).into())
        }
    }
}

impl Operation for Acceptor {
    async fn run(&mut self, number: u64) -> Result<(), Refusal> {
        self.accept(number).await.map_err(Refusal::from)
    }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let invitations = std::fs::read_to_string(&arguments.invitations)?;
    let invitations: Arc<[String]> = invitations.lines().map(str::to_owned).collect();
    let mut acceptors = Vec::new();
    for _ in 0..arguments.load.clients {
        let stream = TcpStream::connect(arguments.address).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        acceptors.push(Acceptor {
            connection,
            address: arguments.address,
            invitations: Arc::clone(&invitations),
        });
    }
    closed_loop::run(&arguments.load, acceptors).await
}
