//! The storage of secrets: a keyed MAC finds them, and a sealed value shows them.
//!
//! The MAC is made of the kind's tag and the canonical form. An enrollment code has a second MAC, of its folded form
//! (B4). The sealed value is bound to the invitation's id, organization, kind and epoch, so that a value copied to
//! another row does not open.

use homeroom_api::ids::CodePrefix;
use homeroom_kit::{
    Error, Result,
    keys::{KeyRing, Sealed},
    random::Randomness,
    secret::SecretText,
};

use crate::{
    domain::{
        invitation::{Invitation, InvitationKind},
        ways::enrollment_code::{EnrollmentCode, folded},
    },
    store::{InvitationRow, LookUp, RotatedSecret, StoredSecret},
};

/// The tag of the MAC of an enrollment code's folded form. It differs from the kind's own tag, so that no folded form
/// finds an exact one.
const FOLDED_TAG: &str = "enrollment_code_folded";

/// The reason why a secret is left under its old key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRotated {
    /// The sealed value was altered in the database, or belongs to another row.
    #[error("its sealed value does not open: reset it")]
    DoesNotOpen,
    /// The look-up MAC and the sealed value are of two different secrets.
    #[error("its look-up is not that of its sealed value: reset it")]
    IsNotFoundByItself,
    /// The code prefix of the organization is not known.
    #[error(
        "the code prefix of its organization is not known: read one of the organization's codes"
    )]
    PrefixUnknown,
    /// A process that lacked the other key has made the same code.
    #[error("another invitation has the same code: change one of them")]
    Taken,
}

/// Stores and shows secrets under the service's keys.
#[derive(Debug, Clone, Copy)]
pub struct Secrets<'app> {
    keys: &'app KeyRing,
    random: &'app dyn Randomness,
}

impl<'app> Secrets<'app> {
    /// Makes the service for these keys.
    #[must_use]
    pub fn new(keys: &'app KeyRing, random: &'app dyn Randomness) -> Self {
        Self { keys, random }
    }

    /// Returns the MACs that find a canonical form, and those that find forms that read alike: one for each live key,
    /// the current one first.
    #[must_use]
    pub fn look_up(&self, kind: InvitationKind, canonical: &SecretText) -> LookUp {
        let versions = self.keys.versions().into_iter().rev();
        let folded = versions.clone();
        LookUp {
            macs: versions
                .map(|version| self.mac(version, kind, canonical))
                .collect(),
            folded_macs: folded
                .filter_map(|version| self.folded_mac(version, kind, canonical))
                .collect(),
        }
    }

    /// Returns the stored form of a secret of `invitation`, as its row is now.
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
            folded_mac: self
                .folded_mac(sealed.key_version, invitation.kind, canonical)
                .map(Vec::from),
            sealed: sealed.bytes,
            key_version: sealed.key_version,
        })
    }

    /// Returns the secret in its display form; None once it is destroyed.
    pub fn show(&self, row: &InvitationRow) -> Result<Option<SecretText>> {
        open(self.keys, row)
    }

    /// Returns the same secret stored under the current key. `prefix` is the organization's prefix, with which the
    /// canonical form of an enrollment code begins (B4).
    pub(super) fn rotate(
        &self,
        row: &InvitationRow,
        prefix: Option<&CodePrefix>,
    ) -> std::result::Result<StoredSecret, NotRotated> {
        let (canonical, shown, _) = self.opened(row, prefix)?;
        self.store(&row.invitation, &canonical, &shown)
            .map_err(|_| NotRotated::DoesNotOpen)
    }

    /// Returns the same secret of an enrollment code, under its key, with the MAC of its folded form; None if that
    /// cannot be determined.
    pub(super) fn fold(&self, row: &InvitationRow, prefix: &CodePrefix) -> Option<RotatedSecret> {
        let (canonical, _, stored) = self.opened(row, Some(prefix)).ok()?;
        let folded_mac = self.folded_mac(stored.key_version, row.invitation.kind, &canonical)?;
        Some(RotatedSecret {
            invitation_id: row.invitation.id,
            sealed_before: stored.sealed.clone(),
            secret: StoredSecret {
                folded_mac: Some(folded_mac.to_vec()),
                ..stored.clone()
            },
        })
    }

    /// Returns the canonical form of a row's secret, its display form and its stored form.
    fn opened<'row>(
        &self,
        row: &'row InvitationRow,
        prefix: Option<&CodePrefix>,
    ) -> std::result::Result<(SecretText, SecretText, &'row StoredSecret), NotRotated> {
        let (Ok(Some(shown)), Some(stored)) = (self.show(row), &row.secret) else {
            return Err(NotRotated::DoesNotOpen);
        };
        let kind = row.invitation.kind;
        let canonical = if kind == InvitationKind::EnrollmentCode {
            let code = EnrollmentCode::parse(shown.expose())
                .map_err(|_| NotRotated::IsNotFoundByItself)?;
            code.full_canonical(prefix.ok_or(NotRotated::PrefixUnknown)?)
        } else {
            shown.clone()
        };
        // A secret that would be looked up by another text than now is never written.
        if self.mac(stored.key_version, kind, &canonical).as_slice() != stored.lookup_mac {
            return Err(NotRotated::IsNotFoundByItself);
        }
        Ok((canonical, shown, stored))
    }

    fn folded_mac(
        &self,
        version: u32,
        kind: InvitationKind,
        canonical: &SecretText,
    ) -> Option<[u8; 32]> {
        let reads = (kind == InvitationKind::EnrollmentCode).then(|| folded(canonical.expose()))?;
        Some(
            self.keys
                .mac(version, FOLDED_TAG, reads.expose().as_bytes()),
        )
    }

    fn mac(&self, version: u32, kind: InvitationKind, canonical: &SecretText) -> [u8; 32] {
        self.keys
            .mac(version, kind.tag(), canonical.expose().as_bytes())
    }
}

/// Opens the secret of a row.
pub(super) fn open(keys: &KeyRing, row: &InvitationRow) -> Result<Option<SecretText>> {
    let Some(secret) = &row.secret else {
        return Ok(None);
    };
    let sealed = Sealed {
        key_version: secret.key_version,
        bytes: secret.sealed.clone(),
    };
    let opened = keys
        .open(&sealed, &bound_to(&row.invitation))
        .map_err(Error::internal)?;
    String::from_utf8(opened)
        .map(|text| Some(SecretText::new(text)))
        .map_err(|_| Error::internal("a sealed value is not text"))
}

/// Returns the context that a sealed value is bound to.
fn bound_to(invitation: &Invitation) -> Vec<u8> {
    format!(
        "{}/{}/{}/{}",
        invitation.id,
        invitation.place.organization(),
        invitation.kind.tag(),
        invitation.epoch.value()
    )
    .into_bytes()
}
