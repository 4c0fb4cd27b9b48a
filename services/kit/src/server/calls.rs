//! Limits the calls under way, and tells a shutdown when they have ended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{is_health_path, is_open_path};
use crate::status::Error;

/// The most watches of health under way in a process.
pub const HEALTH_CALLS_MAX: usize = 1_000;
/// The most calls to reflection under way in a process. Each may make the server keep 1 MiB that
/// its caller sent.
pub const REFLECTION_CALLS_MAX: usize = 50;
/// The method that probes call, which is always answered.
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// The range of the retry delay of a refused call, in milliseconds: each gets a different delay, so
/// that they do not return at the same time.
const RETRY_MILLIS: std::ops::Range<u64> = 1_000..2_000;
/// The difference between the delays of two consecutively refused calls, in milliseconds.
const RETRY_STEP_MILLIS: u64 = 618;
/// Counts the calls that were refused because too many were under way.
const SHED: &str = "homeroom_calls_shed_total";
/// The time without a call under way and without a sent byte after which a shutdown waits for no
/// connection any more, in milliseconds. By then everything sent before the shutdown has arrived
/// and all answers have left, except those whose readers have stopped reading.
const LINGER_MILLIS: u64 = 1_000;

/// The calls under way in a process, and the most that may be.
///
/// A call beyond the limit is refused before any work is done for it. A call is under way until its
/// answer is ready; how long its reader takes is left to the proxy in front. Health and reflection
/// have places of their own, which they hold until their streams end, and no shutdown waits for
/// them: a watch of health ends only with its connection.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    under_way: TaskTracker,
    places: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    reflection: Arc<Semaphore>,
    shed: Arc<AtomicU64>,
}

/// A call under way, until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    _place: Option<OwnedSemaphorePermit>,
    _counted: Option<TaskTrackerToken>,
}

impl Calls {
    pub(super) fn new(calls_max: usize) -> Self {
        // A counter that has not been exposed before it rises shows no increase.
        counter!(SHED).increment(0);
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            under_way: TaskTracker::new(),
            places: places(calls_max),
            watches: places(HEALTH_CALLS_MAX),
            reflection: places(REFLECTION_CALLS_MAX),
            shed: Arc::default(),
        }
    }

    /// Counts one more call of this method, or refuses it if all places are taken.
    pub(super) fn begin(&self, path: &str) -> Result<UnderWay, Error> {
        let is_open = is_open_path(path);
        let places = if !is_open {
            &self.places
        } else if is_health_path(path) {
            &self.watches
        } else {
            &self.reflection
        };
        let place = if path == CHECK {
            None
        } else {
            let place = Arc::clone(places).try_acquire_owned();
            Some(place.map_err(|_| self.overloaded())?)
        };
        Ok(UnderWay {
            _place: place,
            _counted: (!is_open).then(|| self.under_way.token()),
        })
    }

    fn overloaded(&self) -> Error {
        counter!(SHED).increment(1);
        let number = self.shed.fetch_add(1, Ordering::Relaxed);
        let later = number * RETRY_STEP_MILLIS % (RETRY_MILLIS.end - RETRY_MILLIS.start);
        Error::overloaded().retry_after(Duration::from_millis(RETRY_MILLIS.start + later))
    }

    /// Returns true if no call is under way.
    pub(super) fn none(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Waits until no call has been under way, and no connection has sent anything, for a second.
    pub(super) async fn ended(&self, writes: &AtomicU64) {
        self.under_way.close();
        loop {
            self.under_way.wait().await;
            let before = writes.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(LINGER_MILLIS)).await;
            if self.none() && writes.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}
