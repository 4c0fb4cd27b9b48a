//! `invitations rotate-keys`: stores every secret anew under the current key, beside running services.
//!
//! Rows are taken in batches, by id, each batch in one transaction. The first walk skips rows that others have locked,
//! and so never waits for anyone. Further walks take the remaining rows one at a time, and wait for that row alone. So
//! neither can be part of a deadlock. A secret that is reset, edited or destroyed meanwhile has another value by then,
//! and is left to the one who changed it. Nothing else of a row is touched: its etag, epoch and counts stay. Rotated
//! secrets stay rotated wherever this is stopped; a new run goes on with the rest.

use std::{collections::BTreeMap, time::Duration};

use homeroom_kit::{clock::Clock, keys::KeyRing, random::Randomness};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    audit::Deed,
    check_keys::{self, KeysRefused},
    secrets::{NotRotated, Secrets},
};
use crate::{
    domain::{enrollment_code::CodePrefix, invitation::InvitationKind},
    store::{Error, InvitationRow, Repository, RotatedSecret, RowLock, Store},
};

/// The name of a rotation in the audit trail (R12).
const COMMAND: &str = "rotate-keys";
/// The number of rows in one transaction, which delays a redemption of one of them by few milliseconds.
pub const BATCH_ROWS: u32 = 100;
/// The maximum number of walks over the remaining rows, after the first.
const FURTHER_WALKS_MAX: u32 = 20;
/// The number of tries of one batch that conflicts with others' changes.
const TRIES_MAX: u32 = 5;
/// The minimum pause between two transactions, in milliseconds: a SQLite file has one writer at a time.
const PAUSE_MILLIS_MIN: u64 = 2;

/// The reason why nothing is rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The keys do not belong to this database.
    #[error(transparent)]
    Keys(#[from] KeysRefused),
    /// No running service would find the rotated secrets.
    #[error(
        "no service has started with version {version} of KEYS_FILE yet, and those that run would not find \
         what is rotated: restart every process of invitations with this KEYS_FILE first"
    )]
    NotInUse {
        /// The current version.
        version: u32,
    },
    /// The database does not answer. Rotated secrets stay rotated.
    #[error("{0}; what was rotated stays so: run this again to go on")]
    Database(#[from] Error),
}

/// The progress of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The old version whose secrets are stored anew.
    pub version: u32,
    /// The number of them that have been stored anew.
    pub rotated: u64,
    /// The number of them at the beginning.
    pub of: u64,
}

/// The result of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The current version, under which secrets are now.
    pub current: u32,
    /// The number of secrets that were stored anew.
    pub rotated: u64,
    /// The number of secrets that are left under each old version of the ring.
    pub left: BTreeMap<u32, u64>,
    /// The invitations that could not be rotated, by resource name, with the reason.
    pub not_rotated: BTreeMap<String, NotRotated>,
}

/// Stores every secret of the database anew under the ring's current key, `batch_rows` in one transaction, and reports
/// each transaction to `progress`.
pub async fn rotate_keys(
    store: &dyn Store,
    keys: &KeyRing,
    clock: &dyn Clock,
    random: &dyn Randomness,
    batch_rows: u32,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Rotated, RotateError> {
    let current = keys.current();
    let mut session = store.read().await?;
    check_keys::check(session.as_mut(), keys).await?;
    let noted = session.list_key_checks().await?;
    if !noted.iter().any(|check| check.key_version == current) {
        return Err(RotateError::NotInUse { version: current });
    }
    let mut of = BTreeMap::new();
    for version in keys.versions() {
        // A version above the current one is marked `next`.
        if version < current {
            of.insert(version, session.count_of_key_version(version).await?);
        }
    }
    drop(session);
    let rotation = Rotation {
        store,
        clock,
        random,
        current,
        secrets: Secrets::new(keys, random),
        batch_rows: batch_rows.max(1),
    };
    let mut rotated = 0;
    let mut left = BTreeMap::new();
    let mut not_rotated = BTreeMap::new();
    for (version, of) in of {
        let mut of_version = 0;
        let mut tell = |batch: u64| {
            of_version += batch;
            progress(Progress {
                version,
                rotated: of_version,
                of: of.max(of_version),
            });
        };
        not_rotated.append(&mut rotation.rotate_version(version, &mut tell).await?);
        rotated += of_version;
        left.insert(version, rotation.count(version).await?);
    }
    Ok(Rotated {
        current,
        rotated,
        left,
        not_rotated,
    })
}

struct Rotation<'run> {
    store: &'run dyn Store,
    clock: &'run dyn Clock,
    random: &'run dyn Randomness,
    current: u32,
    secrets: Secrets<'run>,
    batch_rows: u32,
}

/// The result of one transaction.
struct Batch {
    /// The last row that was seen; None at the end.
    last: Option<Uuid>,
    rotated: u64,
    not_rotated: BTreeMap<String, NotRotated>,
}

