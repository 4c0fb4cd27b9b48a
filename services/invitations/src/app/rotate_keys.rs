//! `invitations rotate-keys`: stores every secret anew under the current key, beside running services.
//!
//! Rows are taken in batches, by id, each batch in one transaction. Rows that others have locked are skipped, so this
//! waits for nobody and is part of no deadlock; they are taken in a later walk. A secret that is reset, edited or
//! destroyed meanwhile has another value by then, and is left to the one who changed it. Nothing else of a row is
//! touched: its etag, epoch and counts stay. Rotated secrets stay rotated wherever this is stopped; a new run goes on
//! with the rest.

use std::{collections::BTreeMap, time::Duration};

use homeroom_api::ids::{CodePrefix, SYSTEM_ACTOR};
use homeroom_kit::{
    clock::Clock,
    keys::KeyRing,
    random::{Randomness, new_id_at},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    check_keys::{self, KeysRefused},
    secrets::{NotRotated, Secrets},
};
use crate::{
    domain::{audit_entry::AuditEntry, invitation::InvitationKind},
    store::{Error, InvitationRow, Repository, RotatedSecret, RowLock, Store},
};

/// The name of a rotation in the audit trail (R12).
const COMMAND: &str = "rotate-keys";
/// The number of rows in one transaction, which delays a redemption of one of them by few milliseconds.
pub const BATCH_ROWS: u32 = 100;
/// The maximum number of walks in a row that rotate nothing, while rows are left that may be rotated.
const IDLE_WALKS_MAX: u32 = 20;
/// The pause between two walks, in milliseconds.
const WALKS_APART_MILLIS: u64 = 100;
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
    store: &Store,
    keys: &KeyRing,
    clock: &dyn Clock,
    random: &dyn Randomness,
    batch_rows: u32,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Rotated, RotateError> {
    let current = keys.current();
    let mut session = store.read().await?;
    check_keys::check(&mut session, keys).await?;
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
    store: &'run Store,
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
        let mut left = u64::MAX;
        let mut idle_walks = 0;
        loop {
            let not_rotated = self.walk(version, tell).await?;
            let before = left;
            left = self.count(version).await?;
            idle_walks = if left < before { 0 } else { idle_walks + 1 };
            if left <= not_rotated.len() as u64 || idle_walks == IDLE_WALKS_MAX {
                return Ok(not_rotated);
            }
            tokio::time::sleep(Duration::from_millis(WALKS_APART_MILLIS)).await;
        }
    }

    /// Walks once over the rows of a version that are not locked, by id, to the end or to a transaction that meets
    /// another one.
    async fn walk(
        &self,
        version: u32,
        tell: &mut (dyn FnMut(u64) + Send),
    ) -> Result<BTreeMap<String, NotRotated>, Error> {
        let mut not_rotated = BTreeMap::new();
        let mut after = None;
        loop {
            let begun = Instant::now();
            let mut batch = match self.batch(version, after).await {
                Err(error) if met_another(&error) => return Ok(not_rotated),
                done => done?,
            };
            if batch.rotated > 0 {
                tell(batch.rotated);
            }
            not_rotated.append(&mut batch.not_rotated);
            let Some(last) = batch.last else {
                return Ok(not_rotated);
            };
            after = Some(last);
            // Half of the time is left to others.
            let pause = begun.elapsed().max(Duration::from_millis(PAUSE_MILLIS_MIN));
            tokio::time::sleep(pause).await;
        }
    }

    async fn batch(&self, version: u32, after: Option<Uuid>) -> Result<Batch, Error> {
        let mut session = self.store.write().await?;
        let rows = session
            .list_of_key_version(version, after, self.batch_rows, RowLock::Skipping)
            .await?;
        let prefixes = prefixes_of(&mut session, &rows).await?;
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
            let now = self.clock.now();
            let entry = AuditEntry {
                id: new_id_at(now, self.random),
                place: None,
                actor: SYSTEM_ACTOR.to_owned(),
                calling_service: SYSTEM_ACTOR.to_owned(),
                method: COMMAND.to_owned(),
                subject,
                request_id: String::new(),
                create_time: now,
            };
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
    session: &mut Repository,
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
