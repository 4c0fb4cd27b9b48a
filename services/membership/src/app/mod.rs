//! The use cases: each loads, decides by `domain`, and applies, in one transaction.

pub mod access;
pub mod check_access;
pub mod class_members;
pub mod classes;
pub mod closing;
pub mod decisions;
pub mod erase_user;
pub mod expire_join_requests;
pub mod join_requests;
pub mod members;
pub mod move_user;
pub(crate) mod new_events;
pub mod organization_members;
pub mod organizations;
pub mod refusals;
pub mod remove_members;
pub mod retention;
pub mod rosters;
pub mod rules;
pub mod user_records;
pub mod write;

use std::{fmt, sync::Arc};

use homeroom_kit::{SharedClock, SharedRandomness, keys::KeyRing, paging::Paging, tasks::Writes};

use crate::store::Store;

pub use write::Change;

/// The dependencies of every use case.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Arc<Store>,
    /// The clock.
    pub clock: SharedClock,
    /// The source of ids.
    pub random: SharedRandomness,
    /// Keys for the MACs of request bodies.
    pub keys: Arc<KeyRing>,
    /// The encoder of page tokens.
    pub paging: Paging,
    /// Writes in progress: they finish even if the caller has gone (P12).
    pub writes: Writes,
}

impl App {
    /// Creates an instance over a store, with no writes in progress.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        clock: SharedClock,
        random: SharedRandomness,
        keys: Arc<KeyRing>,
    ) -> Self {
        Self {
            store,
            clock,
            random,
            paging: Paging::new(Arc::clone(&keys)),
            keys,
            writes: Writes::new(),
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("App")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
