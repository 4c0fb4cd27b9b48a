//! One source of the keys of access tokens: a file or a URL, with the keys that were last read from it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use tokio::task::spawn_blocking;
use url::Url;

use super::{Keys, KeysError, ServiceKeys, jwks_url};
use crate::key_files::read_text;

/// A source with the result of its last read.
pub(super) struct Source {
    /// The path, or the address without the query, which may hold a secret.
    pub(super) place: String,
    origin: Origin,
    /// The service to which all its keys belong, if any.
    service: Option<ServiceKeys>,
    last: Mutex<Last>,
}

enum Origin {
    File(PathBuf),
    Url(Url),
}

/// The result of the reads of a source.
#[derive(Default)]
pub(super) struct Last {
    /// The text whose keys are in use.
    text: String,
    pub(super) keys: Keys,
    /// When it was last read successfully.
    pub(super) read_time: Option<DateTime<Utc>>,
    /// The problem of the last read, if it failed.
    problem: Option<String>,
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Source({})", self.place)
    }
}

impl Source {
    /// Creates the source of a file that has this text.
    pub(super) fn of_file(
        path: &Path,
        text: &str,
        service: Option<ServiceKeys>,
    ) -> Result<Self, KeysError> {
        let source = Self {
            place: path.display().to_string(),
            origin: Origin::File(path.to_owned()),
            service,
            last: Mutex::default(),
        };
        source.put_into_use(text)?;
        Ok(source)
    }

    /// Creates the source of a URL, which has no keys yet.
    pub(super) fn of_url(url: &str) -> Result<Self, &'static str> {
        let url = jwks_url::parse(url)?;
        let mut shown = url.clone();
        shown.set_query(None);
        Ok(Self {
            place: shown.into(),
            origin: Origin::Url(url),
            service: None,
            last: Mutex::default(),
        })
    }

    pub(super) fn is_url(&self) -> bool {
        matches!(self.origin, Origin::Url(_))
    }

    /// Returns the result of the last read.
    pub(super) fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the source at the time `now`. Returns true if its text has changed; if the text cannot be used, the
    /// earlier keys stay in use.
    pub(super) async fn read(&self, now: DateTime<Utc>) -> Result<bool, String> {
        let text = self.text().await;
        let read =
            text.and_then(|text| self.put_into_use(&text).map_err(|error| error.to_string()));
        let mut last = self.last();
        match &read {
            Ok(_) => (last.read_time, last.problem) = (Some(now), None),
            // The same problem is logged once, and not at each read.
            Err(problem) if last.problem.as_ref() == Some(problem) => {}
            Err(problem) => {
                let (read_time, source) = (last.read_time, &self.place);
                tracing::warn!(
                    source,
                    problem,
                    ?read_time,
                    "the keys of access tokens cannot be used; those before stay in use"
                );
                last.problem = Some(problem.clone());
            }
        }
        read
    }

    async fn text(&self) -> Result<String, String> {
        match &self.origin {
            Origin::File(path) => {
                let path = path.clone();
                spawn_blocking(move || read_text(&path).map(|text| text.to_string()))
                    .await
                    .unwrap_or_else(|failure| Err(io::Error::other(failure)))
                    .map_err(|error| format!("it cannot be read: {error}"))
            }
            Origin::Url(url) => jwks_url::fetch(url).await,
        }
    }

    /// Uses the keys of a text from now on. Returns false if it is the text in use.
    fn put_into_use(&self, text: &str) -> Result<bool, KeysError> {
        let mut last = self.last();
        if last.text == text {
            return Ok(false);
        }
        last.keys = Keys::from_jwks(text)?.of_service(self.service);
        text.clone_into(&mut last.text);
        tracing::info!(source = self.place, keys = ?last.keys, "the keys of access tokens were read");
        Ok(true)
    }
}
