//! Work that may hang when a service must stop does not keep it from ending.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use homeroom_kit::{database::Url, server::DRAIN_SECONDS_MAX, shutdown::STOP_SECONDS_MAX};
use homeroom_tests::{
    Engine,
    databases::Databases,
    processes::{Processes, Service, database_url},
    tcp_proxy::{Direction, TcpProxy},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::crowd::{OpenClass, new_class};

/// The time within which an idle service must stop.
const IDLE_STOP_SECONDS: u64 = 10;
/// The time beyond its limit within which a process must be gone, even on a busy machine.
const SLACK_SECONDS: u64 = 10;

/// An HTTP/2 client's first bytes: the preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Connects a client that begins HTTP/2 and then neither reads nor closes.
async fn deaf_client(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(PREFACE).await.unwrap();
    client.read_exact(&mut [0; 9]).await.unwrap();
    client
}

async fn stopped_with_clients_that_stay(engine: Engine) {
    let mut processes = Processes::start(engine).await;
    OpenClass::create(&processes, 1).await;
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
        let status = processes
            .ended(service, Duration::from_secs(IDLE_STOP_SECONDS))
            .await;
        assert!(status.success(), "{service:?} ended with {status}");
        assert!(TcpStream::connect(address).await.is_err());
    }
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_close_do_not_keep_a_service_from_ending_on_postgres() {
    stopped_with_clients_that_stay(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_close_do_not_keep_a_service_from_ending_on_sqlite() {
    stopped_with_clients_that_stay(Engine::Sqlite).await;
}

/// Returns a proxy before a database, and the URL that leads through it.
async fn proxy_before(database: &Url) -> (TcpProxy, Url) {
    let Url::Postgres(text) = database else {
        panic!("a file does not hang like this")
    };
    let mut url = url::Url::parse(text).unwrap();
    let upstream = (url.host_str().unwrap(), url.port().unwrap_or(5432));
    let upstream = tokio::net::lookup_host(upstream).await.unwrap().next();
    let proxy = TcpProxy::start(upstream.unwrap()).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.address().port())).unwrap();
    (proxy, Url::Postgres(url.to_string()))
}

/// Keeps every connection open and silent.
fn hang(proxy: &TcpProxy) {
    proxy.stall(Direction::ToUpstream, true);
    proxy.stall(Direction::ToClient, true);
}

async fn stopped_while_the_database_hangs(service: Service) {
    let databases = Databases::create(Engine::Postgres).await;
    let (behind, table) = match service {
        Service::Membership => (&databases.membership, "classes"),
        Service::Invitations => (&databases.invitations, "redemptions"),
    };
    let mut direct = PgConnection::connect(&database_url(behind)).await.unwrap();
    let (proxy, url) = proxy_before(behind).await;
    let mut processes = Processes::on(databases).with_database_url(service, url);
    processes.launch_both().await;
    let class = OpenClass::create(&processes, 1).await;

    // Given a call in the middle of a statement, when its database answers nothing any more,
    let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    direct.execute(AssertSqlSafe(lock)).await.unwrap();
    let (callers, request) = (processes.callers(), class.request(0));
    let call = tokio::spawn(async move {
        match service {
            Service::Membership => {
                let mut teacher = callers.user("teacher");
                let request = new_class("chemistry", "Chemistry");
                teacher.classes.create_class(request).await.map(drop)
            }
            Service::Invitations => callers.user("student").redeem_with(request).await.map(drop),
        }
    });
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(waiting)
        .fetch_one(&mut direct)
        .await
        .unwrap()
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hang(&proxy);

    // and the service must stop,
    let ordered = Instant::now();
    processes.order_stop(service);

    // then it gives the call its time, ends within its limit, and reports by its exit status that
    // it left work unfinished.
    let limit = Duration::from_secs(STOP_SECONDS_MAX + SLACK_SECONDS);
    let status = processes.ended(service, limit).await;
    assert_eq!(status.code(), Some(1));
    assert!(ordered.elapsed() >= Duration::from_secs(DRAIN_SECONDS_MAX));
    assert!(call.await.unwrap().is_err());
    drop(direct);
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn membership_ends_though_its_database_hangs() {
    stopped_while_the_database_hangs(Service::Membership).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invitations_ends_though_its_database_hangs() {
    stopped_while_the_database_hangs(Service::Invitations).await;
}

async fn stopped_while_it_starts(service: Service) {
    // Given a service that starts on a database that answers nothing,
    let databases = Databases::create(Engine::Postgres).await;
    let behind = match service {
        Service::Membership => &databases.membership,
        Service::Invitations => &databases.invitations,
    };
    let (proxy, url) = proxy_before(behind).await;
    hang(&proxy);
    let mut processes = Processes::on(databases).with_database_url(service, url);
    processes.begin(service);
    while proxy.open() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    // when it must stop, then it has nothing to finish.
    processes.order_stop(service);
    let status = processes
        .ended(service, Duration::from_secs(IDLE_STOP_SECONDS))
        .await;
    assert!(status.success(), "{service:?} ended with {status}");
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn membership_stops_while_it_starts() {
    stopped_while_it_starts(Service::Membership).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invitations_stops_while_it_starts() {
    stopped_while_it_starts(Service::Invitations).await;
}

#[test]
fn calls_have_most_of_the_time_to_stop_and_the_rest_is_left_for_what_they_wrote() {
    const { assert!(DRAIN_SECONDS_MAX + 5 <= STOP_SECONDS_MAX) };
}
