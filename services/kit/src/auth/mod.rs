//! Who calls (02, Callers): bearer JWTs, their keys, their scopes, and the layer that checks them.

mod caller;
mod claims;
mod keys;
mod layer;
mod scopes;
mod signer;
mod verifier;

pub use caller::Caller;
pub use claims::{Audience, Claims};
pub use keys::{Keys, KeysError};
pub use layer::{AuthenticationLayer, USER_METADATA};
pub use scopes::{Scope, Scopes};
pub use signer::{Signer, SignerError};
pub use verifier::{CLOCK_SKEW_SECONDS_MAX, TOKEN_BYTES_MAX, Verifier};

#[cfg(test)]
mod tests;
