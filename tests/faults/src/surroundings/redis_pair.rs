//! A Redis primary with a replica that can take over, behind one address.

use super::{Patience, redis::Redis, tcp_proxy::TcpProxy};

/// Two servers and a proxy to the primary. Redis replicates asynchronously, so a promotion may lose
/// the latest writes.
pub struct RedisPair {
    proxy: TcpProxy,
    primary: Redis,
    replica: Redis,
}

impl RedisPair {
    /// Starts both; returns when the replica has caught up with the primary.
    pub async fn start() -> Self {
        let [primary, replica] = [Redis::start().await, Redis::start().await];
        let mut pair = Self {
            proxy: TcpProxy::start(primary.address()).await,
            primary,
            replica,
        };
        pair.renew_replica().await;
        pair
    }

    /// Returns the proxy in front of the primary. Its address stays when the replica takes over.
    #[must_use]
    pub fn proxy(&self) -> &TcpProxy {
        &self.proxy
    }

    /// Returns the URL, through the proxy.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.proxy.address())
    }

    /// Returns the current primary.
    #[must_use]
    pub fn primary(&self) -> &Redis {
        &self.primary
    }

    /// Returns the current primary, so that it can be killed or stopped.
    pub fn primary_mut(&mut self) -> &mut Redis {
        &mut self.primary
    }

    /// Kills the primary and promotes the replica. Returns when it accepts writes.
    pub async fn promote(&mut self) {
        self.proxy.refuse(true);
        self.primary.kill().await;
        self.proxy.cut();
        self.replica
            .command(&["REPLICAOF", "NO", "ONE"])
            .await
            .unwrap();
        std::mem::swap(&mut self.primary, &mut self.replica);
        self.lead_to_the_primary();
        self.proxy.refuse(false);
    }

    /// Swaps the roles of the two, as before maintenance: both keep running, and open connections
    /// stay with the demoted one. The address leads to it too, until [`Self::lead_to_the_primary`].
    pub async fn fail_over(&mut self) {
        self.primary.command(&["FAILOVER"]).await.unwrap();
        let patience = Patience::until("the two have changed places");
        while !says(&self.replica, "role:master").await
            || !says(&self.primary, "master_link_status:up").await
        {
            patience.pause().await;
        }
        std::mem::swap(&mut self.primary, &mut self.replica);
    }

    /// Directs new connections of the address to the primary.
    pub fn lead_to_the_primary(&self) {
        self.proxy.set_upstream(self.primary.address());
    }

    /// Returns how many scripts clients have run on the primary since it was started.
    pub async fn scripts_run(&self) -> u64 {
        let statistics = self
            .primary
            .command(&["INFO", "commandstats"])
            .await
            .unwrap();
        let calls = statistics.lines().filter_map(|line| {
            let (_, calls) = line.strip_prefix("cmdstat_eval")?.split_once("calls=")?;
            calls.split(',').next()?.parse::<u64>().ok()
        });
        calls.sum()
    }

    /// Makes the other server a replica of the primary; returns when it has caught up. This must
    /// happen before the next promotion.
    pub async fn renew_replica(&mut self) {
        self.replica.start_again().await;
        let port = self.primary.address().port().to_string();
        let replica = &self.replica;
        replica
            .command(&["REPLICAOF", "127.0.0.1", &port])
            .await
            .unwrap();
        let patience = Patience::until("the replica has what the primary has");
        while !says(replica, "master_link_status:up").await {
            patience.pause().await;
        }
        // The link may have been up before, so the latest writes may still be on their way.
        let written = offset(&self.primary, "master_repl_offset:").await;
        while offset(&self.replica, "slave_repl_offset:").await < written {
            patience.pause().await;
        }
    }
}

/// Returns true if the server's replication status has this line.
async fn says(server: &Redis, line: &str) -> bool {
    let replication = server.command(&["INFO", "replication"]).await.unwrap();
    replication.contains(line)
}

/// Returns the primary's writes that a server has made or followed, in bytes.
async fn offset(server: &Redis, name: &str) -> u64 {
    let replication = server.command(&["INFO", "replication"]).await.unwrap();
    let mut lines = replication.lines();
    let offset = lines.find_map(|line| line.strip_prefix(name));
    offset.unwrap().trim().parse().unwrap()
}

#[cfg(test)]
mod tests {
    use super::{super::redis::connect, RedisPair};

    #[tokio::test(flavor = "multi_thread")]
    async fn redis_promotes_its_replica_again_and_again() {
        let mut pair = RedisPair::start().await;
        pair.primary()
            .command(&["SET", "key", "kept"])
            .await
            .unwrap();
        for _ in 0..3 {
            let before = pair.primary().address();
            pair.renew_replica().await;
            pair.promote().await;
            assert_ne!(pair.primary().address(), before);
            let mut connection = connect(&pair.url()).await.unwrap();
            let kept: String = redis::cmd("GET")
                .arg("key")
                .query_async(&mut connection)
                .await
                .unwrap();
            assert_eq!(kept, "kept");
            let written: String = redis::cmd("SET")
                .arg(&["key", "kept"])
                .query_async(&mut connection)
                .await
                .unwrap();
            assert_eq!(written, "OK");
        }
    }
}
