//! Where the keys of access tokens come from: fixed, files, or a URL.

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

/// How often a key set's file is looked at, in seconds.
pub const FILE_LOOK_SECONDS: u64 = 10;
/// How often a key set's URL is fetched, in minutes.
pub const URL_REFRESH_MINUTES: u64 = 10;
/// How soon a URL that gave no usable keys is fetched again, and how soon after one fetch for an unknown key
/// the next may follow, in seconds.
pub const URL_RETRY_SECONDS: u64 = 60;
/// How long a service tries to fetch its first keys before it refuses to start, in seconds.
pub const START_SECONDS_MAX: u64 = 30;
/// How long it waits between those tries, in seconds.
pub const START_RETRY_SECONDS: u64 = 1;
/// How long a call with an unknown key waits for a fetch, in seconds.
pub const UNKNOWN_KEY_WAIT_SECONDS_MAX: u64 = 3;
/// Calls that wait for the keys to be read again at most; further ones are told to come back.
pub const UNKNOWN_KEY_CALLERS_MAX: usize = 64;

/// The file of the public keys of access tokens.
const FILE_SETTING: &str = "JWKS_FILE";
/// Their URL instead.
const URL_SETTING: &str = "JWKS_URL";

/// How long is waited between looks, and for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPauses {
    /// Between looks at a file.
    pub file_look: Duration,
    /// Between fetches of a URL.
    pub url_refresh: Duration,
    /// After a fetch that gave no usable keys, and at least between two for unknown keys.
    pub url_retry: Duration,
    /// For the first keys of a URL, in all.
    pub start_max: Duration,
    /// Between tries to get them.
    pub start_retry: Duration,
    /// Of a call whose token names an unknown key, for a fetch.
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

/// The keys of access tokens, and where they are looked for again.
#[derive(Debug)]
pub struct TokenKeys {
    pub(super) sources: Vec<Source>,
    pub(super) pauses: KeyPauses,
}

/// Keys that never change.
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

    /// The keys of a file, which must be there.
    pub fn of_file(path: &Path) -> Result<Self, KeysError> {
        Ok(Self::of(Source::of_file(path, None)?))
    }

    /// The keys of a URL: none until [`Verifier::fetch_first_keys`](super::Verifier::fetch_first_keys) has
    /// fetched them.
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

    /// With other pauses.
    #[must_use]
    pub fn with_pauses(self, pauses: KeyPauses) -> Self {
        Self { pauses, ..self }
    }

    /// These and those of a service's file, whose `kid`s nobody else can take. Fails if the file cannot be used.
    pub fn with_service(mut self, path: &Path, service: ServiceKeys) -> Result<Self, KeysError> {
        let source = Source::of_file(path, Some(service))?;
        self.sources.insert(0, source);
        Ok(self)
    }
}

/// Reads `JWKS_FILE` or `JWKS_URL`, one of which must be set, and the file of another service's keys, which may
/// be. Files are read at once; a URL is fetched when the service starts.
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

/// What is said of a key set's file that was read in vain.
fn refused(path: &str, error: KeysError) -> String {
    match error {
        KeysError::File(error) => unreadable(path, &error),
        error => unusable(path, error),
    }
}

/// Where a source is.
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

/// One source, and what it last gave.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) origin: Origin,
    /// Whose keys alone it has.
    service: Option<ServiceKeys>,
    /// The keys in use.
    keys: Mutex<Keys>,
    /// Held during a look, so that what was read first is not taken into use last.
    pub(super) last: tokio::sync::Mutex<Last>,
}

/// What the looks at a source came to.
#[derive(Debug, Default)]
pub(super) struct Last {
    /// The text whose keys are in use.
    pub(super) text: Option<String>,
    /// Why the last look was in vain.
    pub(super) problem: Option<String>,
    /// When it could be read and used last.
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

    /// Takes the keys of a set into use in place of those before.
    pub(super) fn take(&self, text: &str) -> Result<(), KeysError> {
        let read = Keys::from_jwks(text)?.of_service(self.service);
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// Reads the set's text; of fixed keys there is none.
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

/// The sources of a verifier's keys, and who waits for them.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) sources: Vec<Source>,
    pub(super) pauses: KeyPauses,
    /// Somebody has shown an unknown key.
    pub(super) wanted: Notify,
    pub(super) waiting: Semaphore,
    /// When the last reading of the URL that could be used was begun.
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

/// The text of a file of public keys, which need not be cleared.
fn public_text(path: &Path) -> io::Result<String> {
    Ok(mem::take(&mut *read_text(path)?))
}
