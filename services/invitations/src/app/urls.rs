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
        let base = &self.public_url;
        Ok(Some(match row.invitation.kind {
            InvitationKind::OrganizationToken => HandedOut {
                url: Some(base.organization_invite_url(&secret)),
                text: secret,
            },
            InvitationKind::ClassToken => {
                let phrase = Phrase::parse(secret.expose())
                    .ok_or_else(|| Error::internal("a stored phrase does not parse"))?;
                HandedOut {
                    text: phrase.display(),
                    url: Some(base.class_invite_url(&phrase)),
                }
            }
            InvitationKind::ClassCode => HandedOut {
                text: class_code::display(&secret),
                url: Some(base.join_link(&secret)),
            },
            InvitationKind::JoinUrl => {
                let url = SecretText::new(base.join_url(&secret));
                HandedOut {
                    text: url.clone(),
                    url: Some(url),
                }
            }
            InvitationKind::EnrollmentCode => HandedOut {
                text: secret,
                url: None,
            },
        }))
    }
}
