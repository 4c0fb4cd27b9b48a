//! A separate Redis server, which can be killed, stopped, flushed and restarted.

use std::{net::SocketAddr, process::Command};

use redis::{Client, RedisResult, aio::MultiplexedConnection};

use super::{
    Patience, free_address,
    process::{Process, Signal},
};

/// A server on loopback that keeps nothing on disk. When dropped, it is killed.
pub struct Redis {
    // The order matters: the process ends before its folder is removed.
    process: Option<Process>,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts an empty server; returns when it serves.
    pub async fn start() -> Self {
        let mut redis = Self {
            process: None,
            address: free_address(),
            folder: tempfile::tempdir().unwrap(),
        };
        redis.start_again().await;
        redis
    }

    /// Returns its address, which stays the same while it is not running.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Sends SIGKILL: all data and scripts are lost.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(Signal::Kill).await;
        }
    }

    /// Starts it empty, unless it is running; returns when it serves.
    pub async fn start_again(&mut self) {
        if !self.process.as_mut().is_some_and(Process::is_running) {
            let mut command = Command::new("redis-server");
            command
                .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
                .args(["--port", &self.address.port().to_string()])
                .args(["--repl-diskless-sync-delay", "0", "--dir"])
                .arg(self.folder.path());
            let log = self.folder.path().join("redis.log");
            self.process = Some(Process::start("redis-server", command, &log, Signal::Kill));
        }
        let patience = Patience::until("Redis serves");
        while self.command(&["PING"]).await.is_err() {
            patience.pause().await;
        }
    }

    /// Sends SIGSTOP: connections stay open and are accepted, and nothing is answered.
    pub fn stop(&mut self) {
        self.signal(Signal::Stop);
    }

    /// Sends SIGCONT: it continues with everything that it received meanwhile.
    pub fn resume(&mut self) {
        self.signal(Signal::Continue);
    }

    /// Deletes all data and all scripts.
    pub async fn flush(&self) {
        for command in [&["FLUSHALL"][..], &["SCRIPT", "FLUSH"]] {
            self.command(command).await.unwrap();
        }
    }

    fn signal(&mut self, signal: Signal) {
        let process = self.process.as_mut();
        process.expect("Redis does not run").signal(signal);
    }

    /// Sends one command on a new connection, and returns the reply as text.
    pub(super) async fn command(&self, words: &[&str]) -> RedisResult<String> {
        let mut connection = connect(&self.url()).await?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query_async(&mut connection).await
    }
}

pub(super) async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    Client::open(url)?.get_multiplexed_async_connection().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Redis, connect};

    #[tokio::test(flavor = "multi_thread")]
    async fn redis_is_stopped_and_answers_when_it_goes_on() {
        let mut redis = Redis::start().await;
        redis.command(&["SET", "key", "kept"]).await.unwrap();
        redis.stop();
        let silence = tokio::time::timeout(Duration::from_millis(300), redis.command(&["PING"]));
        assert!(silence.await.is_err(), "a stopped one answered");
        redis.resume();
        assert_eq!(redis.command(&["GET", "key"]).await.unwrap(), "kept");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn redis_forgets_when_it_is_flushed_or_killed() {
        let mut redis = Redis::start().await;
        for killed in [false, true] {
            redis.command(&["SET", "key", "value"]).await.unwrap();
            let script = redis.command(&["SCRIPT", "LOAD", "return 'run'"]).await;
            let script = script.unwrap();
            let run = ["EVALSHA", script.as_str(), "0"];
            assert_eq!(redis.command(&run).await.unwrap(), "run");
            if killed {
                redis.kill().await;
                assert!(connect(&redis.url()).await.is_err());
                redis.start_again().await;
            } else {
                redis.flush().await;
            }
            assert_eq!(redis.command(&["EXISTS", "key"]).await.unwrap(), "0");
            let gone = redis.command(&run).await.unwrap_err();
            assert_eq!(gone.code(), Some("NOSCRIPT"));
        }
    }
}
