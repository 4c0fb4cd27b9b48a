use std::{
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use chrono::TimeDelta;
use futures::Stream;
use homeroom_api::{
    common::v1::{
        ErrorReason, ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse,
    },
    membership::v1::{
        event_service_client::EventServiceClient,
        event_service_server::{EventService, EventServiceServer},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
use tonic::{Code, Request, Response, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::ServiceExt as _;

mod load;
mod open_calls;
mod stopping;
mod tls;

use super::*;
use crate::{
    auth::{Caller, Claims, Signer, TOKEN_BYTES_MAX, Verifier},
    clock::{Clock as _, SystemClock},
    random::SystemRandomness,
    status::Error,
};

/// The prefix of a request for an answer of this many bytes.
const LARGE: &str = "large ";

/// A service that answers with the caller's data; it hangs or sends a large answer on request.
struct Echo;
#[tonic::async_trait]
impl EventService for Echo {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        if request.get_ref().parent == "hang" {
            std::future::pending::<()>().await;
        }
        let caller = Caller::of(&request)?;
        let is_local = caller
            .client_address
            .is_some_and(|address| address.is_loopback());
        let (user, method, id) = (&caller.user, &caller.method, &caller.request_id);
        let next_page_token = match request.get_ref().parent.strip_prefix(LARGE) {
            Some(bytes) => "x".repeat(bytes.parse().unwrap()),
            None => format!("{user} {method} {id} {is_local}"),
        };
        Ok(Response::new(ListEventsResponse {
            pruned_till_time: None,
            events: vec![],
            next_page_token,
        }))
    }

    type WatchEventsStream =
        Pin<Box<dyn Stream<Item = Result<WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        _request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        Ok(Response::new(Box::pin(futures::stream::pending())))
    }
}

struct Running {
    address: SocketAddr,
    channel: Channel,
    token: String,
    health: Health,
    shutdown: Shutdown,
    served: JoinHandle<Result<(), ServeError>>,
}

fn signer() -> Signer {
    Signer::generate(&SystemRandomness).unwrap()
}

fn options(signer: &Signer) -> ServerOptions {
    let keys = signer.keys(None).unwrap();
    let verifier = Verifier::new(keys, "issuer", "homeroom", Arc::new(SystemClock));
    ServerOptions::new(Arc::new(verifier))
}

async fn start(adjust: impl FnOnce(&mut ServerOptions)) -> Running {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    start_on(listener, adjust).await
}

async fn start_on(listener: TcpListener, adjust: impl FnOnce(&mut ServerOptions)) -> Running {
    let signer = signer();
    let mut options = options(&signer);
    adjust(&mut options);
    let encrypted = options.tls.is_some();
    let address = listener.local_addr().unwrap();
    let services = crate::services![EventServiceServer(Echo)];
    let health = services.health();
    let shutdown = Shutdown::new();
    let served = tokio::spawn(serve(listener, options, services, shutdown.clone()));
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = if encrypted {
        endpoint.connect_lazy()
    } else {
        endpoint.connect().await.unwrap()
    };
    let (now, life) = (SystemClock.now(), TimeDelta::minutes(5));
    let claims = Claims::new("issuer", "homeroom", "ada", now, life);
    let token = signer.sign(&claims).unwrap().expose().to_owned();
    Running {
        address,
        channel,
        token,
        health,
        shutdown,
        served,
    }
}

impl Running {
    fn request(&self, parent: &str) -> Request<ListEventsRequest> {
        let mut request = Request::new(ListEventsRequest {
            parent: parent.to_owned(),
            ..ListEventsRequest::default()
        });
        let bearer = format!("Bearer {}", self.token);
        request
            .metadata_mut()
            .insert("authorization", bearer.parse().unwrap());
        request
    }

    async fn call(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        EventServiceClient::new(self.channel.clone())
            .list_events(request)
            .await
    }

    async fn serving(&self, service: &str) -> i32 {
        let service = service.to_owned();
        let mut health = HealthClient::new(self.channel.clone());
        let checked = health.check(HealthCheckRequest { service }).await;
        checked.unwrap().into_inner().status
    }
}

fn reason(status: &Status) -> ErrorReason {
    Error::from_status(status).map_or(ErrorReason::Unspecified, |error| error.reason())
}

#[tokio::test]
async fn a_call_passes_every_layer() {
    let server = start(|_| {}).await;
    let mut request = server.request("any");
    request
        .metadata_mut()
        .insert("x-request-id", "my-id".parse().unwrap());
    let response = server.call(request).await.unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap(), "my-id");
    assert_eq!(
        response.into_inner().next_page_token,
        "ada /homeroom.membership.v1.EventService/ListEvents my-id true"
    );
}

#[tokio::test]
async fn a_call_without_a_good_token_learns_why_and_keeps_its_request_id() {
    let server = start(|_| {}).await;
    let mut missing = server.request("any");
    missing.metadata_mut().remove("authorization");
    let mut basic = server.request("any");
    let value = "Basic YTpi".parse().unwrap();
    basic.metadata_mut().insert("authorization", value);
    let mut twice = server.request("any");
    let value = twice.metadata().get("authorization").unwrap().clone();
    twice.metadata_mut().append("authorization", value);
    for refused in [missing, basic, twice] {
        let status = server.call(refused).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(reason(&status), ErrorReason::AccessTokenInvalid);
        assert!(status.metadata().get("x-request-id").is_some());
    }
    // A token that is too long is refused here, and not by the limit of headers.
    for bytes in [TOKEN_BYTES_MAX + 1, 18_000, 30_000] {
        let mut long = server.request("any");
        let value = format!("Bearer {}", "a".repeat(bytes));
        long.metadata_mut()
            .insert("authorization", value.parse().unwrap());
        let status = server.call(long).await.unwrap_err();
        assert_eq!(reason(&status), ErrorReason::AccessTokenInvalid);
        let said = format!("this one has {bytes} bytes, and at most {TOKEN_BYTES_MAX}");
        assert!(status.message().contains(&said), "{status:?}");
    }
    let mut for_another = server.request("any");
    for_another
        .metadata_mut()
        .insert("x-homeroom-user", "bob".parse().unwrap());
    let status = server.call(for_another).await.unwrap_err();
    assert_eq!(reason(&status), ErrorReason::ScopeMissing);
}

#[tokio::test]
async fn a_message_may_have_1_mib_and_not_a_byte_more() {
    let server = start(|_| {}).await;
    // The tag and a length of three bytes precede the text.
    let longest = MESSAGE_BYTES_MAX - 4;
    let send = |bytes| server.call(server.request(&"p".repeat(bytes)));
    assert!(send(longest).await.is_ok());
    let status = send(longest + 1).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), ErrorReason::MessageTooLarge);
}

