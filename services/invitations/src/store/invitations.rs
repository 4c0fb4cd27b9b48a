//! Invitations: one row for each way in.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::Place,
};
use uuid::Uuid;

use super::Result;
use crate::domain::invitation::{Epoch, Invitation, InvitationKind};

/// The stored form of a secret (03 Secrets). Neither part tells it without the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// HMAC of the kind's tag and the canonical form: what a look-up compares. Unique.
    pub lookup_mac: Vec<u8>,
    /// The same of how an enrolment code reads, where a look-up finds nothing else (B4). None of other kinds, and of a
    /// code that a version before this one stored, until it is folded.
    pub folded_mac: Option<Vec<u8>>,
    /// The sealed display value.
    pub sealed: Vec<u8>,
    /// The version of the key of both.
    pub key_version: u32,
}

/// One form that a credential may have, under each key that lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookUp {
    /// What finds exactly that form; the current key's first.
    pub macs: Vec<[u8; 32]>,
    /// What finds forms that read alike, in the same order; empty of kinds whose canonical form is what is read.
    pub folded_macs: Vec<[u8; 32]>,
}

impl LookUp {
    /// Both.
    #[must_use]
    pub fn all(&self) -> Vec<[u8; 32]> {
        [self.macs.as_slice(), &self.folded_macs].concat()
    }
}

/// An invitation as it is stored: what the domain decides by, and what staff are shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRow {
    /// What the domain decides by. Its `uses` are read only: redemptions count them.
    pub invitation: Invitation,
    /// Up to where membership has confirmed the fence; below the epoch: pending (P7).
    pub fence_epoch: Epoch,
    /// The epoch from which on uses are counted: a reset starts the count again. Redemptions of
    /// older epochs touch no count.
    pub uses_since_epoch: Epoch,
    /// None once destroyed.
    pub secret: Option<StoredSecret>,
    /// The switch (B8, C12).
    pub enabled: bool,
    /// When staff revoked it (A14).
    pub revoke_time: Option<DateTime<Utc>>,
    /// When it was deleted (B11).
    pub delete_time: Option<DateTime<Utc>>,
    /// A label for staff.
    pub display_name: String,
    /// How hard a typed code is to guess, in bits; 0 for other kinds.
    pub strength_bits: u32,
    /// Words of a phrase; 0 for other kinds.
    pub words: u32,
    /// Grows by one with each change by staff: the etag.
    pub revision: i64,
    /// When the row was made.
    pub create_time: DateTime<Utc>,
    /// When staff last changed it.
    pub update_time: DateTime<Utc>,
}

impl InvitationRow {
    /// Whether the fence is not yet known to be up (P7).
    #[must_use]
    pub fn fence_is_pending(&self) -> bool {
        self.fence_epoch < self.invitation.epoch
    }
}

/// Which invitations of a place to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvitationFilter {
    /// Only those assigned to this canonical address.
    pub assigned_email: Option<String>,
    /// Only those assigned to this external id.
    pub external_id: Option<String>,
    /// Only those whose switch stands so.
    pub enabled: Option<bool>,
}

/// Rows of `invitations`.
#[async_trait]
pub trait Invitations: Send {
    /// Inserts rows in one statement; for each, whether it was: false where its secret or its singleton is there already.
    async fn insert_invitations(&mut self, rows: &[InvitationRow]) -> Result<Vec<bool>>;

    /// One row, revoked and deleted ones too.
    async fn get_invitation(&mut self, id: Uuid) -> Result<Option<InvitationRow>>;

    /// Those of `ids` that exist, in no order.
    async fn get_invitations(&mut self, ids: &[Uuid]) -> Result<Vec<InvitationRow>>;

    /// The one invitation of `kind` of the place.
    async fn find_singleton(
        &mut self,
        place: &Place,
        kind: InvitationKind,
    ) -> Result<Option<InvitationRow>>;

    /// The invitations that any of these MACs finds, exact or folded, in one statement.
    async fn find_all_by_lookup_macs(&mut self, macs: &[[u8; 32]]) -> Result<Vec<InvitationRow>>;

    /// Those that these find and that are neither switched off nor revoked nor deleted, in one statement, each with the
    /// index of what found it: exactly, or where nobody's form is exactly that, in use or not, by how it reads (B4); and
    /// whether a use of it has been spent on `user` (P4).
    async fn find_living(
        &mut self,
        look_ups: &[LookUp],
        user: Option<&UserId>,
    ) -> Result<Vec<(usize, InvitationRow, bool)>>;

    /// The invitation with one of these look-up MACs: one secret under each key that lives.
    async fn find_by_lookup_macs(&mut self, macs: &[[u8; 32]]) -> Result<Option<InvitationRow>> {
        Ok(self.find_all_by_lookup_macs(macs).await?.pop())
    }

    /// Enrolment codes that are not folded, by id, after `after`: of one organization, or of all.
    async fn list_unfolded(
        &mut self,
        organization: Option<&OrganizationId>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>>;

    /// A page, newest first: rows with an id below `before`. Deleted ones are left out.
    async fn list_invitations(
        &mut self,
        place: &Place,
        kind: InvitationKind,
        filter: &InvitationFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>>;

    /// Writes what staff changed (everything but the counts, `fence_epoch` and what never
    /// changes) where the stored revision is the one before `row.revision`. Uses count from zero
    /// where `uses_since_epoch` grew. Whether it was written; false too where its new secret is
    /// another's already.
    async fn update_invitation(&mut self, row: &InvitationRow) -> Result<bool>;

    /// Invitations whose fence is pending, by id, after `after`.
    async fn list_pending_fences(
        &mut self,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>>;

    /// Notes that membership has confirmed the fence up to `epoch`; never lowers it.
    async fn confirm_fence(&mut self, id: Uuid, epoch: Epoch) -> Result<()>;
}
