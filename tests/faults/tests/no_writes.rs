//! A database that refuses writes for a while: a standby, a server that is read-only by default. Both services report
//! it meanwhile, and serve again by themselves afterwards.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use homeroom_api::invitations::v1::{RedeemRequest, RedemptionOutcome};
use homeroom_audit::audit;
use homeroom_faults::surroundings::PostgresPair;
use homeroom_kit::database::{OpenError, Options, Url, connect_postgres};
use homeroom_tests::{
    Homeroom, School,
    databases::{Databases, Reader},
    details,
    postgres::{Postgres, PostgresOptions},
    probes, reason,
    tcp_proxy::TcpProxy,
};
use serde_json::json;
use sqlx::Executor as _;
use tonic::{Code, Status};

/// The time within which both services serve again once the fault is over.
const BACK_SECONDS: u64 = 5;
/// The number of writes that may still succeed at first.
const WRITES_MAX: usize = 2_000;
/// The number of writes that must all succeed once the services are back, on every connection that
/// they have.
const WRITES_AFTER: usize = 20;

/// Both services, and the school whose students join.
struct Stage {
    homeroom: Homeroom,
    school: School,
    code: String,
}

impl Stage {
    /// Starts both services on this server, through the proxy.
    async fn on(postgres: &Postgres, proxy: &TcpProxy) -> Self {
        let mut urls = Vec::new();
        for name in ["membership", "invitations"] {
            postgres.create_database(name).await;
            let mut url = url::Url::parse(&postgres.url(name)).unwrap();
            url.set_port(Some(proxy.address().port())).unwrap();
            urls.push(Url::Postgres(url.to_string()));
        }
        let [membership, invitations] = urls.try_into().unwrap();
        let databases = Databases::of(membership, invitations, None);
        let homeroom = Homeroom::start_on(databases, |_| {}).await;
        let school = homeroom.school().await;
        let code = school.class_code().await.code;
        let stage = Self {
            homeroom,
            school,
            code,
        };
        stage.until_ready(true).await;
        stage.add().await.unwrap();
        stage.redeem(&stage.request()).await.unwrap();
        stage
    }

    /// Makes membership write.
    async fn add(&self) -> Result<(), Status> {
        let member = json!({"user": self.homeroom.new_id(), "role": "STUDENT"});
        let add = json!({"parent": self.school.organization, "member": member});
        let method = "MemberService.AddOrganizationMember";
        self.school.admin.call(method, &add).await.map(drop)
    }

    /// Returns the request of another student.
    fn request(&self) -> RedeemRequest {
        RedeemRequest {
            credential: self.code.clone(),
            request_id: self.homeroom.new_id().to_string(),
            ..Default::default()
        }
    }

    /// Makes both services write.
    async fn redeem(&self, request: &RedeemRequest) -> Result<(), Status> {
        let student = self.homeroom.user(&request.request_id);
        let redeemed = student.redeem_with(request.clone()).await?;
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
    /// services are not ready. Returns the requests of students who got no answer.
    async fn takes_no_writes(&self) -> Vec<RedeemRequest> {
        let fails = |answer: Result<(), Status>| {
            let Err(status) = answer else { return false };
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            let reasons = ["DATABASE_UNAVAILABLE", "MEMBERSHIP_UNAVAILABLE"];
            assert!(reasons.contains(&reason(&status).as_str()), "{status:?}");
            assert!(details(&status).retry_info().is_some(), "{status:?}");
            true
        };
        let mut unanswered = Vec::new();
        for _ in 0..WRITES_MAX {
            let request = self.request();
            let (add_fails, fails) = (fails(self.add().await), fails(self.redeem(&request).await));
            if fails {
                unanswered.push(request);
            }
            if add_fails && fails {
                self.until_ready(false).await;
                return unanswered;
            }
        }
        panic!("everything can be written");
    }

    /// Checks that both services work again without a restart, and that students who got no answer
    /// can retry and are admitted.
    async fn serves_again(self, unanswered: Vec<RedeemRequest>) {
        let ended = Instant::now();
        while !(self.are_ready().await == [true; 2]
            && self.add().await.is_ok()
            && self.redeem(&self.request()).await.is_ok())
        {
            let waited = ended.elapsed();
            assert!(waited < Duration::from_secs(BACK_SECONDS), "{waited:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("back after {:.1?}", ended.elapsed());
        for _ in 0..WRITES_AFTER {
            self.add().await.unwrap();
            self.redeem(&self.request()).await.unwrap();
        }
        for request in &unanswered {
            self.redeem(request).await.unwrap();
        }
        let databases = self.homeroom.databases();
        self.homeroom
            .eventually("everything is settled", async || {
                self.homeroom.advance(TimeDelta::seconds(2));
                databases.reserved_redemptions().await == 0
            })
            .await;
        let options = homeroom_audit::Options::at(self.homeroom.now());
        let report = audit(&databases.membership, &databases.invitations, &options).await;
        assert_eq!(report.unwrap().broken(), []);
        self.homeroom.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_leads_to_a_standby() {
    let pair = PostgresPair::start().await;
    let proxy = pair.proxy();
    let stage = Stage::on(pair.primary(), proxy).await;

    proxy.set_upstream(pair.replica().address());
    proxy.cut();
    let unanswered = stage.takes_no_writes().await;
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
    stage.serves_again(unanswered).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_became_read_only_under_its_connections() {
    let postgres = Postgres::start(PostgresOptions::default()).await;
    let proxy = TcpProxy::start(postgres.address()).await;
    let stage = Stage::on(&postgres, &proxy).await;
    let set = async |value: &str| {
        let url = Url::Postgres(postgres.url("postgres"));
        let mut server = Reader::open(&url).await.unwrap();
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
        // A system's settings are not altered in a transaction of several statements.
        for statement in [set.as_str(), "SELECT pg_reload_conf()"] {
            server.execute(statement).await.unwrap();
        }
    };

    set("on").await;
    let unanswered = stage.takes_no_writes().await;

    set("off").await;
    stage.serves_again(unanswered).await;
}