#[tokio::test]
async fn a_callers_mistake_in_framing_is_told_as_theirs() {
    let server = start(|_| {}).await;
    for (kind, body, http) in [
        ("application/grpc", &b""[..], 200),
        ("application/grpc", b"{}", 200),
        (
            "application/grpc",
            b"{\"parent\": \"organizations/-\"}",
            200,
        ),
        ("application/grpc+json", b"\0\0\0\0\x02{}", 200),
        ("application/grpc", b"\0\0\0\0\x02\x0a", 200),
        ("application/grpc", b"\x01\0\0\0\0", 200),
        ("application/grpc", b"\x02\0\0\0\0", 200),
        ("application/json", b"{}", 415),
        ("application/grpc-web", b"\0\0\0\0\0", 415),
        ("", b"\0\0\0\0\0", 415),
    ] {
        let mut request = http::Request::post("/homeroom.membership.v1.EventService/ListEvents")
            .header("authorization", format!("Bearer {}", server.token));
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let sent = Body::new(http_body_util::Full::<bytes::Bytes>::from(body));
        let answered = server.channel.clone().oneshot(request.body(sent).unwrap());
        let answer = answered.await.unwrap();
        assert_eq!(answer.status(), http, "{kind} {body:?}");
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(reason(&status), ErrorReason::InvalidRequest, "{kind}");
    }
}

#[tokio::test]
async fn an_answer_may_be_larger_than_a_request() {
    let server = start(|_| {}).await;
    let client = EventServiceClient::new(server.channel.clone());
    let mut client = client.max_decoding_message_size(2 * MESSAGE_OUT_BYTES_MAX);
    // The tag and a length of four bytes precede the text.
    let largest = MESSAGE_OUT_BYTES_MAX - 5;
    let mut ask = async |bytes: usize| {
        let request = server.request(&format!("{LARGE}{bytes}"));
        client.list_events(request).await
    };
    let answered = ask(largest).await.unwrap().into_inner();
    assert_eq!(answered.next_page_token.len(), largest);
    let refused = ask(largest + 1).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
}

#[tokio::test]
async fn a_deadline_that_passes_is_told_as_such() {
    let server = start(|_| {}).await;
    let mut told = Vec::new();
    // The client stops at its deadline too, and on a busy machine its error may come before the
    // server's.
    for _ in 0..20 {
        let mut request = server.request("hang");
        request.set_timeout(Duration::from_millis(300));
        let status = server.call(request).await.unwrap_err();
        if status.code() == Code::DeadlineExceeded {
            assert_eq!(reason(&status), ErrorReason::DeadlineTooShort);
            return;
        }
        told.push(status.code());
    }
    panic!("the server never answered before the client gave up: {told:?}");
}

#[tokio::test]
async fn health_tells_readiness_without_a_token() {
    let server = start(|_| {}).await;
    let names = ["", READINESS, "homeroom.membership.v1.EventService"];
    assert_eq!(server.serving(LIVENESS).await, 1);
    for name in names {
        assert_eq!(server.serving(name).await, 2, "{name}");
    }
    server.health.set_ready(true).await;
    for name in names {
        assert_eq!(server.serving(name).await, 1, "{name}");
    }
    assert!(server.health.is_ready());
}

#[tokio::test]
async fn readiness_follows_its_check_and_ends_with_the_server() {
    let server = start(|_| {}).await;
    let health = server.health.clone();
    health
        .follow(server.shutdown.clone(), || {
            server.shutdown.begin();
            async { true }
        })
        .await;
    assert!(!server.health.is_ready());
}

#[tokio::test]
async fn reflection_shows_what_is_served_and_is_a_choice() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let list = async |server: &Running| {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut answers = ServerReflectionClient::new(server.channel.clone())
            .server_reflection_info(tokio_stream::once(request))
            .await?
            .into_inner();
        let answer = answers.message().await?.unwrap().message_response;
        let Some(MessageResponse::ListServicesResponse(services)) = answer else {
            panic!("no list");
        };
        let names = services.service.into_iter().map(|found| found.name);
        Ok::<_, Status>(names.collect::<Vec<_>>())
    };
    let names = list(&start(|_| {}).await).await.unwrap();
    assert!(names.contains(&"homeroom.membership.v1.EventService".to_owned()));
    assert!(!names.contains(&"homeroom.invitations.v1.EventService".to_owned()));
    let hidden = list(&start(|options| options.reflection = false).await).await;
    assert!(hidden.is_err());
}
