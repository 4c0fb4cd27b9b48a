//! The maintenance of the database: migration of its schema, and rotation of its keys.

use homeroom_kit::{
    clock::SystemClock,
    database::{Options, Url},
    keys::KeyRing,
    random::SystemRandomness,
};

use crate::{
    app::rotate_keys::{self, Progress, RotateError, Rotated},
    store::{self, OpenError},
};

/// Brings the schema of the database up to date.
pub async fn migrate(url: &Url) -> Result<(), OpenError> {
    let store = store::open(url, Options::default(), true).await?;
    store.close().await;
    Ok(())
}

/// The reason why secrets are not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The database does not answer, or its schema does not belong to this program.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The secrets must not be rotated, or not further for now.
    #[error(transparent)]
    Rotate(#[from] RotateError),
}

/// Stores every secret of the database anew under the ring's current key, beside running services.
pub async fn rotate_keys(
    url: &Url,
    keys: &KeyRing,
    progress: impl FnMut(Progress) + Send,
) -> Result<Rotated, RotationError> {
    let store = store::open(url, Options::default(), false).await?;
    store.check_ready().await?;
    let rotated = rotate_keys::rotate_keys(
        store.as_ref(),
        keys,
        &SystemClock,
        &SystemRandomness,
        rotate_keys::BATCH_ROWS,
        progress,
    );
    let rotated = rotated.await;
    store.close().await;
    Ok(rotated?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_migrated_database_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::Sqlite(folder.path().join("invitations.db"));
        migrate(&url).await.unwrap();
        let store = store::open(&url, Options::default(), false).await.unwrap();
        store.check_ready().await.unwrap();
    }
}
