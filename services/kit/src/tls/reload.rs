//! A value built from files, which is rebuilt when they change. Broken files leave the earlier
//! value in use.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
    time::Duration,
};

use super::files::{Contents, Files, TlsFileErrors};

/// The result of a check of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The files have not changed since the last check.
    Unchanged,
    /// New connections use the new contents.
    Changed,
    /// The new contents cannot be used, so new connections keep using the earlier ones.
    Kept,
}

/// A function that builds a value from the contents of files.
pub(super) type Build<T> = fn(&Files, Contents) -> Result<T, TlsFileErrors>;

/// A `T` made of files.
pub(super) struct Reloading<T> {
    files: Files,
    build: Build<T>,
    current: RwLock<Arc<T>>,
    /// The result of the last check: a digest of the contents, or the errors.
    seen: Mutex<Result<[u8; 32], TlsFileErrors>>,
}

impl<T> fmt::Debug for Reloading<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reloading")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Reloading<T> {
    /// Reads the files for the first time.
    pub(super) fn load(files: Files, build: Build<T>) -> Result<Self, TlsFileErrors> {
        let contents = files.read()?;
        let seen = Mutex::new(Ok(contents.digest));
        let first = build(&files, contents)?;
        Ok(Self {
            files,
            build,
            current: RwLock::new(Arc::new(first)),
            seen,
        })
    }

    /// Returns the value for new connections.
    pub(super) fn current(&self) -> Arc<T> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Checks the files. Errors are logged once, until the files change again.
    pub(super) fn reload(&self) -> Reload {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.files.read();
        let finds = match &found {
            Ok(contents) => Ok(contents.digest),
            Err(errors) => Err(errors.clone()),
        };
        if *seen == finds {
            return Reload::Unchanged;
        }
        *seen = finds;
        match found.and_then(|contents| (self.build)(&self.files, contents)) {
            Ok(built) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(built);
                tracing::info!(files = ?self.files, "certificates have changed");
                Reload::Changed
            }
            Err(errors) => {
                tracing::warn!(
                    %errors,
                    "certificates have changed and cannot be used: those before them stay in use"
                );
                Reload::Kept
            }
        }
    }

    /// Checks the files at this interval, in a task that ends with `self`. Must be called within a
    /// runtime.
    pub(super) fn watch(self: &Arc<Self>, pause: Duration) {
        tokio::spawn(follow(Arc::downgrade(self), pause));
    }
}

async fn follow<T: Send + Sync + 'static>(watched: Weak<Reloading<T>>, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(reloading) = watched.upgrade() else {
            return;
        };
        // A separate thread keeps a slow disk from delaying calls.
        if tokio::task::spawn_blocking(move || reloading.reload())
            .await
            .is_err()
        {
            return;
        }
    }
}
