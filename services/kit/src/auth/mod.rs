//! Authentication of callers: bearer JWTs, their keys, their scopes.

mod caller;
mod claims;
mod follow_keys;
mod jwks_url;
mod keys;
mod refusals;
mod scopes;
mod signer;
mod token_keys;
mod verified;
mod verifier;

pub use caller::{Caller, USER_METADATA};
pub(crate) use caller::{expired, malformed_user};
pub use claims::{Audience, Claims};
pub use follow_keys::TokenKeysUnavailable;
pub use keys::{Keys, KeysError, ServiceKeys};
pub(crate) use refusals::Cause;
pub use refusals::{TOKEN_BYTES_MAX, UNKNOWN_KEY_RETRY_SECONDS};
pub use scopes::{Scope, Scopes};
pub use signer::{Signer, SignerError};
pub use token_keys::{TokenKeys, read_token_keys};
pub use verifier::{CLOCK_SKEW_SECONDS_MAX, Verifier};

#[cfg(test)]
mod key_rotation_tests;
#[cfg(test)]
mod key_set_tests;
#[cfg(test)]
mod tests;
