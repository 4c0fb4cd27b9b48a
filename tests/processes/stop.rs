//! A service that must stop answers the calls under way, and work that may hang does not keep it
//! from ending.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use homeroom_kit::{database::Url, server::DRAIN_SECONDS_MAX, shutdown::STOP_SECONDS_MAX};
use homeroom_tests::{
    Engine,
    databases::{Databases, Reader},
    eventually,
    processes::{Processes, Service},
    tcp_proxy::{Direction, TcpProxy},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// The time within which an idle service must stop.
const IDLE_STOP_SECONDS: u64 = 10;
/// The time beyond its limit within which a process must be gone, even on a busy machine.
const SLACK_SECONDS: u64 = 10;
/// Calls have most of the time to stop, and the rest is left for what they wrote.
const _: () = assert!(DRAIN_SECONDS_MAX + 5 <= STOP_SECONDS_MAX);

/// An HTTP/2 client's first bytes: the preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Connects a client that begins HTTP/2 and then neither reads nor closes.
async fn deaf_client(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(PREFACE).await.unwrap();
    client.read_exact(&mut [0; 9]).await.unwrap();
    client
}

/// Waits until an idle service has ended, as ordered.
async fn ended(processes: &mut Processes, service: Service) {
    let limit = Duration::from_secs(IDLE_STOP_SECONDS);
    let status = processes.ended(service, limit).await;
    assert!(status.success(), "{service:?} ended with {status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_close_do_not_keep_a_service_from_ending() {
    let mut processes = Processes::start(Engine::Postgres).await;
    processes.school().await;
    for service in [Service::Invitations, Service::Membership] {
        // Given clients that never close: one that does not read, and one that watches health.
        let address = processes.address(service);
        let _deaf = deaf_client(address).await;
        let channel = Channel::from_shared(format!("http://{address}"));
        let channel = channel.unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel)
            .watch(HealthCheckRequest::default())
            .await
            .unwrap()
            .into_inner();
        let serving = Some(ServingStatus::Serving as i32);
        while health.message().await.unwrap().map(|one| one.status) != serving {}

        // When the service must stop,
        processes.order_stop(service);

        // then it reports this, accepts no new connection, and ends well before any limit.
        let told = health.message().await.unwrap().unwrap();
        assert_eq!(told.status(), ServingStatus::NotServing);
        ended(&mut processes, service).await;
        assert!(TcpStream::connect(address).await.is_err());
    }
    processes.stop().await;
}

/// Returns a proxy before a database, and the URL that leads through it.
async fn proxy_before(database: &Url) -> (TcpProxy, String) {
    let Url::Postgres(text) = database else {
        panic!("a file does not hang like this")
    };
    let mut url = url::Url::parse(text).unwrap();
    let upstream = (url.host_str().unwrap(), url.port().unwrap_or(5432));
    let upstream = tokio::net::lookup_host(upstream).await.unwrap().next();
    let proxy = TcpProxy::start(upstream.unwrap()).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.address().port())).unwrap();
    (proxy, url.to_string())
}

/// Keeps every connection open and silent.
fn hang(proxy: &TcpProxy) {
    proxy.stall(Direction::ToUpstream, true);
    proxy.stall(Direction::ToClient, true);
}

/// Stops a service in the middle of a call, whose database answers a little later, or `hangs`.
async fn stopped_in_the_middle(service: Service, hangs: bool) {
    let databases = Databases::create(Engine::Postgres).await;
    let behind = databases.url_of(service);
    let mut direct = Reader::open(behind).await.unwrap();
    let (proxy, url) = proxy_before(behind).await;
    let mut processes = Processes::on(databases).with_setting(service, "DATABASE_URL", &url);
    processes.launch_both().await;
    let school = processes.school().await;
    let code = school.class_code().await.code;

    // Given a call in the middle of a statement,
    let (table, user, method, body) = match service {
        Service::Membership => (
            "classes",
            "teacher",
            "ClassService.CreateClass",
            json!({"parent": school.organization, "class": {"display_name": "Chemistry"}}),
        ),
        Service::Invitations => (
            "redemptions",
            "student",
            "RedemptionService.Redeem",
            json!({"credential": code}),
        ),
    };
    let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    direct.execute(&lock).await.unwrap();
    let caller = processes.user(user);
    let call = tokio::spawn(async move { caller.call(method, &body).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the call waits", async || direct.count(waiting).await > 0).await;
    if hangs {
        hang(&proxy);
    }

    // when the service must stop,
    let ordered = Instant::now();
    processes.order_stop(service);

    if hangs {
        // then it gives the call its time, ends within its limit, and reports by its exit status
        // that it left work unfinished.
        let limit = Duration::from_secs(STOP_SECONDS_MAX + SLACK_SECONDS);
        let status = processes.ended(service, limit).await;
        assert_eq!(status.code(), Some(1));
        assert!(ordered.elapsed() >= Duration::from_secs(DRAIN_SECONDS_MAX));
        assert!(call.await.unwrap().is_err());
    } else {
        // then it answers the call before it ends.
        let address = processes.address(service);
        let refuses = async || TcpStream::connect(address).await.is_err();
        eventually("no connection is accepted", refuses).await;
        assert!(processes.runs(service) && !call.is_finished());
        direct.execute("COMMIT").await.unwrap();
        call.await.unwrap().unwrap();
        ended(&mut processes, service).await;
    }
    direct.close().await;
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_under_way_is_answered_before_its_service_ends() {
    for service in Service::BOTH {
        stopped_in_the_middle(service, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn membership_ends_though_its_database_hangs() {
    stopped_in_the_middle(Service::Membership, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invitations_ends_though_its_database_hangs() {
    stopped_in_the_middle(Service::Invitations, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_stops_while_it_starts() {
    for service in Service::BOTH {
        // Given a service that starts on a database that answers nothing,
        let databases = Databases::create(Engine::Postgres).await;
        let (proxy, url) = proxy_before(databases.url_of(service)).await;
        hang(&proxy);
        let mut processes = Processes::on(databases).with_setting(service, "DATABASE_URL", &url);
        processes.begin(service);
        eventually("it connects", async || proxy.open() > 0).await;

        // when it must stop, then it has nothing to finish.
        processes.order_stop(service);
        ended(&mut processes, service).await;
        processes.stop().await;
    }
}
