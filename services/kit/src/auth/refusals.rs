//! The reasons why access tokens are refused: for the operator's log, since callers are not told.

use std::{
    collections::HashMap,
    fmt,
    mem::{Discriminant, discriminant},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;
use jsonwebtoken::Algorithm;

use super::caller::{expired, unauthenticated};
use crate::status::Error;

/// Maximum length of an access token in bytes.
pub const TOKEN_BYTES_MAX: usize = 16_384;
/// Maximum length of `sub` in bytes.
pub const SUBJECT_BYTES_MAX: usize = 255;
/// Maximum number of characters of a token's text that the log shows.
const SHOWN_CHARS_MAX: usize = 100;
/// Maximum number of lines logged in a minute about refusals for one cause.
const LINES_PER_MINUTE_MAX: u64 = 10;

/// The delay after which a call whose token names an unknown key may be retried, in seconds.
pub const UNKNOWN_KEY_RETRY_SECONDS: u64 = 1;

/// Returns text of a token, which is untrusted, for the log: escaped and cut.
pub(super) fn said(text: &(impl fmt::Display + ?Sized)) -> String {
    let text = text.to_string();
    let mut rest = text.chars();
    let shown: String = rest.by_ref().take(SHOWN_CHARS_MAX).collect();
    let more = if rest.next().is_some() { "…" } else { "" };
    format!("{shown:?}{more}")
}

/// The reason why an access token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    #[error("the call has no metadata `authorization`, or more than one")]
    Missing,
    #[error("the metadata `authorization` is not `Bearer <token>`")]
    NotBearer,
    #[error("the token has {0} bytes; at most {TOKEN_BYTES_MAX} are accepted")]
    TooLong(usize),
    #[error("the token is no signed JWT of a known `alg`: {0}")]
    Malformed(String),
    #[error("its header names `crit` extensions, and this service supports none")]
    Critical,
    #[error("no key of its issuer has its `kid` {0}: is the key in the issuer's key set?")]
    UnknownKey(String),
    #[error("no key of its issuer has its `kid` {0} yet: the issuer's keys are asked for again")]
    KeyNotKnownYet(String),
    #[error("it has no `kid`, and not exactly one key is for its `alg` {0:?}")]
    NoKey(Algorithm),
    #[error(
        "its `alg` {0:?} is not the algorithm of the key with this `kid`, or is not one that this service accepts"
    )]
    Algorithm(Algorithm),
    #[error("the key that it names has not signed it")]
    Signature,
    #[error("its `iss` is {0}, which neither TOKEN_ISSUER nor TOKEN_ISSUERS_FILE names")]
    Issuer(String),
    #[error("its `aud` is {0}, and no audience that its issuer has here is among it")]
    Audience(String),
    #[error(
        "it has no `aud`, and is no access token (`token_use`) of a client in `client_ids`: its `client_id` is {0}"
    )]
    NoAudience(String),
    #[error("its claims cannot be used: {0}")]
    Claims(String),
    #[error("it has expired: its `exp` was {0} seconds ago")]
    Expired(i64),
    #[error("it is not valid yet: its `nbf` is {0} seconds ahead")]
    NotYet(i64),
    #[error("its `sub` is empty, or has more than {SUBJECT_BYTES_MAX} bytes")]
    Subject,
    #[error("its `sub` is {0}, which begins with the name space of another issuer")]
    OthersSpace(String),
    #[error("its key speaks for {expected} alone, and its `sub` is {said}")]
    AnotherSubject {
        said: String,
        expected: &'static str,
    },
    #[error("its `organizations` hold {0}, which is no organization id")]
    Organizations(String),
    #[error("its `sub` {0} is no user id, and x-homeroom-user names nobody else")]
    NoUser(String),
}

impl From<&Cause> for Error {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Expired(_) => expired(),
            Cause::KeyNotKnownYet(_) => Self::unavailable(
                ErrorReason::Overloaded,
                "Retry after the delay given: the key that this access token names (`kid`) is not known yet, and the \
                 issuer's keys are asked for again.",
            )
            .retry_after(Duration::from_secs(UNKNOWN_KEY_RETRY_SECONDS)),
            Cause::TooLong(bytes) => Self::new(
                ErrorReason::AccessTokenInvalid,
                format!(
                    "Get a smaller access token, with fewer claims: this one has {bytes} bytes, and at most \
                     {TOKEN_BYTES_MAX} are accepted."
                ),
            )
            .metadata("limit_bytes", TOKEN_BYTES_MAX.to_string()),
            Cause::NoUser(_) => Self::new(
                ErrorReason::AccessTokenInvalid,
                "Name the acting user in x-homeroom-user: the token's `sub` is not a user id.",
            ),
            _ => unauthenticated(),
        }
    }
}

/// The number of refusals in a minute since 1970, by their causes.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<Discriminant<Cause>, (i64, u64)>>);

impl Refusals {
    /// Logs the cause, unless enough lines of the same kind have been logged.
    pub(super) fn log(&self, cause: &Cause, now: DateTime<Utc>) {
        let this_minute = now.timestamp().div_euclid(60);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (minute, count) = counts.entry(discriminant(cause)).or_default();
        let mut untold = 0;
        if *minute != this_minute {
            untold = count.saturating_sub(LINES_PER_MINUTE_MAX);
            (*minute, *count) = (this_minute, 0);
        }
        *count += 1;
        if *count <= LINES_PER_MINUTE_MAX {
            tracing::info!(%cause, untold, "an access token was refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::{auth::tests::noon, tests::log::Log};

    #[test]
    fn what_a_stranger_says_is_escaped_and_cut() {
        assert_eq!(said("https://school.example"), "\"https://school.example\"");
        assert_eq!(
            said("a\n\u{1b}[31m\u{202e}\""),
            r#""a\n\u{1b}[31m\u{202e}\"""#
        );
        let most = "é".repeat(SHOWN_CHARS_MAX);
        assert_eq!(said(&most), format!("\"{most}\""));
        assert_eq!(said(&format!("{most}é")), format!("\"{most}\"…"));
    }

    #[test]
    fn refusals_for_one_cause_fill_no_log_and_hide_no_other_cause() {
        let refusals = Refusals::default();
        let (log, listening) = Log::of_this_thread();
        let more = 15;
        for _ in 0..LINES_PER_MINUTE_MAX + more {
            refusals.log(&Cause::Signature, noon());
        }
        refusals.log(&Cause::Missing, noon());
        refusals.log(&Cause::Signature, noon() + TimeDelta::minutes(1));
        drop(listening);
        let log = log.text();
        let of_signature = |line: &&str| line.contains("has not signed it");
        let lines: Vec<&str> = log.lines().filter(of_signature).collect();
        assert_eq!(lines.len(), 11);
        assert!(
            lines.last().unwrap().contains(&format!("untold={more}")),
            "{log}"
        );
        assert!(log.contains("no metadata `authorization`"), "{log}");
    }
}
