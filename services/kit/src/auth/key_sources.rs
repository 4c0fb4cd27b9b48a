//! The sources of the keys of access tokens: fixed keys, files, or a URL.

use std::{
    fmt, io, mem,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::Instant,
};

use super::{Keys, KeysError, ServiceKeys, jwks_url::JwksUrl};
use crate::{
    config::Reader,
    key_files::{read_text, unreadable, unusable},
};

/// The interval at which a key set's file is read, in seconds.
pub const FILE_LOOK_SECONDS: u64 = 10;
/// The interval at which a key set's URL is fetched, in minutes.
pub const URL_REFRESH_MINUTES: u64 = 10;
/// The delay after which a URL that gave no usable keys is fetched again, and the shortest time between two fetches for
/// unknown keys, in seconds.
pub const URL_RETRY_SECONDS: u64 = 60;
/// The time for which a service tries to fetch its first keys before it refuses to start, in seconds.
pub const START_SECONDS_MAX: u64 = 30;
/// The delay between those tries, in seconds.
pub const START_RETRY_SECONDS: u64 = 1;
/// The longest time that a call with an unknown key waits for a fetch, in seconds.
pub const UNKNOWN_KEY_WAIT_SECONDS_MAX: u64 = 3;
/// Maximum number of calls that wait for the keys to be read again; further ones are told to retry.
pub const UNKNOWN_KEY_CALLERS_MAX: usize = 64;

/// The file of the public keys of access tokens.
const FILE_SETTING: &str = "JWKS_FILE";
/// The URL to use instead of a file.
const URL_SETTING: &str = "JWKS_URL";

/// The intervals and time limits of reading keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPauses {
    /// The interval between reads of a file.
    pub file_look: Duration,
    /// The interval between fetches of a URL.
    pub url_refresh: Duration,
    /// The delay after a fetch that gave no usable keys, and the shortest time between two fetches for unknown keys.
    pub url_retry: Duration,
    /// The total time limit for the first keys of a URL.
    pub start_max: Duration,
    /// The delay between tries to fetch them.
    pub start_retry: Duration,
    /// The longest time that a call whose token names an unknown key waits for a fetch.
    pub unknown_key_wait: Duration,
}

impl Default for KeyPauses {
    fn default() -> Self {
        Self {
            file_look: Duration::from_secs(FILE_LOOK_SECONDS),
            url_refresh: Duration::from_secs(URL_REFRESH_MINUTES * 60),
            url_retry: Duration::from_secs(URL_RETRY_SECONDS),
            start_max: Duration::from_secs(START_SECONDS_MAX),
            start_retry: Duration::from_secs(START_RETRY_SECONDS),
            unknown_key_wait: Duration::from_secs(UNKNOWN_KEY_WAIT_SECONDS_MAX),
        }
    }
}

/// The keys of access tokens with their sources.
#[derive(Debug)]
pub struct TokenKeys {
    pub(super) sources: Vec<Source>,
    pub(super) pauses: KeyPauses,
}

/// Creates a source of keys that never change.
impl From<Keys> for TokenKeys {
    fn from(keys: Keys) -> Self {
        Self::of(Source::new(Origin::Fixed, None, keys))
    }
}

impl TokenKeys {
    fn of(source: Source) -> Self {
        Self {
            sources: vec![source],
            pauses: KeyPauses::default(),
        }
    }

    /// Reads the keys of a file, which must exist.
    pub fn of_file(path: &Path) -> Result<Self, KeysError> {
        Ok(Self::of(Source::of_file(path, None)?))
    }

    /// Creates a source for a URL. It has no keys until
    /// [`Verifier::fetch_first_keys`](super::Verifier::fetch_first_keys) has fetched them.
    pub fn of_url(url: &str) -> Result<Self, String> {
        Ok(Self::at(JwksUrl::parse(url)?))
    }

    pub(super) fn at(url: JwksUrl) -> Self {
        Self::of(Source::new(
            Origin::Url(Box::new(url)),
            None,
            Keys::default(),
        ))
    }

    /// Returns the same with other intervals and time limits.
    #[must_use]
    pub fn with_pauses(self, pauses: KeyPauses) -> Self {
        Self { pauses, ..self }
    }

    /// Adds the keys of a service's file, whose `kid`s no other source can use. Fails if the file cannot be used.
    pub fn with_service(mut self, path: &Path, service: ServiceKeys) -> Result<Self, KeysError> {
        let source = Source::of_file(path, Some(service))?;
        self.sources.insert(0, source);
        Ok(self)
    }
}

