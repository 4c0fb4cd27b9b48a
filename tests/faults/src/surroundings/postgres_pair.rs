//! A PostgreSQL primary with a synchronous replica that can take over, behind one address.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::{
    Patience,
    postgres::{Postgres, PostgresOptions, url},
    process::run_aside,
    tcp_proxy::TcpProxy,
};

/// Two clusters and a proxy to the primary. Commits wait for the replica, so a promotion loses
/// nothing that was acknowledged.
pub struct PostgresPair {
    proxy: TcpProxy,
    primary: Postgres,
    /// The replica; `None` between a promotion and the next replica.
    replica: Option<Postgres>,
    options: PostgresOptions,
}

impl PostgresPair {
    /// Starts both; returns when commits are synchronous.
    pub async fn start(options: PostgresOptions) -> Self {
        let primary = Postgres::start(options.clone()).await;
        let mut pair = Self {
            proxy: TcpProxy::start(primary.address()).await,
            primary,
            replica: None,
            options,
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
        url(self.proxy.address(), database)
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

    /// Returns the current primary, so that it can be crashed.
    pub fn primary_mut(&mut self) -> &mut Postgres {
        &mut self.primary
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
        let mut replica = Postgres::prepare(&self.options);
        let primary = self.primary.address();
        let mut copy = replica.program("pg_basebackup");
        copy.args(["--dbname", &url(primary, "postgres"), "--pgdata"])
            .arg(replica.data())
            .args(["--write-recovery-conf", "--checkpoint=fast"])
            .args(["--wal-method=stream", "--no-sync"]);
        run_aside(copy).await;
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
async fn until_true(connection: &mut PgConnection, what: &'static str, question: &str) {
    let patience = Patience::until(what);
    loop {
        let holds: bool = sqlx::query_scalar(AssertSqlSafe(question))
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        if holds {
            return;
        }
        patience.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::{Connection as _, Executor as _, PgConnection};

    use super::{PostgresOptions, PostgresPair};

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_promotes_its_replica_again_and_again_and_loses_no_commit() {
        let mut pair = PostgresPair::start(PostgresOptions::default()).await;
        let url = pair.url("postgres");
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection
            .execute("CREATE TABLE promotions (number BIGINT); CREATE TABLE alone (number BIGINT)")
            .await
            .unwrap();
        for number in 0..2_i64 {
            let before = pair.primary().address();
            sqlx::query("INSERT INTO promotions VALUES ($1)")
                .bind(number)
                .execute(&mut connection)
                .await
                .unwrap();

            pair.promote().await;

            assert!(connection.ping().await.is_err(), "its server has gone");
            assert_ne!(pair.primary().address(), before);
            connection = PgConnection::connect(&url).await.unwrap();
            let write = connection.execute("INSERT INTO alone VALUES (1)");
            tokio::time::timeout(Duration::from_secs(10), write)
                .await
                .expect("the new primary waits for a replica that it does not have")
                .unwrap();
            let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM promotions")
                .fetch_one(&mut connection)
                .await
                .unwrap();
            assert_eq!(kept, number + 1);
            pair.renew_replica().await;
            pair.renew_replica().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_acknowledges_no_commit_that_its_replica_lacks() {
        let mut pair = PostgresPair::start(PostgresOptions::default()).await;
        let mut connection = PgConnection::connect(&pair.url("postgres")).await.unwrap();
        pair.replica.as_mut().unwrap().crash().await;
        let commit = connection.execute("CREATE TABLE unreplicated (number BIGINT)");
        let waited = tokio::time::timeout(Duration::from_millis(500), commit).await;
        assert!(waited.is_err(), "committed without its replica");
    }
}
