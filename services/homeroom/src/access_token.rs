//! Access tokens minted from a data folder's signing key.

use chrono::TimeDelta;
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::{
    Clock,
    auth::{Claims, Scopes, Signer},
    secret::SecretText,
};

use crate::{
    Failure,
    data_folder::{AUDIENCE, ISSUER},
};

/// The claims of a token made on the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessToken<'a> {
    pub(crate) user: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) email_verified: bool,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) scopes: Scopes,
    /// The organizations to which the token is bound; empty for no bound.
    pub(crate) organizations: &'a [OrganizationId],
    pub(crate) life: TimeDelta,
}

impl AccessToken<'_> {
    /// Returns the signed token.
    pub(crate) fn mint(&self, signer: &Signer, clock: &dyn Clock) -> Result<SecretText, Failure> {
        let user = UserId::parse(self.user)?;
        let mut claims = Claims::new(ISSUER, AUDIENCE, user.as_str(), clock.now(), self.life)
            .with_scopes(self.scopes);
        let text = |text: Option<&str>| text.map(ToOwned::to_owned);
        claims.name = text(self.name);
        claims.email = text(self.email);
        claims.email_verified = self.email.map(|_| self.email_verified);
        claims.external_id = text(self.external_id);
        let bound = self.organizations.iter().map(ToString::to_string).collect();
        claims.organizations = Some(bound).filter(|bound: &Vec<_>| !bound.is_empty());
        Ok(signer.sign(&claims)?)
    }
}
