//! Authentication of callers: bearer JWTs, their keys, their scopes.

mod caller;
mod claims;
mod follow_keys;
mod jwks_url;
mod key_sources;
mod keys;
mod refusals;
mod scopes;
mod signer;
mod verified;
mod verifier;

pub use caller::Caller;
pub(crate) use caller::expired;
pub use claims::{Audience, Claims};
pub(crate) use follow_keys::key_not_known_yet;
pub use follow_keys::{TokenKeysUnavailable, UNKNOWN_KEY_RETRY_SECONDS};
pub use jwks_url::{FETCH_SECONDS_MAX, KEY_SET_BYTES_MAX};
pub use key_sources::{
    FILE_LOOK_SECONDS, KeyPauses, START_RETRY_SECONDS, START_SECONDS_MAX, TokenKeys,
    UNKNOWN_KEY_CALLERS_MAX, UNKNOWN_KEY_WAIT_SECONDS_MAX, URL_REFRESH_MINUTES, URL_RETRY_SECONDS,
    read_token_keys,
};
pub use keys::{KEYS_MAX, Keys, KeysError, ServiceKeys};
pub(crate) use refusals::Cause;
pub use refusals::TOKEN_BYTES_MAX;
pub use scopes::{Scope, Scopes};
pub use signer::{Signer, SignerError};
pub(crate) use verifier::Refused;
pub use verifier::{CLOCK_SKEW_SECONDS_MAX, USER_METADATA, Verifier};

#[cfg(test)]
mod key_rotation;
#[cfg(test)]
mod key_set_tests;
#[cfg(test)]
mod tests;
