//! A database that refuses writes for a while: a standby, a server that is read-only by default. Both services report it meanwhile, and serve again by themselves afterwards.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::Role,
    invitations::v1::{RedeemRequest, RedemptionOutcome},
    membership::v1::AddOrganizationMemberRequest,
};
use homeroom_audit::audit;
use homeroom_faults::surroundings::PostgresPair;
use homeroom_kit::database::{OpenError, Options, Url, connect_postgres};
use homeroom_tests::{
    Homeroom, School,
    databases::Databases,
    details, member,
    postgres::{Postgres, PostgresOptions},
    probes, reason,
    tcp_proxy::TcpProxy,
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tonic::{Code, Status};

/// The time within which both services serve again once the fault is over.
const BACK_SECONDS: u64 = 5;
/// The number of writes that may still succeed at first.
const WRITES_MAX: usize = 2_000;
/// The number of writes that must all succeed once the services are back.
const WRITES_AFTER: usize = 20;

/// Both services, and the students who join.
struct Stage {
    homeroom: Homeroom,
    school: School,
    code: String,
    /// Students whose redemption was not answered, with its request id.
    unanswered: BTreeMap<String, String>,
    came: usize,
}

impl Stage {
    async fn on(databases: Databases) -> Self {
        let homeroom = Homeroom::start_on(databases, |_| {}).await;
        let school = homeroom.school().await;
        let code = school.class_code().await.code;
        let mut stage = Self {
            homeroom,
            school,
            code,
            unanswered: BTreeMap::new(),
            came: 0,
        };
        stage.until_ready(true).await;
        stage.add().await.unwrap();
        stage.redeem().await.unwrap();
        stage
    }

    fn next(&mut self) -> String {
        self.came += 1;
        format!("student-{}", self.came)
    }

    /// Makes membership write.
    async fn add(&mut self) -> Result<(), Status> {
        let request = AddOrganizationMemberRequest {
            parent: self.school.organization.clone(),
            member: Some(member(&self.next(), Role::Student)),
            ..Default::default()
        };
        let mut members = self.school.admin.members.clone();
        members.add_organization_member(request).await.map(drop)
    }

    /// Makes both services write.
    async fn redeem(&mut self) -> Result<(), Status> {
        let (student, request_id) = (self.next(), self.homeroom.new_id().to_string());
        let redeemed = self.redeem_as(&student, &request_id).await;
        if redeemed.is_err() {
            self.unanswered.insert(student, request_id);
        }
        redeemed
    }

    async fn redeem_as(&self, student: &str, request_id: &str) -> Result<(), Status> {
        let request = RedeemRequest {
            credential: self.code.clone(),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        let redeemed = self.homeroom.user(student).redeem_with(request).await?;
        assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
        Ok(())
    }

    async fn are_ready(&self) -> [bool; 2] {
        [
            probes::is_ready(self.homeroom.membership_address).await,
            probes::is_ready(self.homeroom.invitations_address).await,
        ]
    }

    async fn until_ready(&self, ready: bool) {
        self.homeroom
            .eventually("both services say whether they are ready", async || {
                self.are_ready().await == [ready; 2]
            })
            .await;
    }

    /// Checks that callers get a retryable error while nothing can be written, and that both
    /// services are not ready.
    async fn takes_no_writes(&mut self) {
        let unavailable = |status: &Status, reasons: &[&str]| {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert!(reasons.contains(&reason(status).as_str()), "{status:?}");
            assert!(details(status).retry_info().is_some(), "{status:?}");
        };
        let mut writes = 0;
        loop {
            let (added, redeemed) = (self.add().await, self.redeem().await);
            if let Err(failed) = &added {
                unavailable(failed, &["DATABASE_UNAVAILABLE"]);
            }
            if let Err(failed) = &redeemed {
                unavailable(failed, &["DATABASE_UNAVAILABLE", "MEMBERSHIP_UNAVAILABLE"]);
            }
            if added.is_err() && redeemed.is_err() {
                break;
            }
            writes += 1;
            assert!(writes < WRITES_MAX, "everything can be written");
        }
        self.until_ready(false).await;
    }

    /// Checks that both services work again without a restart, and that students who got no answer
    /// can retry and are admitted.
    async fn serves_again(mut self) {
        let ended = Instant::now();
        while !(self.are_ready().await == [true; 2]
            && self.add().await.is_ok()
            && self.redeem().await.is_ok())
        {
            let waited = ended.elapsed();
            assert!(waited < Duration::from_secs(BACK_SECONDS), "{waited:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("back after {:.1?}", ended.elapsed());
        // These reach every connection that the services have.
        for _ in 0..WRITES_AFTER {
            self.add().await.unwrap();
            self.redeem().await.unwrap();
        }
        for (student, request_id) in std::mem::take(&mut self.unanswered) {
            self.redeem_as(&student, &request_id).await.unwrap();
        }
        self.homeroom
            .eventually("everything is settled", async || {
                self.homeroom.advance(TimeDelta::seconds(2));
                self.homeroom.databases().reserved_redemptions().await == 0
            })
            .await;
        let databases = self.homeroom.databases();
        let options = homeroom_audit::Options::at(self.homeroom.now());
        let report = audit(&databases.membership, &databases.invitations, &options).await;
        assert_eq!(report.unwrap().broken(), []);
        self.homeroom.stop().await;
    }
}

/// Starts both services on this server, through the proxy.
async fn stage_on(postgres: &Postgres, proxy: &TcpProxy) -> Stage {
    let mut urls = Vec::new();
    for name in ["membership", "invitations"] {
        postgres.create_database(name).await;
        let mut url = url::Url::parse(&postgres.url(name)).unwrap();
        url.set_port(Some(proxy.address().port())).unwrap();
        urls.push(Url::Postgres(url.to_string()));
    }
    let [membership, invitations] = urls.try_into().unwrap();
    Stage::on(Databases::of(membership, invitations, None)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_leads_to_a_standby() {
    let pair = PostgresPair::start().await;
    let proxy = pair.proxy();
    let mut stage = stage_on(pair.primary(), proxy).await;

    proxy.set_upstream(pair.replica().address());
    proxy.cut();
    stage.takes_no_writes().await;
    let Err(refused) = connect_postgres(
        &Url::Postgres(pair.url("membership")),
        Options {
            acquire_timeout: Duration::from_millis(200),
            ..Options::default()
        },
    )
    .await
    else {
        panic!("a standby was taken for a primary");
    };
    assert!(matches!(refused, OpenError::Unwritable { .. }), "{refused}");

    // Connections that were made meanwhile stay open.
    proxy.set_upstream(pair.primary().address());
    stage.serves_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hosts_of_one_url_before_and_after_a_failover() {
    // Given a URL that names the standby before the primary,
    let mut pair = PostgresPair::start().await;
    pair.primary().create_database("school").await;
    let primary = pair.primary().url("school");
    let (user, primary) = primary.split_once('@').unwrap();
    let url = format!("{user}@{},{primary}", pair.replica().address());
    let url = Url::parse(&url).unwrap();

    // then what is written goes to the primary,
    let pools = connect_postgres(&url, Options::default()).await.unwrap();
    let write = async |statement: &'static str| {
        let mut session = pools.write().await?;
        let connection = session.connection();
        connection.execute(statement).await?;
        session.commit("faults", "test").await
    };
    write("CREATE TABLE marks (mark BIGINT)").await.unwrap();

    // and after a failover to the standby, within seconds and without a restart.
    pair.promote().await;
    let ended = Instant::now();
    while write("INSERT INTO marks VALUES (1)").await.is_err() {
        let waited = ended.elapsed();
        assert!(waited < Duration::from_secs(BACK_SECONDS), "{waited:?}");
    }
    pools.close().await;
}

/// Runs statements on the server itself.
async fn run(postgres: &Postgres, statements: &[String]) {
    let url = postgres.url("postgres");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for statement in statements {
        let statement = AssertSqlSafe(statement.clone());
        connection.execute(statement).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_became_read_only_under_its_connections() {
    let postgres = Postgres::start(PostgresOptions::default()).await;
    let proxy = TcpProxy::start(postgres.address()).await;
    let mut stage = stage_on(&postgres, &proxy).await;
    let set = |value: &str| {
        [
            format!("ALTER SYSTEM SET default_transaction_read_only = {value}"),
            "SELECT pg_reload_conf()".to_owned(),
        ]
    };

    run(&postgres, &set("on")).await;
    stage.takes_no_writes().await;

    run(&postgres, &set("off")).await;
    stage.serves_again().await;
}
