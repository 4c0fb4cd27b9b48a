//! How secrets are stored (03 Secrets): found by a keyed MAC, shown from a sealed value.
//!
//! The MAC is over the kind's tag and the canonical form; the sealed value is bound to the
//! invitation's id, organization, kind and epoch, so that no row's value opens in another.

use homeroom_kit::{
    Error, Result,
    keys::{KeyRing, Sealed},
    random::Randomness,
    secret::SecretText,
};

use crate::{
    domain::{
        enrollment_code::{CodePrefix, EnrollmentCode},
        invitation::{Invitation, InvitationKind},
    },
    store::{InvitationRow, StoredSecret},
};

/// Why a secret is left under its old key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRotated {
    /// It was altered in the database, or belongs elsewhere.
    #[error("its sealed value does not open: reset it")]
    DoesNotOpen,
    /// Look-up and sealed value are of two secrets.
    #[error("its look-up is not that of its sealed value: reset it")]
    IsNotFoundByItself,
    /// Nothing is known of the code's organization.
    #[error(
        "the code prefix of its organization is not known: read one of the organization's codes"
    )]
    PrefixUnknown,
    /// The same code was made by a process that lacked the other key.
    #[error("another invitation has the same code: change one of them")]
    Taken,
    /// Others kept its row locked.
    #[error("its row stayed locked: run this again")]
    Busy,
}

/// Stores and shows secrets under the service's keys.
#[derive(Debug, Clone, Copy)]
pub struct Secrets<'app> {
    keys: &'app KeyRing,
    random: &'app dyn Randomness,
}

impl<'app> Secrets<'app> {
    /// Under these keys.
    #[must_use]
    pub fn new(keys: &'app KeyRing, random: &'app dyn Randomness) -> Self {
        Self { keys, random }
    }

    /// The look-up MACs of a canonical form: one for each key that lives, the current one first.
    #[must_use]
    pub fn lookup_macs(&self, kind: InvitationKind, canonical: &SecretText) -> Vec<[u8; 32]> {
        self.keys
            .versions()
            .into_iter()
            .rev()
            .map(|version| self.mac(version, kind, canonical))
            .collect()
    }

    /// The stored form of a secret of `invitation`, as its row is now.
    pub fn store(
        &self,
        invitation: &Invitation,
        canonical: &SecretText,
        shown: &SecretText,
    ) -> Result<StoredSecret> {
        let sealed = self
            .keys
            .seal(
                &bound_to(invitation),
                shown.expose().as_bytes(),
                self.random,
            )
            .map_err(Error::internal)?;
        Ok(StoredSecret {
            lookup_mac: self
                .mac(sealed.key_version, invitation.kind, canonical)
                .to_vec(),
            sealed: sealed.bytes,
            key_version: sealed.key_version,
        })
    }

    /// The secret as it is shown; None once it is destroyed.
    pub fn show(&self, row: &InvitationRow) -> Result<Option<SecretText>> {
        let Some(secret) = &row.secret else {
            return Ok(None);
        };
        let sealed = Sealed {
            key_version: secret.key_version,
            bytes: secret.sealed.clone(),
        };
        let opened = self
            .keys
            .open(&sealed, &bound_to(&row.invitation))
            .map_err(Error::internal)?;
        String::from_utf8(opened)
            .map(|text| Some(SecretText::new(text)))
            .map_err(|_| Error::internal("a sealed value is not text"))
    }

    /// The same secret stored under the current key. `prefix` is the organization's, which an
    /// enrolment code's look-up begins with (B4).
    pub(super) fn rotate(
        &self,
        row: &InvitationRow,
        prefix: Option<&CodePrefix>,
    ) -> std::result::Result<StoredSecret, NotRotated> {
        let (Ok(Some(shown)), Some(stored)) = (self.show(row), &row.secret) else {
            return Err(NotRotated::DoesNotOpen);
        };
        let kind = row.invitation.kind;
        let canonical = match kind {
            InvitationKind::EnrollmentCode => {
                let code = EnrollmentCode::parse(shown.expose())
                    .map_err(|_| NotRotated::IsNotFoundByItself)?;
                code.full_canonical(prefix.ok_or(NotRotated::PrefixUnknown)?)
            }
            InvitationKind::OrganizationToken
            | InvitationKind::ClassToken
            | InvitationKind::ClassCode
            | InvitationKind::JoinUrl => shown.clone(),
        };
        // What would be looked up by another text than now is never written.
        if self.mac(stored.key_version, kind, &canonical).as_slice() != stored.lookup_mac {
            return Err(NotRotated::IsNotFoundByItself);
        }
        self.store(&row.invitation, &canonical, &shown)
            .map_err(|_| NotRotated::DoesNotOpen)
    }

    fn mac(&self, version: u32, kind: InvitationKind, canonical: &SecretText) -> [u8; 32] {
        self.keys
            .mac(version, kind.tag(), canonical.expose().as_bytes())
    }
}

/// What a sealed value is bound to.
pub(super) fn bound_to(invitation: &Invitation) -> Vec<u8> {
    format!(
        "{}/{}/{}/{}",
        invitation.id,
        invitation.place.organization(),
        invitation.kind.tag(),
        invitation.epoch.value()
    )
    .into_bytes()
}
