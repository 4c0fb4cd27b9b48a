//! Under which key each secret is stored, and what was noted of the keys (03 Secrets).

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{InvitationRow, Result, StoredSecret};

/// What was noted of a version of the key ring when a service first started with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCheck {
    /// The version.
    pub key_version: u32,
    /// What its key makes of a fixed text.
    pub check_mac: Vec<u8>,
    /// When a service first started with it.
    pub create_time: DateTime<Utc>,
}

/// A secret stored anew under another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatedSecret {
    /// Whose it is.
    pub invitation_id: Uuid,
    /// What was sealed before: where anything else stands by now, nothing is written.
    pub sealed_before: Vec<u8>,
    /// The same secret under the other key.
    pub secret: StoredSecret,
}

/// Whether rows are locked as they are read, until the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowLock {
    /// Not.
    None,
    /// They are, and those that another transaction has locked are passed over.
    Skipping,
    /// They are, and those that another transaction has locked are waited for, as long as the lock
    /// timeout lets.
    Waiting,
}

/// The versions of keys in `invitations`, and the rows of `key_checks`.
#[async_trait]
pub trait KeyVersions: Send {
    /// What was noted of every version so far, oldest first.
    async fn list_key_checks(&mut self) -> Result<Vec<KeyCheck>>;

    /// Notes a version, unless it is noted already.
    async fn note_key_check(&mut self, check: &KeyCheck) -> Result<()>;

    /// The versions under which there are living secrets, oldest first.
    async fn list_key_versions(&mut self) -> Result<Vec<u32>>;

    /// How many living secrets are under a version.
    async fn count_of_key_version(&mut self, key_version: u32) -> Result<u64>;

    /// Invitations whose living secret is under a version, by id, after `after`.
    async fn list_of_key_version(
        &mut self,
        key_version: u32,
        after: Option<Uuid>,
        limit: u32,
        lock: RowLock,
    ) -> Result<Vec<InvitationRow>>;

    /// Writes secrets anew, and nothing else of their rows. Gives those that were written: not where
    /// the secret is another by now, nor where its look-up is another invitation's.
    async fn rotate_secrets(&mut self, secrets: &[RotatedSecret]) -> Result<Vec<Uuid>>;
}
