//! A value built from files, which is rebuilt when they change. Broken files leave the earlier
//! value in use.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
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
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Arc<T>,
    /// The result of the last check: a digest of the contents, or the errors.
    seen: Result<[u8; 32], TlsFileErrors>,
}

impl<T> fmt::Debug for Reloading<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(formatter)
    }
}

impl<T: Send + Sync + 'static> Reloading<T> {
    /// Reads the files for the first time.
    pub(super) fn load(files: Files, build: Build<T>) -> Result<Arc<Self>, TlsFileErrors> {
        let contents = files.read()?;
        let seen = Ok(contents.digest);
        let current = Arc::new(build(&files, contents)?);
        Ok(Arc::new(Self {
            files,
            build,
            state: Mutex::new(State { current, seen }),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value for new connections.
    pub(super) fn current(&self) -> Arc<T> {
        Arc::clone(&self.state().current)
    }

    /// Checks the files. Errors are logged once, until the files change again.
    pub(super) fn reload(&self) -> Reload {
        let found = self.files.read();
        let seen = found.as_ref().map(|contents| contents.digest);
        let seen = seen.map_err(Clone::clone);
        let mut state = self.state();
        if state.seen == seen {
            return Reload::Unchanged;
        }
        state.seen = seen;
        match found.and_then(|contents| (self.build)(&self.files, contents)) {
            Ok(built) => {
                state.current = Arc::new(built);
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
        let checked = tokio::task::spawn_blocking(move || reloading.reload());
        if checked.await.is_err() {
            return;
        }
    }
}
