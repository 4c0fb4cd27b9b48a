//! The secrets that people are given: the display form, and the address with the same effect.

use homeroom_kit::{Result, secret::SecretText};

use super::App;
use crate::{domain::way::Way, store::InvitationRow};

/// A secret in the forms that people are given.
#[derive(Clone)]
pub struct HandedOut {
    /// The display form.
    pub text: SecretText,
    /// The address with the same effect; None for a kind that has none.
    pub url: Option<SecretText>,
}

impl App {
    /// Returns the secret of an invitation in the forms that people are given; None once it is destroyed.
    pub(crate) fn handed_out(&self, row: &InvitationRow) -> Result<Option<HandedOut>> {
        let Some(secret) = self.secrets().show(row)? else {
            return Ok(None);
        };
        let way = Way::of(row.invitation.kind);
        let url = way.letter.map(|letter| self.public_url.at(letter, &secret));
        let text = match way.display {
            Some(display) => display(&secret),
            None => url.clone().unwrap_or(secret),
        };
        Ok(Some(HandedOut { text, url }))
    }
}
