//! The use cases, one file for each group: each loads, decides and applies.

mod access;
pub mod answer;
pub mod audit;
pub mod check_keys;
pub(crate) mod class_code;
mod clear_failed_attempts;
pub(crate) mod code_fields;
mod conditions;
pub(crate) mod enrollment_code;
mod erase_here;
pub mod erase_user;
mod fence;
mod find;
mod fold_codes;
mod get_redemption;
pub mod list_logs;
pub mod list_redemptions;
pub mod retention;
pub mod rotate_keys;
mod row;
pub mod secrets;
pub(crate) mod singleton;
pub(crate) mod token;
pub mod urls;
pub mod user_records;
pub mod workers;
mod write;

use std::sync::Arc;

use homeroom_kit::{SharedClock, SharedRandomness, keys::KeyRing, paging::Paging, tasks::Writes};

use crate::{
    domain::public_url::PublicUrl, membership::Membership, redemption::Redemptions, store::Store,
};

/// The dependencies of the use cases. Shared as `Arc<App>`, because writes outlive their callers (P12).
#[derive(Debug)]
pub struct App {
    /// The database.
    pub store: Arc<Store>,
    /// The clock.
    pub clock: SharedClock,
    /// The source of randomness, for secrets and ids.
    pub random: SharedRandomness,
    /// The keys of look-ups, sealed values, page tokens and request bodies.
    pub keys: Arc<KeyRing>,
    /// The membership service.
    pub membership: Arc<dyn Membership>,
    /// The writes under way.
    pub writes: Writes,
    /// Page tokens.
    pub paging: Paging,
    /// The base of every URL handed out.
    pub public_url: PublicUrl,
    /// The use cases of redemptions.
    pub redemptions: Arc<Redemptions>,
    /// The writer of audit entries of reads (R12).
    pub audit: audit::AuditTrail,
}

impl App {
    /// Returns the service that stores and looks up secrets.
    #[must_use]
    pub fn secrets(&self) -> secrets::Secrets<'_> {
        secrets::Secrets::new(&self.keys, self.random.as_ref())
    }
}
