//! The keys of access tokens with their sources, as the settings name them: files and a URL, each with the keys that were
//! last read from it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{sync::Notify, task::spawn_blocking};
use url::Url;

use super::{Keys, KeysError, ServiceKeys, jwks_url};
use crate::{
    config::Reader,
    key_files::{read_named, read_text},
};

/// The file of the public keys of access tokens.
pub(super) const FILE_SETTING: &str = "JWKS_FILE";
/// The URL to use instead of a file.
pub(super) const URL_SETTING: &str = "JWKS_URL";

/// The keys of access tokens: fixed ones, and those of files and of a URL, which are read again.
#[derive(Debug)]
pub struct TokenKeys {
    /// If two keys have the same `kid`, the one of the first source counts.
    pub(super) sources: Vec<Source>,
    fixed: Keys,
    /// The unit of all intervals.
    pub(super) second: Duration,
    /// Notified when a token names a key that may have been published at the URL since it was read.
    pub(super) wanted: Notify,
}

/// Creates keys that never change.
impl From<Keys> for TokenKeys {
    fn from(fixed: Keys) -> Self {
        Self {
            sources: Vec::new(),
            fixed,
            second: Duration::from_secs(1),
            wanted: Notify::new(),
        }
    }
}

impl TokenKeys {
    fn of(source: Source) -> Self {
        Self {
            sources: vec![source],
            ..Self::from(Keys::default())
        }
    }

    /// Reads the keys of a file, which must exist.
    pub fn of_file(path: &Path) -> Result<Self, KeysError> {
        Ok(Self::of(Source::of_file(path, &read_text(path)?, None)?))
    }

    /// Creates a source for a URL. It has no keys until
    /// [`Verifier::fetch_first_keys`](super::Verifier::fetch_first_keys) has fetched them.
    pub fn of_url(url: &str) -> Result<Self, &'static str> {
        Source::of_url(url).map(Self::of)
    }

    /// Counts all intervals in seconds of another length, for tests.
    #[must_use]
    pub fn with_second(self, second: Duration) -> Self {
        Self { second, ..self }
    }

    /// Reads the keys of the file that a setting names.
    pub(super) fn read_named(path: &str) -> Result<Self, String> {
        Source::read_named(path, None).map(Self::of)
    }

    /// Adds a source whose keys count before those of the other sources with the same `kid`.
    pub(super) fn put_first(&mut self, source: Source) {
        self.sources.insert(0, source);
    }

    /// Returns all keys together.
    pub(super) fn keys(&self) -> Keys {
        let read = self.sources.iter().map(|source| source.last().keys.clone());
        read.fold(Keys::default(), Keys::merge)
            .merge(self.fixed.clone())
    }

    /// Returns the source that is a URL, if there is one.
    pub(super) fn url(&self) -> Option<&Source> {
        self.sources.iter().find(|source| source.is_url())
    }

    /// Returns true if an unknown key may be at the URL by now: its token was made after the set was read. Then the
    /// set is read again. `made` is the latest time at which the token was made, in seconds since 1970, if it is known.
    pub(super) fn may_have(&self, made: Option<i64>) -> bool {
        let Some(url) = self.url() else {
            return false;
        };
        let read = url.last().read_time.map(|time| time.timestamp());
        let is_certain = made.zip(read).is_some_and(|(made, read)| made < read);
        if !is_certain {
            self.wanted.notify_one();
        }
        !is_certain
    }
}

/// Reads `JWKS_FILE` or `JWKS_URL`, one of which must be set. A file is read at once; a URL is fetched when the service
/// starts.
pub(super) fn read_keys(reader: &mut Reader) -> Option<TokenKeys> {
    match (reader.is_set(FILE_SETTING), reader.is_set(URL_SETTING)) {
        (true, true) => reader.error(
            FILE_SETTING,
            format_args!("and {URL_SETTING} are both set: set one"),
        ),
        (false, false) => reader.error(
            FILE_SETTING,
            format_args!("is required but not set: set it, or {URL_SETTING}, to where the public keys of access tokens are"),
        ),
        _ => {}
    }
    let url = reader.optional(URL_SETTING, TokenKeys::of_url);
    url.or(reader.optional(FILE_SETTING, TokenKeys::read_named))
}

/// Reads the optional file of another service's keys.
pub(super) fn read_service_keys(reader: &mut Reader, service: ServiceKeys) -> Option<Source> {
    reader.optional(service.setting, |path| {
        Source::read_named(path, Some(service))
    })
}

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

    /// Reads the file that a setting names.
    fn read_named(path: &str, service: Option<ServiceKeys>) -> Result<Self, String> {
        read_named(path, |text| Self::of_file(Path::new(path), text, service))
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
