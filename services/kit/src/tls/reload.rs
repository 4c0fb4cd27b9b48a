//! What was built from files, built anew when they change. Broken files leave what was there.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
    time::Duration,
};

use super::files::{Contents, Files, TlsFileErrors};

/// What a look at the files came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// They are as they were at the look before.
    Unchanged,
    /// New connections use what they hold now.
    Changed,
    /// They cannot be used: new connections go on using what was there before.
    Kept,
}

/// What contents of files are made into.
pub(super) type Build<T> = fn(&Files, Contents) -> Result<T, TlsFileErrors>;

/// A `T` made of files.
pub(super) struct Reloading<T> {
    files: Files,
    build: Build<T>,
    current: RwLock<Arc<T>>,
    /// What the last look found: a digest of the contents, or what was wrong.
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

    /// What new connections use.
    pub(super) fn current(&self) -> Arc<T> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Looks at the files. What is wrong with them is logged once, until they change again.
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

    /// Looks at the files after each pause, in a task that ends with `self`. Within a runtime.
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
        // A look at a slow disk holds up no call.
        if tokio::task::spawn_blocking(move || reloading.reload())
            .await
            .is_err()
        {
            return;
        }
    }
}
