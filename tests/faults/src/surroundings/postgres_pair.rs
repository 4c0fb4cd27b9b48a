//! A PostgreSQL primary with a synchronous replica that can take over, behind one address.

use std::time::{Duration, Instant};

use homeroom_tests::{
    postgres::{Postgres, PostgresOptions, run},
    tcp_proxy::TcpProxy,
};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

/// The time within which a replica must catch up, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Two clusters and a proxy to the primary. Commits wait for the replica, so a promotion loses
/// nothing that was acknowledged.
pub struct PostgresPair {
    proxy: TcpProxy,
    primary: Postgres,
    /// The replica; `None` between a promotion and the next replica.
    replica: Option<Postgres>,
}

impl PostgresPair {
    /// Starts both; returns when commits are synchronous.
    pub async fn start() -> Self {
        let primary = Postgres::start(PostgresOptions::default()).await;
        let mut pair = Self {
            proxy: TcpProxy::start(primary.address()).await,
            primary,
            replica: None,
        };
        pair.renew_replica().await;
        pair
    }

    /// Returns the proxy in front of the primary. Its address stays when the replica takes over.
    #[must_use]
    pub fn proxy(&self) -> &TcpProxy {
        &self.proxy
    }

    /// Returns the URL of one of its databases, through the proxy.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let primary = self.primary.address().to_string();
        let url = self.primary.url(database);
        url.replace(&primary, &self.proxy.address().to_string())
    }

    /// Returns the current primary.
    #[must_use]
    pub fn primary(&self) -> &Postgres {
        &self.primary
    }

    /// Returns the cluster that follows the primary, a hot standby.
    ///
    /// # Panics
    /// Panics between a promotion and [`Self::renew_replica`], when there is none.
    #[must_use]
    pub fn replica(&self) -> &Postgres {
        self.replica.as_ref().expect("renew_replica comes first")
    }

    /// Crashes the primary for good and promotes the replica. Returns when it accepts writes.
    pub async fn promote(&mut self) {
        let replica = self
            .replica
            .take()
            .expect("a promotion needs a replica: renew_replica comes first");
        self.proxy.refuse(true);
        self.primary.crash().await;
        self.proxy.cut();
        let mut connection = replica.connect().await.unwrap();
        let promoted: bool = sqlx::query_scalar("SELECT pg_promote(true, 60)")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert!(promoted, "the replica was not promoted within 60 seconds");
        let before = std::mem::replace(&mut self.primary, replica);
        self.proxy.set_upstream(self.primary.address());
        self.proxy.refuse(false);
        // Removing its files takes longer than the promotion.
        tokio::task::spawn_blocking(|| drop(before)).await.unwrap();
    }

    /// Creates a new replica of the primary. Returns when it has caught up and commits wait for it,
    /// so that it may be promoted.
    pub async fn renew_replica(&mut self) {
        drop(self.replica.take());
        // The copy must start without a synchronous replica of its own when it is promoted.
        self.set_synchronous("").await;
        let mut replica = Postgres::prepare(PostgresOptions::default());
        let mut copy = replica.program("pg_basebackup");
        copy.args(["--dbname", &self.primary.url("postgres"), "--pgdata"])
            .arg(replica.data())
            .args(["--write-recovery-conf", "--checkpoint=fast"])
            .args(["--wal-method=stream", "--no-sync"]);
        run(copy).await;
        replica.start_again().await;
        self.make_synchronous().await;
        self.replica = Some(replica);
    }

    async fn set_synchronous(&self, names: &str) {
        let mut connection = self.primary.connect().await.unwrap();
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'");
        for statement in [set.as_str(), "SELECT pg_reload_conf()"] {
            connection.execute(AssertSqlSafe(statement)).await.unwrap();
        }
    }

    async fn make_synchronous(&self) {
        self.set_synchronous("*").await;
        let mut connection = self.primary.connect().await.unwrap();
        until_true(
            &mut connection,
            "commits wait for the replica",
            "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'",
        )
        .await;
        // Everything committed before commits waited precedes this position.
        let written: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let received = format!(
            "SELECT coalesce(bool_or(flush_lsn >= '{written}'), false) FROM pg_stat_replication"
        );
        until_true(&mut connection, "the replica has everything", &received).await;
    }
}

/// Repeats the query until the answer is true.
async fn until_true(connection: &mut PgConnection, what: &str, question: &str) {
    let begun = Instant::now();
    let ask = async |connection: &mut PgConnection| {
        let query = sqlx::query_scalar::<_, bool>(AssertSqlSafe(question));
        query.fetch_one(connection).await.unwrap()
    };
    while !ask(connection).await {
        assert!(
            begun.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
