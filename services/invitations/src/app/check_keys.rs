//! The check, before the service starts, that the keys in `KEYS_FILE` are the ones that the database's secrets were
//! made with.
//!
//! When a service first starts with a key version, the MAC that its key makes of a fixed text is recorded. A version
//! that was never recorded, because the database is older than these records, is tried on secrets stored under it.

use chrono::{DateTime, Utc};
use homeroom_kit::keys::KeyRing;

use super::secrets::open;
use crate::store::{self, Error, KeyCheck, Repository, RowLock, Store};

/// The number of secrets that a version without a record is tried on at most: it is a wrong key if it opens none.
const SECRETS_TRIED_MAX: u32 = 10;

/// The reason why the service must not run with this `KEYS_FILE`.
#[derive(Debug, thiserror::Error)]
pub enum KeysRefused {
    /// The key of this version is another one.
    #[error(
        "KEYS_FILE does not belong to this database: its key of version {version} is not the one that \
         secrets were stored with; give the file that was used before (a new key needs a new, higher version)"
    )]
    OtherKey {
        /// The version.
        version: u32,
    },
    /// The key ring lacks a version under which secrets are stored.
    #[error(
        "KEYS_FILE lacks the key of version {version}, under which {invitations} invitations are stored: \
         put it back, run `invitations rotate-keys`, and remove it when that command says so"
    )]
    Missing {
        /// The version.
        version: u32,
        /// The number of invitations that could not be found or shown.
        invitations: u64,
    },
    /// The database does not answer.
    #[error("the keys cannot be compared with the database: {0}")]
    Database(#[from] Error),
}

/// Compares the keys, and records new versions. If it succeeds, every stored secret has its key.
pub async fn check_and_note(
    store: &Store,
    keys: &KeyRing,
    now: DateTime<Utc>,
) -> Result<(), KeysRefused> {
    let mut session = store.read().await?;
    let not_noted = check(&mut session, keys).await?;
    drop(session);
    if not_noted.is_empty() {
        return Ok(());
    }
    let mut session = store.write().await?;
    for version in not_noted {
        let noted = KeyCheck {
            key_version: version,
            check_mac: keys.check_mac(version).to_vec(),
            create_time: now,
        };
        session.note_key_check(&noted).await?;
    }
    // Another process may have recorded another key at the same moment.
    let judged = check(&mut session, keys).await;
    store::end(session, "note_keys", judged).await.map(drop)
}

/// Compares the keys. Returns the versions of the ring that are not recorded yet.
pub(crate) async fn check(
    session: &mut Repository,
    keys: &KeyRing,
) -> Result<Vec<u32>, KeysRefused> {
    let noted = session.list_key_checks().await?;
    let mut not_noted = Vec::new();
    for version in keys.versions() {
        let check = noted.iter().find(|check| check.key_version == version);
        let right = if let Some(check) = check {
            check.check_mac == keys.check_mac(version)
        } else {
            not_noted.push(version);
            opens_what_is_stored(session, keys, version).await?
        };
        if !right {
            return Err(KeysRefused::OtherKey { version });
        }
    }
    for version in session.list_key_versions().await? {
        if !keys.versions().contains(&version) {
            let invitations = session.count_of_key_version(version).await?;
            return Err(KeysRefused::Missing {
                version,
                invitations,
            });
        }
    }
    Ok(not_noted)
}

async fn opens_what_is_stored(
    session: &mut Repository,
    keys: &KeyRing,
    version: u32,
) -> Result<bool, Error> {
    let rows = session
        .list_of_key_version(version, None, SECRETS_TRIED_MAX, RowLock::None)
        .await?;
    Ok(rows.is_empty() || rows.iter().any(|row| open(keys, row).is_ok()))
}
