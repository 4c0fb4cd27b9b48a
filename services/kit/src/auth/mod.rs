//! Who calls (02, Callers): bearer JWTs, their keys, their scopes, and the layer that checks them.

mod caller;
mod claims;
mod follow_keys;
mod jwks_url;
mod key_sources;
mod keys;
mod layer;
mod scopes;
mod signer;
mod verified;
mod verifier;

pub use caller::Caller;
pub(crate) use caller::expired;
pub use claims::{Audience, Claims};
pub use follow_keys::{TokenKeysUnavailable, UNKNOWN_KEY_CALLERS_MAX, UNKNOWN_KEY_RETRY_SECONDS};
pub use jwks_url::FETCH_SECONDS_MAX;
pub use key_sources::{
    FILE_LOOK_SECONDS, KEY_SET_BYTES_MAX, KeyPauses, START_RETRY_SECONDS, START_SECONDS_MAX,
    ServiceKeys, TokenKeys, UNKNOWN_KEY_WAIT_SECONDS_MAX, URL_REFRESH_MINUTES, URL_RETRY_SECONDS,
    read_token_keys,
};
pub use keys::{KEYS_MAX, Keys, KeysError};
pub use layer::{AuthenticationLayer, USER_METADATA};
pub use scopes::{Scope, Scopes};
pub use signer::{Signer, SignerError};
pub use verifier::{CLOCK_SKEW_SECONDS_MAX, TOKEN_BYTES_MAX, Verifier};

#[cfg(test)]
mod key_rotation;
#[cfg(test)]
mod key_set_tests;
#[cfg(test)]
mod tests;
