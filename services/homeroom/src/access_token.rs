//! Access tokens minted from a data folder's signing key.

use chrono::TimeDelta;
use homeroom_api::ids::UserId;
use homeroom_kit::{
    Clock,
    auth::{Claims, Scope, Signer},
    secret::SecretText,
};

use crate::{
    Failure,
    data_folder::{AUDIENCE, ISSUER},
};

/// What a token made by hand says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessToken<'a> {
    pub(crate) user: &'a str,
    pub(crate) email: Option<&'a str>,
    pub(crate) email_verified: bool,
    pub(crate) scopes: &'a [Scope],
    pub(crate) life: TimeDelta,
}

impl AccessToken<'_> {
    /// The signed token.
    pub(crate) fn mint(&self, signer: &Signer, clock: &dyn Clock) -> Result<SecretText, Failure> {
        let user = UserId::parse(self.user)?;
        let mut claims = Claims::new(ISSUER, AUDIENCE, user.as_str(), clock.now(), self.life)
            .with_scopes(self.scopes.iter().copied().collect());
        claims.email = self.email.map(ToOwned::to_owned);
        claims.email_verified = self.email.map(|_| self.email_verified);
        Ok(signer.sign(&claims)?)
    }
}
