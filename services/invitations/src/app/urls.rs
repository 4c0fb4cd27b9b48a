//! The secrets that people are given: the display form, and the address with the same effect.

use homeroom_kit::{Error, Result, secret::SecretText};

use super::App;
use crate::{
    domain::{class_code, invitation::InvitationKind, phrase::Phrase},
    store::InvitationRow,
};

/// A secret in the forms that people are given.
#[derive(Clone)]
pub struct HandedOut {
    /// The display form.
    pub text: SecretText,
    /// The address with the same effect; None for enrollment codes, which have none.
    pub url: Option<SecretText>,
}

impl App {
    /// Returns the secret of an invitation in the forms that people are given; None once it is destroyed.
    pub(crate) fn handed_out(&self, row: &InvitationRow) -> Result<Option<HandedOut>> {
        let Some(secret) = self.secrets().show(row)? else {
            return Ok(None);
        };
        let kind = row.invitation.kind;
        let url = self.public_url.address(kind, &secret);
        let text = match kind {
            InvitationKind::ClassToken => Phrase::parse(secret.expose())
                .ok_or_else(|| Error::internal("a stored phrase does not parse"))?
                .display(),
            InvitationKind::ClassCode => class_code::display(&secret),
            InvitationKind::JoinUrl => url.clone().unwrap_or(secret),
            _ => secret,
        };
        Ok(Some(HandedOut { text, url }))
    }
}