impl Rotation<'_> {
    async fn count(&self, version: u32) -> Result<u64, Error> {
        let mut session = self.store.read().await?;
        session.count_of_key_version(version).await
    }

    /// Rotates the secrets of one version. Returns those that could not be rotated.
    async fn rotate_version(
        &self,
        version: u32,
        tell: &mut (dyn FnMut(u64) + Send),
    ) -> Result<BTreeMap<String, NotRotated>, Error> {
        let mut not_rotated = self.walk(version, RowLock::Skipping, tell).await?;
        for _ in 0..FURTHER_WALKS_MAX {
            if self.count(version).await? == 0 {
                return Ok(BTreeMap::new());
            }
            not_rotated = self.walk(version, RowLock::Waiting, tell).await?;
            if self.count(version).await? <= not_rotated.len() as u64 {
                break;
            }
        }
        Ok(not_rotated)
    }

    /// Walks once over all rows of a version, by id.
    async fn walk(
        &self,
        version: u32,
        lock: RowLock,
        tell: &mut (dyn FnMut(u64) + Send),
    ) -> Result<BTreeMap<String, NotRotated>, Error> {
        let mut not_rotated = BTreeMap::new();
        let mut after = None;
        let mut tries = 0;
        loop {
            let begun = Instant::now();
            match self.batch(version, after, lock).await {
                Ok(mut batch) => {
                    tries = 0;
                    if batch.rotated > 0 {
                        tell(batch.rotated);
                    }
                    not_rotated.append(&mut batch.not_rotated);
                    let Some(last) = batch.last else {
                        return Ok(not_rotated);
                    };
                    after = Some(last);
                }
                // Another transaction was first, or holds a lock: nothing was written.
                Err(error) if tries + 1 < TRIES_MAX && met_another(&error) => tries += 1,
                Err(error) if met_another(&error) => {
                    tries = 0;
                    let Some(row) = self.pass_over(version, after, lock).await? else {
                        return Ok(not_rotated);
                    };
                    not_rotated.insert(row.invitation.name().to_string(), NotRotated::Busy);
                    after = Some(row.invitation.id);
                }
                Err(error) => return Err(error),
            }
            // Half of the time is left to others.
            let pause = begun.elapsed().max(Duration::from_millis(PAUSE_MILLIS_MIN));
            tokio::time::sleep(pause).await;
        }
    }

    fn rows_at_once(&self, lock: RowLock) -> u32 {
        match lock {
            RowLock::Waiting => 1,
            RowLock::None | RowLock::Skipping => self.batch_rows,
        }
    }

    async fn batch(
        &self,
        version: u32,
        after: Option<Uuid>,
        lock: RowLock,
    ) -> Result<Batch, Error> {
        let limit = self.rows_at_once(lock);
        let mut session = self.store.write().await?;
        let rows = session
            .list_of_key_version(version, after, limit, lock)
            .await?;
        let prefixes = prefixes_of(session.as_mut(), &rows).await?;
        let mut not_rotated = BTreeMap::new();
        let mut secrets = Vec::with_capacity(rows.len());
        for row in &rows {
            let prefix = prefixes.get(row.invitation.place.organization().as_str());
            let sealed_before = row.secret.as_ref().map(|secret| secret.sealed.clone());
            match (self.secrets.rotate(row, prefix), sealed_before) {
                (Ok(secret), Some(sealed_before)) => secrets.push(RotatedSecret {
                    invitation_id: row.invitation.id,
                    sealed_before,
                    secret,
                }),
                (Err(why), _) => {
                    not_rotated.insert(row.invitation.name().to_string(), why);
                }
                (Ok(_), None) => {}
            }
        }
        let written = session.rotate_secrets(&secrets).await?;
        if !written.is_empty() {
            let subject = format!("keyVersions/{}", self.current);
            let entry = Deed::of_command(COMMAND).to(subject, None, self.clock.now(), self.random);
            session.append_audit_entries(&[entry]).await?;
        }
        session.commit("rotate_keys").await?;
        for row in &rows {
            let id = row.invitation.id;
            let asked = secrets.iter().any(|secret| secret.invitation_id == id);
            if asked && !written.contains(&id) {
                // The row was locked and its secret unchanged, so another invitation has its look-up MAC.
                not_rotated.insert(row.invitation.name().to_string(), NotRotated::Taken);
            }
        }
        Ok(Batch {
            last: rows.last().map(|row| row.invitation.id),
            rotated: written.len() as u64,
            not_rotated,
        })
    }

    /// Returns the row after which the walk goes on if its batch could not be written.
    async fn pass_over(
        &self,
        version: u32,
        after: Option<Uuid>,
        lock: RowLock,
    ) -> Result<Option<InvitationRow>, Error> {
        let limit = self.rows_at_once(lock);
        let mut session = self.store.read().await?;
        let rows = session
            .list_of_key_version(version, after, limit, RowLock::None)
            .await?;
        Ok(rows.into_iter().next_back())
    }
}

/// Returns true for a lock or a unique key of another transaction, or a deadlock with it; false if the database is
/// unreachable.
fn met_another(error: &Error) -> bool {
    match error {
        Error::Conflict(_) => true,
        Error::Unavailable(source) => source.as_database_error().is_some(),
        Error::Other(_) => false,
    }
}

/// Returns the code prefixes of the organizations whose enrollment codes are among the rows.
pub(super) async fn prefixes_of(
    session: &mut dyn Repository,
    rows: &[InvitationRow],
) -> Result<BTreeMap<String, CodePrefix>, Error> {
    let mut organizations: Vec<_> = rows
        .iter()
        .filter(|row| row.invitation.kind == InvitationKind::EnrollmentCode)
        .map(|row| row.invitation.place.organization().clone())
        .collect();
    organizations.sort();
    organizations.dedup();
    if organizations.is_empty() {
        return Ok(BTreeMap::new());
    }
    let profiles = session.find_profiles(&organizations, &[]).await?;
    Ok(profiles
        .into_iter()
        .filter_map(|profile| {
            let prefix = CodePrefix::parse(&profile.code_prefix).ok()?;
            Some((profile.organization.to_string(), prefix))
        })
        .collect())
}
