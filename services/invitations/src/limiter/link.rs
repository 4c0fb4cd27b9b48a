//! The connection to one Redis, made anew where a new one may lead to another server.
//!
//! redis-rs connects again only when the network fails. It keeps a connection on which every write is
//! refused because the server has become a replica, and one on which nothing is answered; and when a
//! server once refuses the login, it never tries again. But an address that follows the master (a virtual
//! IP, a Kubernetes Service) leads only new connections to the new master.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    Client, FromRedisValue, Pipeline, RedisError, RedisResult, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

/// How long a new connection is kept, whatever is answered on it, in milliseconds: a server that stays
/// demoted is connected to five times a second at most.
const CONNECTIONS_APART_MILLIS: u64 = 200;
/// The error codes of a server that is not the master, or not yet. Another one may be the master by now.
const NOT_THE_MASTER: [&str; 6] = [
    "READONLY",
    "MASTERDOWN",
    "LOADING",
    "NOREPLICAS",
    "UNBLOCKED",
    "CLUSTERDOWN",
];

/// One Redis behind an address.
pub(super) struct Link {
    client: Client,
    settings: ConnectionManagerConfig,
    current: Mutex<Current>,
    /// The present connection is being made, or was made a moment ago.
    is_fresh: Arc<AtomicBool>,
}

struct Current {
    connection: ConnectionManager,
    number: u64,
    /// To be replaced when it is next asked for, so that the new one leads where the address leads then.
    is_stale: bool,
}

impl Link {
    /// Needs no Redis to be there yet. Must be called within the async runtime.
    pub(super) fn new(client: Client, settings: ConnectionManagerConfig) -> RedisResult<Self> {
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), settings.clone())?;
        Ok(Self {
            client,
            settings,
            current: Mutex::new(Current {
                connection,
                number: 0,
                is_stale: false,
            }),
            is_fresh: Arc::default(),
        })
    }

    /// Sends the commands to whichever server is there. One answer each.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        pipeline: &mut Pipeline,
    ) -> RedisResult<Vec<RedisResult<T>>> {
        let (number, connection) = self.connection();
        self.ask_on(number, connection, pipeline).await
    }

    /// Sends the commands to a server that has to be the master. The connection is left when it is not.
    pub(super) async fn ask_master<T: FromRedisValue>(
        &self,
        pipeline: &mut Pipeline,
    ) -> RedisResult<Vec<RedisResult<T>>> {
        let (number, connection) = self.connection();
        let answers = self.ask_on(number, connection, pipeline).await?;
        if answers
            .iter()
            .any(|answer| answer.as_ref().is_err_and(is_not_the_master))
        {
            self.leave(number);
        }
        Ok(answers)
    }

    /// Leaves a connection on which calls were not answered in time, unless it was made a moment ago.
    pub(super) fn leave_the_silent(&self) {
        if !self.is_fresh.load(Ordering::Acquire) {
            self.lock().is_stale = true;
        }
    }

    async fn ask_on<T: FromRedisValue>(
        &self,
        number: u64,
        mut connection: ConnectionManager,
        pipeline: &mut Pipeline,
    ) -> RedisResult<Vec<RedisResult<T>>> {
        let answers: RedisResult<Vec<RedisResult<T>>> =
            pipeline.ignore_errors().query_async(&mut connection).await;
        // After other errors of the network redis-rs connects again by itself.
        if let Err(error) = &answers
            && (!error.is_io_error() || error.is_timeout())
        {
            self.leave(number);
        }
        answers
    }

    fn leave(&self, number: u64) {
        let mut current = self.lock();
        current.is_stale |= current.number == number;
    }

    fn connection(&self) -> (u64, ConnectionManager) {
        let mut current = self.lock();
        if current.is_stale && !self.is_fresh.swap(true, Ordering::AcqRel) {
            let (client, settings) = (self.client.clone(), self.settings.clone());
            // Only settings could fail it, and those have not changed.
            if let Ok(connection) = ConnectionManager::new_lazy_with_config(client, settings) {
                current.number += 1;
                current.is_stale = false;
                current.connection = connection;
            }
            tokio::spawn(connect(
                current.connection.clone(),
                Arc::clone(&self.is_fresh),
            ));
        }
        (current.number, current.connection.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects, also when the call that asked for it has been given up.
async fn connect(mut connection: ConnectionManager, is_fresh: Arc<AtomicBool>) {
    let answer: RedisResult<Value> = redis::cmd("PING").query_async(&mut connection).await;
    if let Err(error) = answer {
        tracing::debug!(%error, "a new connection to the limiter's Redis failed");
    }
    drop(connection);
    tokio::time::sleep(Duration::from_millis(CONNECTIONS_APART_MILLIS)).await;
    is_fresh.store(false, Ordering::Release);
}

/// Returns true for the answers of [`NOT_THE_MASTER`]. Before Redis 7 a script wraps them in an ERR.
fn is_not_the_master(error: &RedisError) -> bool {
    let wrapped = |code: &&str| {
        error
            .detail()
            .is_some_and(|detail| detail.contains(&format!(" -{code} ")))
    };
    NOT_THE_MASTER
        .iter()
        .any(|code| error.code() == Some(code) || wrapped(code))
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    #[test]
    fn r10_answers_of_a_server_that_is_not_the_master_are_known() {
        for (answer, expected) in [
            (
                "-READONLY You can't write against a read only replica.",
                true,
            ),
            (
                "-ERR Error running script (call to f_1): @user_script:23: @user_script: 23: \
                 -READONLY You can't write against a read only replica. ",
                true,
            ),
            ("-MASTERDOWN Link with MASTER is down.", true),
            ("-LOADING Redis is loading the dataset in memory", true),
            ("-NOREPLICAS Not enough good replicas to write.", true),
            ("-UNBLOCKED force unblock from blocking operation", true),
            ("-CLUSTERDOWN The cluster is down", true),
            (
                "-OOM command not allowed when used memory > 'maxmemory'.",
                false,
            ),
            ("-BUSY Redis is busy running a script.", false),
            ("-NOSCRIPT No matching script. Please use EVAL.", false),
            ("-MOVED 3999 127.0.0.1:6381", false),
            ("-ERR unknown limiter operation", false),
        ] {
            let value = parse_redis_value(format!("{answer}\r\n").as_bytes()).unwrap();
            let error = value.extract_error().unwrap_err();
            assert_eq!(is_not_the_master(&error), expected, "{answer}");
        }
    }
}
