//! Connections on which nobody has shown a good access token: the first to go when connections run short.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpConnectInfo;

/// How long a connection may stay without an authenticated call while connections run short, in seconds.
pub const UNAUTHENTICATED_SECONDS_MAX: u64 = 60;
/// Connections run short once no more than one in so many is free: three quarters are taken.
const SCARCE_DIVISOR: usize = 4;
/// How often within the time that a connection may stay it is looked at.
const LOOKS: u32 = 12;

/// What is known of a connection: an extension of each of its requests.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionInfo {
    pub(super) tcp: TcpConnectInfo,
    pub(super) standing: Arc<Standing>,
}

impl ConnectionInfo {
    /// Where it comes from.
    pub(crate) fn remote_addr(&self) -> Option<SocketAddr> {
        self.tcp.remote_addr()
    }

    /// A call of it was authenticated.
    pub(crate) fn authenticated(&self) {
        self.standing.authenticated.store(true, Ordering::Relaxed);
    }

    /// The place of its one check of health that is answered whatever else is under way, if that is free.
    pub(super) fn check_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.standing.check).try_acquire_owned().ok()
    }
}

/// How a connection stands.
#[derive(Debug)]
pub(super) struct Standing {
    authenticated: AtomicBool,
    opened: Instant,
    cut: CancellationToken,
    check: Arc<Semaphore>,
}

impl Standing {
    /// Of a connection that is opened now and ends when it is cut.
    pub(super) fn new(cut: CancellationToken) -> Self {
        Self {
            authenticated: AtomicBool::new(false),
            opened: Instant::now(),
            cut,
            check: Arc::new(Semaphore::new(1)),
        }
    }

    /// What cuts it.
    pub(super) fn cut(&self) -> &CancellationToken {
        &self.cut
    }
}

/// Cuts connections that have had time to authenticate and have not, while connections run short. Others
/// are left alone: most who only look at health do no harm.
#[derive(Debug)]
pub(super) struct Strangers {
    connections: Mutex<Vec<Weak<Standing>>>,
    connections_max: usize,
    free: Arc<Semaphore>,
    age_max: Duration,
}

impl Strangers {
    /// Looks after connections until it is dropped. `free` has a permit for each further connection.
    pub(super) fn follow(
        connections_max: usize,
        free: Arc<Semaphore>,
        age_max: Duration,
    ) -> Arc<Self> {
        let strangers = Arc::new(Self {
            connections: Mutex::default(),
            connections_max,
            free,
            age_max,
        });
        let followed = Arc::downgrade(&strangers);
        let pause = (age_max / LOOKS).max(Duration::from_millis(1));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(strangers) = followed.upgrade() else {
                    return;
                };
                strangers.cut_overdue(Instant::now());
            }
        });
        strangers
    }

    /// A stranger more.
    pub(super) fn opened(&self, cut: CancellationToken) -> Arc<Standing> {
        let standing = Arc::new(Standing::new(cut));
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connections.push(Arc::downgrade(&standing));
        standing
    }

    fn cut_overdue(&self, now: Instant) {
        let scarce = self.free.available_permits() <= self.connections_max / SCARCE_DIVISOR;
        let mut count = 0;
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connections.retain(|connection| {
            let Some(connection) = connection.upgrade() else {
                return false;
            };
            if connection.authenticated.load(Ordering::Relaxed) {
                return false;
            }
            let overdue = scarce && now.duration_since(connection.opened) >= self.age_max;
            if overdue {
                connection.cut.cancel();
                count += 1;
            }
            !overdue
        });
        drop(connections);
        if count > 0 {
            tracing::warn!(
                count,
                "connections run short: those without an authenticated call were cut"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight connections at most, of which so many are taken, looked at by the test alone.
    fn strangers(taken: u32, age_max: Duration) -> (Strangers, Arc<Standing>) {
        let free = Arc::new(Semaphore::new(8));
        free.forget_permits(usize::try_from(taken).unwrap());
        let strangers = Strangers {
            connections: Mutex::default(),
            connections_max: 8,
            free,
            age_max,
        };
        let standing = strangers.opened(CancellationToken::new());
        (strangers, standing)
    }

    fn is_cut(taken: u32, age_max: Duration) -> bool {
        let (strangers, stranger) = strangers(taken, age_max);
        strangers.cut_overdue(Instant::now());
        stranger.cut.is_cancelled()
    }

    #[test]
    fn strangers_go_once_three_quarters_are_taken_and_not_before() {
        assert!(!is_cut(5, Duration::ZERO));
        assert!(is_cut(6, Duration::ZERO));
        assert!(is_cut(8, Duration::ZERO));
    }

    #[test]
    fn a_stranger_has_its_time_and_no_more() {
        let age_max = Duration::from_secs(UNAUTHENTICATED_SECONDS_MAX);
        let (strangers, stranger) = strangers(8, age_max);
        let end = stranger.opened + age_max;
        strangers.cut_overdue(end - Duration::from_nanos(1));
        assert!(!stranger.cut.is_cancelled());
        strangers.cut_overdue(end);
        assert!(stranger.cut.is_cancelled());
    }

    #[test]
    fn who_has_authenticated_is_left_alone_and_who_has_gone_forgotten() {
        let (strangers, known) = strangers(8, Duration::ZERO);
        let info = ConnectionInfo {
            tcp: TcpConnectInfo {
                local_addr: None,
                remote_addr: None,
            },
            standing: Arc::clone(&known),
        };
        info.authenticated();
        drop(strangers.opened(CancellationToken::new()));
        strangers.cut_overdue(Instant::now());
        assert!(!known.cut.is_cancelled());
        assert!(strangers.connections.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn they_are_looked_at_by_themselves() {
        let free = Arc::new(Semaphore::new(2));
        let strangers = Strangers::follow(8, free, Duration::from_millis(1));
        let stranger = strangers.opened(CancellationToken::new());
        let cut = tokio::time::timeout(Duration::from_secs(20), stranger.cut.cancelled());
        cut.await.expect("it is cut");
    }
}