/// Reads `JWKS_FILE` or `JWKS_URL`, one of which must be set, and the optional file of another service's keys. Files
/// are read at once; a URL is fetched when the service starts.
pub fn read_token_keys(reader: &mut Reader<'_>, service: Option<ServiceKeys>) -> Option<TokenKeys> {
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
    let file = reader.optional(FILE_SETTING, |path| {
        TokenKeys::of_file(Path::new(path)).map_err(|error| refused(path, error))
    });
    let keys = url.or(file)?;
    let Some(service) = service.filter(|service| reader.is_set(service.setting)) else {
        return Some(keys);
    };
    reader.optional(service.setting, |path| {
        keys.with_service(Path::new(path), service)
            .map_err(|error| refused(path, error))
    })
}

/// Returns the message about a key set's file that cannot be used.
fn refused(path: &str, error: KeysError) -> String {
    match error {
        KeysError::File(error) => unreadable(path, &error),
        error => unusable(path, error),
    }
}

/// The place of a source.
#[derive(Debug)]
pub(super) enum Origin {
    Fixed,
    File(PathBuf),
    Url(Box<JwksUrl>),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed => formatter.write_str("fixed keys"),
            Self::File(path) => path.display().fmt(formatter),
            Self::Url(url) => url.fmt(formatter),
        }
    }
}

/// One source with its last result.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) origin: Origin,
    /// The service to which all its keys belong, if any.
    service: Option<ServiceKeys>,
    /// The keys in use.
    keys: Mutex<Keys>,
    /// Held during a read, so that an older set does not replace a newer one.
    pub(super) last: tokio::sync::Mutex<Last>,
}

/// The result of the reads of a source.
#[derive(Debug, Default)]
pub(super) struct Last {
    /// The text whose keys are in use.
    pub(super) text: Option<String>,
    /// The problem of the last read, if it failed.
    pub(super) problem: Option<String>,
    /// When the source was last read successfully.
    pub(super) read_time: Option<DateTime<Utc>>,
}

impl Source {
    fn of_file(path: &Path, service: Option<ServiceKeys>) -> Result<Self, KeysError> {
        let text = public_text(path)?;
        let mut source = Self::new(
            Origin::File(path.to_owned()),
            service,
            Keys::from_jwks(&text)?,
        );
        source.last.get_mut().text = Some(text);
        Ok(source)
    }

    fn new(origin: Origin, service: Option<ServiceKeys>, keys: Keys) -> Self {
        Self {
            origin,
            keys: Mutex::new(keys.of_service(service)),
            service,
            last: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn is_url(&self) -> bool {
        matches!(self.origin, Origin::Url(_))
    }

    /// Returns the keys in use.
    pub(super) fn keys(&self) -> Keys {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.clone()
    }

    /// Puts the keys of a set into use in place of the earlier ones.
    pub(super) fn take(&self, text: &str) -> Result<(), KeysError> {
        let read = Keys::from_jwks(text)?.of_service(self.service);
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// Reads the text of the set; empty for fixed keys.
    pub(super) async fn read(&self) -> Result<String, String> {
        match &self.origin {
            Origin::Fixed => Ok(String::new()),
            Origin::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || public_text(&path))
                    .await
                    .unwrap_or_else(|failure| Err(io::Error::other(failure)))
                    .map_err(|error| format!("it cannot be read: {error}"))
            }
            Origin::Url(url) => url.fetch().await,
        }
    }
}

/// The sources of a verifier's keys, and the calls that wait for them.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) sources: Vec<Source>,
    pub(super) pauses: KeyPauses,
    /// Notified when a token names an unknown key.
    pub(super) wanted: Notify,
    pub(super) waiting: Semaphore,
    /// When the last successful read of the URL began.
    pub(super) read: watch::Sender<Option<Instant>>,
}

impl Following {
    pub(super) fn new(keys: TokenKeys) -> Self {
        Self {
            sources: keys.sources,
            pauses: keys.pauses,
            wanted: Notify::new(),
            waiting: Semaphore::new(UNKNOWN_KEY_CALLERS_MAX),
            read: watch::Sender::default(),
        }
    }

    /// Returns every key that the sources have given.
    pub(super) fn keys(&self) -> Keys {
        let known = self.sources.iter().map(Source::keys);
        known.fold(Keys::default(), Keys::merge)
    }
}

/// Reads the text of a file of public keys, which need not be cleared from memory.
fn public_text(path: &Path) -> io::Result<String> {
    Ok(mem::take(&mut *read_text(path)?))
}
