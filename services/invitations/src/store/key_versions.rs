//! The key version of each stored secret, and the recorded checks of the keys.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{InvitationRow, Result, StoredSecret};

/// The record that a service made when it first started with a version of the key ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCheck {
    /// The version.
    pub key_version: u32,
    /// The MAC that the version's key makes of a fixed text.
    pub check_mac: Vec<u8>,
    /// The time at which a service first started with it.
    pub create_time: DateTime<Utc>,
}

/// A secret that is stored anew under another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatedSecret {
    /// The invitation that the secret belongs to.
    pub invitation_id: Uuid,
    /// The sealed value before: if another one is stored by now, nothing is written.
    pub sealed_before: Vec<u8>,
    /// The same secret under the other key.
    pub secret: StoredSecret,
}

/// The way in which rows are locked as they are read, until the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowLock {
    /// The rows are not locked.
    None,
    /// The rows are locked; rows that another transaction has locked are skipped.
    Skipping,
}

/// The versions of keys in `invitations`, and the rows of `key_checks`.
#[async_trait]
pub trait KeyVersions: Send {
    /// Returns the records of all versions so far, oldest first.
    async fn list_key_checks(&mut self) -> Result<Vec<KeyCheck>>;

    /// Records a version, unless it is recorded already.
    async fn note_key_check(&mut self, check: &KeyCheck) -> Result<()>;

    /// Returns the versions under which live secrets are stored, oldest first.
    async fn list_key_versions(&mut self) -> Result<Vec<u32>>;

    /// Returns the number of live secrets under a version.
    async fn count_of_key_version(&mut self, key_version: u32) -> Result<u64>;

    /// Returns invitations whose live secret is under a version and whose id is above `after`, sorted by id.
    async fn list_of_key_version(
        &mut self,
        key_version: u32,
        after: Option<Uuid>,
        limit: u32,
        lock: RowLock,
    ) -> Result<Vec<InvitationRow>>;

    /// Writes secrets anew, and changes nothing else in their rows. Returns the ids of the written rows. A row is left
    /// out if its secret has changed meanwhile, or if another invitation has the new look-up MAC.
    async fn rotate_secrets(&mut self, secrets: &[RotatedSecret]) -> Result<Vec<Uuid>>;
}
