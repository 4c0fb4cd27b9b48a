//! Authentication of callers: bearer JWTs, their keys, their scopes.

mod caller;
mod claims;
mod follow_keys;
mod issuer;
mod jwks_url;
mod keys;
mod refusals;
mod scopes;
mod signer;
mod token_keys;
mod user_space;
mod verified;
mod verifier;

pub use caller::{Caller, USER_METADATA};
pub(crate) use caller::{expired, malformed_user};
pub use claims::{Audience, Claims};
pub use follow_keys::TokenKeysUnavailable;
pub use issuer::{Issuer, read_issuers};
pub use keys::{Keys, KeysError, ServiceKeys};
pub(crate) use refusals::Cause;
pub use refusals::{SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX, UNKNOWN_KEY_RETRY_SECONDS};
pub use scopes::{Scope, Scopes};
pub use signer::{Signer, SignerError};
pub use token_keys::TokenKeys;
pub use user_space::{Namespace, OTHERS_USER, UserSpace};
pub use verifier::{CLOCK_SKEW_SECONDS_MAX, Verifier};

#[cfg(test)]
mod issuer_tests;
#[cfg(test)]
mod key_rotation_tests;
#[cfg(test)]
mod key_set_tests;
#[cfg(test)]
mod tests;
