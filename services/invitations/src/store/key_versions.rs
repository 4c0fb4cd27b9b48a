//! The key version of each stored secret, and the recorded checks of the keys.

use chrono::{DateTime, Utc};
use homeroom_kit::{
    args,
    store::{Table, columns, hex, json_rows},
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    InvitationRow, Repository, Result, StoredSecret,
    invitations::{INVITATIONS, select},
};

/// The record that a service made when it first started with a version of the key ring.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KeyCheck {
    /// The version.
    pub key_version: u32,
    /// The MAC that the version's key makes of a fixed text.
    #[serde(with = "columns::bytes")]
    pub check_mac: Vec<u8>,
    /// The time at which a service first started with it.
    #[serde(with = "columns::time")]
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

/// A value below every version.
const BEFORE_EVERY_VERSION: i64 = -1;

/// The columns of a secret.
const SECRET: Table = Table {
    bytes: INVITATIONS.bytes,
    numbers: &["key_version"],
    ..Table::new("invitations")
};

fn list(lock: &str) -> String {
    select()
        + "FROM invitations WHERE sealed IS NOT NULL AND key_version = $1 AND invitation_id > $2 \
        ORDER BY invitation_id LIMIT $3"
        + lock
}

homeroom_kit::statements! {
    LIST_CHECKS = "SELECT key_version, check_mac, create_time FROM key_checks ORDER BY key_version";

    NOTE_CHECK = "INSERT INTO key_checks (key_version, check_mac, create_time) \
        VALUES ($1, $2, $3) ON CONFLICT (key_version) DO NOTHING";

    /// Finds the next version after a given one. It runs once for each version, so that no rows are counted.
    NEXT_VERSION = "SELECT key_version FROM invitations \
        WHERE sealed IS NOT NULL AND key_version > $1 ORDER BY key_version LIMIT 1";

    COUNT = "SELECT COUNT(*) FROM invitations WHERE sealed IS NOT NULL AND key_version = $1";

    LIST = list("");
    LIST_SKIPPING(on) = list(on.skip_locked());

    ROTATE(on) = format!(
        "UPDATE invitations SET {} FROM {} \
         WHERE invitations.invitation_id = input.value->>'invitation_id' AND invitations.sealed = {} \
         AND NOT EXISTS (SELECT 1 FROM invitations AS other WHERE other.lookup_mac = {} \
         AND other.invitation_id <> invitations.invitation_id) RETURNING invitation_id",
        SECRET.assign(on),
        on.rows("$1", "input"),
        on.bytes("input.value->>'sealed_before'"),
        INVITATIONS.input(on, "lookup_mac")
    );
}

impl Repository {
    /// Returns the records of all versions so far, oldest first.
    pub async fn list_key_checks(&mut self) -> Result<Vec<KeyCheck>> {
        self.0.all(&LIST_CHECKS, args![]).await
    }

    /// Records a version, unless it is recorded already.
    pub async fn note_key_check(&mut self, check: &KeyCheck) -> Result<()> {
        let bound = args![
            check.key_version,
            check.check_mac.as_slice(),
            check.create_time,
        ];
        self.0.run(&NOTE_CHECK, bound).await?;
        Ok(())
    }

    /// Returns the versions under which live secrets are stored, oldest first.
    pub async fn list_key_versions(&mut self) -> Result<Vec<u32>> {
        let mut versions: Vec<u32> = Vec::new();
        loop {
            let last = versions
                .last()
                .map_or(BEFORE_EVERY_VERSION, |last| i64::from(*last));
            let Some(next) = self.0.first(&NEXT_VERSION, args![last]).await? else {
                return Ok(versions);
            };
            versions.push(next);
        }
    }

    /// Returns the number of live secrets under a version.
    pub async fn count_of_key_version(&mut self, key_version: u32) -> Result<u64> {
        self.0.one(&COUNT, args![key_version]).await
    }

    /// Returns invitations whose live secret is under a version and whose id is above `after`, sorted by id.
    pub async fn list_of_key_version(
        &mut self,
        key_version: u32,
        after: Option<Uuid>,
        limit: u32,
        lock: RowLock,
    ) -> Result<Vec<InvitationRow>> {
        let list = match lock {
            RowLock::None => &LIST,
            RowLock::Skipping => &LIST_SKIPPING,
        };
        self.0.all(list, args![key_version, after, limit]).await
    }

    /// Writes secrets anew, and changes nothing else in their rows. Returns the ids of the written rows. A row is left
    /// out if its secret has changed meanwhile, or if another invitation has the new look-up MAC.
    pub async fn rotate_secrets(&mut self, secrets: &[RotatedSecret]) -> Result<Vec<Uuid>> {
        if secrets.is_empty() {
            return Ok(Vec::new());
        }
        let rows = secrets.iter().map(|rotated| {
            let folded_mac = rotated.secret.folded_mac.as_deref().map(hex);
            let lookup_mac = hex(&rotated.secret.lookup_mac);
            json!({
                "invitation_id": rotated.invitation_id,
                "sealed_before": hex(&rotated.sealed_before),
                "folded_lookup_mac": folded_mac.as_ref().map(|_| &lookup_mac),
                "folded_mac": folded_mac,
                "lookup_mac": lookup_mac,
                "sealed": hex(&rotated.secret.sealed),
                "key_version": rotated.secret.key_version,
            })
        });
        self.0.all(&ROTATE, args![json_rows(rows)]).await
    }
}
