//! Invitations: one row for each.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::{ClassName, Place},
};
use uuid::Uuid;

use super::Result;
use crate::domain::invitation::{Epoch, Invitation, InvitationKind};

/// The stored form of a secret. Neither part reveals it without the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// The HMAC of the kind's tag and the canonical form, which look-ups compare. Unique.
    pub lookup_mac: Vec<u8>,
    /// The HMAC of the folded form of an enrollment code, for a look-up that finds no exact form (B4). None for other
    /// kinds, and for a code that an earlier version stored, until it is folded.
    pub folded_mac: Option<Vec<u8>>,
    /// The display value, sealed.
    pub sealed: Vec<u8>,
    /// The version of the key that made both.
    pub key_version: u32,
}

/// One form that a credential may have, under each live key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookUp {
    /// The MACs that find exactly that form; the current key's comes first.
    pub macs: Vec<[u8; 32]>,
    /// The MACs that find forms that read alike, in the same order; empty for kinds without a folded form.
    pub folded_macs: Vec<[u8; 32]>,
}

impl LookUp {
    /// Returns the MACs of both kinds.
    #[must_use]
    pub fn all(&self) -> Vec<[u8; 32]> {
        [self.macs.as_slice(), &self.folded_macs].concat()
    }
}

/// An invitation as it is stored: the data for the domain's decisions, and the data that only staff see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRow {
    /// The data for the domain's decisions. Its `uses` are only read: redemptions count them.
    pub invitation: Invitation,
    /// The epoch up to which membership has confirmed the fence. While it is below the invitation's epoch, the fence is
    /// pending (P7).
    pub fence_epoch: Epoch,
    /// The epoch from which uses are counted: a reset starts the count again. Redemptions of older epochs change no
    /// count.
    pub uses_since_epoch: Epoch,
    /// The secret; None once it is destroyed.
    pub secret: Option<StoredSecret>,
    /// The switch (B8, C12).
    pub enabled: bool,
    /// The time at which staff revoked it (A14).
    pub revoke_time: Option<DateTime<Utc>>,
    /// The time at which it was deleted (B11).
    pub delete_time: Option<DateTime<Utc>>,
    /// A label for staff.
    pub display_name: String,
    /// The estimated strength of a typed code in bits; 0 for other kinds.
    pub strength_bits: u32,
    /// The number of words of a phrase; 0 for other kinds.
    pub words: u32,
    /// The revision, which grows by one with each change by staff. The etag is made from it.
    pub revision: i64,
    /// The time at which the row was made.
    pub create_time: DateTime<Utc>,
    /// The time of the last change by staff.
    pub update_time: DateTime<Utc>,
}

impl InvitationRow {
    /// Returns true if the fence is not yet known to be up (P7).
    #[must_use]
    pub fn fence_is_pending(&self) -> bool {
        self.fence_epoch < self.invitation.epoch
    }
}

/// The conditions on the invitations of a place to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvitationFilter {
    /// Only those assigned to this canonical address.
    pub assigned_email: Option<String>,
    /// Only those assigned to this external id.
    pub external_id: Option<String>,
    /// Only those whose switch is on (true) or off (false).
    pub enabled: Option<bool>,
}

/// Rows of `invitations`.
#[async_trait]
pub trait Invitations: Send {
    /// Inserts rows in one statement. Returns for each whether it was inserted: false if its secret or its singleton
    /// exists already.
    async fn insert_invitations(&mut self, rows: &[InvitationRow]) -> Result<Vec<bool>>;

    /// Returns one row, even if it is revoked or deleted.
    async fn get_invitation(&mut self, id: Uuid) -> Result<Option<InvitationRow>>;

    /// Returns the rows of `ids` that exist, in no order.
    async fn get_invitations(&mut self, ids: &[Uuid]) -> Result<Vec<InvitationRow>>;

    /// Returns the one invitation of `kind` in the place.
    async fn find_singleton(
        &mut self,
        place: &Place,
        kind: InvitationKind,
    ) -> Result<Option<InvitationRow>>;

    /// Returns the invitations that any of these MACs finds, exact or folded, in one statement.
    async fn find_all_by_lookup_macs(&mut self, macs: &[[u8; 32]]) -> Result<Vec<InvitationRow>>;

    /// Returns the invitations that these look-ups find and that are neither switched off nor revoked nor deleted, in
    /// one statement. Each comes with the index of the look-up that found it, and with true if the invitation has spent
    /// a use on `user` (P4). A folded form finds an invitation only if no invitation, in use or not, has exactly that
    /// form (B4).
    async fn find_living(
        &mut self,
        look_ups: &[LookUp],
        user: Option<&UserId>,
    ) -> Result<Vec<(usize, InvitationRow, bool)>>;

    /// Returns the invitation with one of these look-up MACs, which are of one secret under each live key.
    async fn find_by_lookup_macs(&mut self, macs: &[[u8; 32]]) -> Result<Option<InvitationRow>> {
        Ok(self.find_all_by_lookup_macs(macs).await?.pop())
    }

    /// Returns enrollment codes that are not folded and have an id above `after`, sorted by id; of one organization, or
    /// of all.
    async fn list_unfolded(
        &mut self,
        organization: Option<&OrganizationId>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>>;

    /// Returns a page, newest first: rows with an id below `before`, without deleted ones.
    async fn list_invitations(
        &mut self,
        place: &Place,
        kind: InvitationKind,
        filter: &InvitationFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>>;

    /// Writes the changes of staff (everything except the counts, `fence_epoch` and the immutable columns) if the
    /// stored revision is the one before `row.revision`. If `uses_since_epoch` grew, uses are counted from zero.
    /// Returns false if it was not written, also because another invitation has the new secret already.
    async fn update_invitation(&mut self, row: &InvitationRow) -> Result<bool>;

    /// Deletes the enrollment codes of a class that is deleted, so that their words are free again (B11).
    async fn delete_codes_of(&mut self, class: &ClassName, now: DateTime<Utc>) -> Result<()>;

    /// Returns invitations whose fence is pending and whose id is above `after`, sorted by id.
    async fn list_pending_fences(
        &mut self,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>>;

    /// Records that membership has confirmed the fence up to `epoch`; it never lowers it.
    async fn confirm_fence(&mut self, id: Uuid, epoch: Epoch) -> Result<()>;
}
