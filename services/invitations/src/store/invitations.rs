//! Invitations: one row for each.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::{ClassName, Place},
};
use homeroom_kit::{
    args,
    store::{
        Table,
        columns::{self, class_id},
        hex, json_ids, json_rows,
    },
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    Repository, Result, before_text, invitation_row::InvitationRow,
    redemption_writes::uses_of_person,
};
use crate::domain::invitation::{Epoch, InvitationFilter, InvitationKind};

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

pub(super) const INVITATIONS: Table = Table {
    texts: &[
        "invitation_id",
        "kind",
        "organization_id",
        "class_id",
        "assigned_email",
        "external_id",
        "display_name",
        "email_domains",
    ],
    numbers: &[
        "epoch",
        "fence_epoch",
        "uses_since_epoch",
        "key_version",
        "revoke_time",
        "delete_time",
        "valid_from_time",
        "valid_till_time",
        "max_uses",
        "uses_committed",
        "uses_reserved",
        "uses_queued",
        "strength_bits",
        "words",
        "lock_period",
        "unlock_time",
        "manual_lock_time",
        "issue_time",
        "revision",
        "create_time",
        "update_time",
    ],
    flags: &["enabled", "allow_rejoin"],
    bytes: &["lookup_mac", "folded_mac", "folded_lookup_mac", "sealed"],
    ..Table::new("invitations")
};

/// Returns the selection of all columns, without the word `FROM`, so that others may follow.
pub(super) fn select() -> String {
    let columns = INVITATIONS.but(&["folded_mac", "folded_lookup_mac"]);
    format!(
        "SELECT {}, CASE WHEN invitations.folded_lookup_mac = invitations.lookup_mac \
         THEN invitations.folded_mac END AS folded_mac ",
        columns.of("invitations")
    )
}

homeroom_kit::statements! {
    INSERT(on) = INVITATIONS.insert(on, "$1") + " WHERE true ON CONFLICT DO NOTHING RETURNING invitation_id";

    GET(on) = format!(
        "{}FROM invitations WHERE invitation_id IN (SELECT input.value->>'id' FROM {})",
        select(),
        on.rows("$1", "input")
    );

    FIND_SINGLETON = select() + "FROM invitations WHERE organization_id = $1 AND class_id = $2 AND kind = $3";

    /// One search of an index each.
    FIND_BY_LOOKUP_MACS(on) = format!(
        "{select}FROM invitations JOIN {macs} ON lookup_mac = {mac} \
         UNION {select}FROM invitations JOIN {macs} ON folded_mac = {mac} WHERE folded_lookup_mac = lookup_mac",
        select = select(),
        macs = on.rows("$1", "input"),
        mac = on.bytes("input.value->>'id'"),
    );

    /// Invitations that are not in use are not even read: otherwise refusing them would take longer than refusing a
    /// credential that never existed (R5).
    FIND_LIVING(on) = format!(
        "SELECT invitations.*, {uses} > 0 AS has_use FROM ({select}, CAST(input.value->>'form' AS BIGINT) AS form \
         FROM invitations JOIN {macs} ON lookup_mac = {mac} \
         WHERE enabled AND revoke_time IS NULL AND delete_time IS NULL \
         UNION ALL {select}, CAST(folded.form AS BIGINT) AS form FROM invitations \
         JOIN (SELECT input.value->>'form' AS form, input.value->>'folded_mac' AS mac FROM {macs}) AS folded \
         ON folded_mac = {folded_mac} \
         WHERE folded_lookup_mac = lookup_mac AND enabled AND revoke_time IS NULL AND delete_time IS NULL \
         AND NOT EXISTS (SELECT 1 FROM {macs} JOIN invitations AS exact ON exact.lookup_mac = {mac} \
         WHERE input.value->>'form' = folded.form)) AS invitations",
        uses = uses_of_person("$2"),
        select = select(),
        macs = on.rows("$1", "input"),
        mac = on.bytes("input.value->>'mac'"),
        folded_mac = on.bytes("folded.mac"),
    );

    LIST_UNFOLDED = select() + "FROM invitations WHERE kind = 'enrollment_code' AND lookup_mac IS NOT NULL \
        AND folded_lookup_mac IS DISTINCT FROM lookup_mac AND ($1 = '' OR organization_id = $1) \
        AND invitation_id > $2 ORDER BY invitation_id LIMIT $3";

    /// By the range of one index, as the list of redemptions.
    LIST = select() + "FROM invitations WHERE organization_id = $1 AND class_id = $2 AND kind >= $3 \
        AND (kind, invitation_id) < ($3, $4) \
        AND delete_time IS NULL AND ($5 = '' OR assigned_email = $5) \
        AND ($6 = '' OR external_id = $6) AND (NOT $7 OR enabled = $8) \
        ORDER BY kind DESC, invitation_id DESC LIMIT $9";

    LIST_PENDING_FENCES = select() + "FROM invitations WHERE fence_epoch < epoch AND invitation_id > $1 \
        ORDER BY invitation_id LIMIT $2";

    /// A secret that was stored anew under a newer key while the change was being decided is still the same secret
    /// within its epoch, and stays (a version of 0 destroys it): see [`crate::app::rotate_keys`].
    UPDATE(on) = format!(
        "UPDATE invitations SET {}, \
         uses_committed = CASE WHEN uses_since_epoch < {since} THEN 0 ELSE uses_committed END, \
         uses_reserved = CASE WHEN uses_since_epoch < {since} THEN 0 ELSE uses_reserved END, \
         uses_queued = CASE WHEN uses_since_epoch < {since} THEN 0 ELSE uses_queued END, \
         lookup_mac = CASE WHEN {rotated} THEN lookup_mac ELSE {mac} END, \
         sealed = CASE WHEN {rotated} THEN sealed ELSE {sealed} END, \
         key_version = CASE WHEN {rotated} THEN key_version ELSE {version} END FROM {row} \
         WHERE invitations.invitation_id = input.value->>'invitation_id' AND revision = {revision} - 1 \
         AND NOT EXISTS (SELECT 1 FROM invitations AS other \
         WHERE other.lookup_mac = {mac} AND other.invitation_id <> invitations.invitation_id)",
        INVITATIONS.but(&[
            "invitation_id", "kind", "organization_id", "class_id", "fence_epoch", "uses_committed",
            "uses_reserved", "uses_queued", "lookup_mac", "sealed", "key_version", "words", "create_time",
        ]).assign(on),
        since = INVITATIONS.input(on, "uses_since_epoch"),
        rotated = format!(
            "key_version > {version} AND {version} > 0 AND epoch = {epoch} AND sealed IS NOT NULL",
            version = INVITATIONS.input(on, "key_version"),
            epoch = INVITATIONS.input(on, "epoch"),
        ),
        mac = INVITATIONS.input(on, "lookup_mac"),
        sealed = INVITATIONS.input(on, "sealed"),
        version = INVITATIONS.input(on, "key_version"),
        revision = INVITATIONS.input(on, "revision"),
        row = on.rows("$1", "input"),
    );

    DELETE_CODES_OF = "UPDATE invitations SET lookup_mac = NULL, folded_mac = NULL, folded_lookup_mac = NULL, \
        sealed = NULL, key_version = 0, delete_time = $3, revision = revision + 1, update_time = $3 \
        WHERE organization_id = $1 AND class_id = $2 AND kind = 'enrollment_code' AND delete_time IS NULL";

    CONFIRM_FENCE = "UPDATE invitations SET fence_epoch = $2 WHERE invitation_id = $1 AND fence_epoch < $2";
}

/// A row of [`FIND_LIVING`].
#[derive(Deserialize)]
struct LivingRow {
    form: usize,
    #[serde(with = "columns::flag")]
    has_use: bool,
    #[serde(flatten)]
    row: InvitationRow,
}

impl Repository {
    /// Inserts rows in one statement. Returns for each whether it was inserted: false if its secret or its singleton
    /// exists already.
    pub async fn insert_invitations(&mut self, rows: &[InvitationRow]) -> Result<Vec<bool>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let inserted: Vec<Uuid> = self.0.all(&INSERT, args![json_rows(rows)]).await?;
        let inserted: HashSet<Uuid> = inserted.into_iter().collect();
        let ids = rows.iter().map(|row| row.invitation.id);
        Ok(ids.map(|id| inserted.contains(&id)).collect())
    }

    /// Returns one row, even if it is revoked or deleted.
    pub async fn get_invitation(&mut self, id: Uuid) -> Result<Option<InvitationRow>> {
        Ok(self.get_invitations(&[id]).await?.pop())
    }

    /// Returns the rows of `ids` that exist, in no order.
    pub async fn get_invitations(&mut self, ids: &[Uuid]) -> Result<Vec<InvitationRow>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.0.all(&GET, args![json_ids(ids)]).await
    }

    /// Returns the one invitation of `kind` in the place; None for a kind of which it has many.
    pub async fn find_singleton(
        &mut self,
        place: &Place,
        kind: InvitationKind,
    ) -> Result<Option<InvitationRow>> {
        if !kind.is_singleton() {
            return Ok(None);
        }
        let bound = args![place.organization(), class_id(place), kind.tag()];
        self.0.first(&FIND_SINGLETON, bound).await
    }

    /// Returns the invitations that any of these MACs finds, exact or folded, in one statement.
    pub async fn find_all_by_lookup_macs(
        &mut self,
        macs: &[[u8; 32]],
    ) -> Result<Vec<InvitationRow>> {
        if macs.is_empty() {
            return Ok(Vec::new());
        }
        let macs = macs.iter().map(hex);
        self.0
            .all(&FIND_BY_LOOKUP_MACS, args![json_ids(macs)])
            .await
    }

    /// Returns the invitations that these look-ups find and that are neither switched off nor revoked nor deleted, in
    /// one statement. Each comes with the index of the look-up that found it, and with true if the invitation has spent
    /// a use on `user` (P4). A folded form finds an invitation only if no invitation, in use or not, has exactly that
    /// form (B4).
    pub async fn find_living(
        &mut self,
        look_ups: &[LookUp],
        user: Option<&UserId>,
    ) -> Result<Vec<(usize, InvitationRow, bool)>> {
        if look_ups.is_empty() {
            return Ok(Vec::new());
        }
        let forms = look_ups.iter().enumerate();
        let macs = forms.flat_map(|(form, look_up)| {
            let folded = look_up
                .folded_macs
                .iter()
                .map(Some)
                .chain(std::iter::repeat(None));
            let macs = look_up.macs.iter().zip(folded);
            macs.map(move |(mac, folded)| {
                json!({"form": form, "mac": hex(mac), "folded_mac": folded.map(hex)})
            })
        });
        let bound = args![json_rows(macs), user];
        let found: Vec<LivingRow> = self.0.all(&FIND_LIVING, bound).await?;
        let each = |found: LivingRow| (found.form, found.row, found.has_use);
        Ok(found.into_iter().map(each).collect())
    }

    /// Returns enrollment codes that are not folded and have an id above `after`, sorted by id; of one organization, or
    /// of all.
    pub async fn list_unfolded(
        &mut self,
        organization: Option<&OrganizationId>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>> {
        self.0
            .all(&LIST_UNFOLDED, args![organization, after, limit])
            .await
    }

    /// Returns a page, newest first: rows with an id below `before`, without deleted ones.
    pub async fn list_invitations(
        &mut self,
        place: &Place,
        kind: InvitationKind,
        filter: &InvitationFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>> {
        let bound = args![
            place.organization(),
            class_id(place),
            kind.tag(),
            before_text(before),
            filter.assigned_email.as_deref(),
            filter.external_id.as_deref(),
            filter.enabled.is_some(),
            filter.enabled.unwrap_or(false),
            limit,
        ];
        self.0.all(&LIST, bound).await
    }

    /// Writes the changes of staff (everything except the counts, `fence_epoch` and the immutable columns) if the
    /// stored revision is the one before `row.revision`. If `uses_since_epoch` grew, uses are counted from zero.
    /// Returns false if it was not written, also because another invitation has the new secret already.
    pub async fn update_invitation(&mut self, row: &InvitationRow) -> Result<bool> {
        Ok(self.0.run(&UPDATE, args![json_rows([row])]).await? == 1)
    }

    /// Returns invitations whose fence is pending and whose id is above `after`, sorted by id.
    pub async fn list_pending_fences(
        &mut self,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>> {
        self.0.all(&LIST_PENDING_FENCES, args![after, limit]).await
    }

    /// Deletes the enrollment codes of a class that is deleted, so that their words are free again (B11).
    pub async fn delete_codes_of(&mut self, class: &ClassName, now: DateTime<Utc>) -> Result<()> {
        let bound = args![&class.organization, &class.class, now];
        self.0.run(&DELETE_CODES_OF, bound).await?;
        Ok(())
    }

    /// Records that membership has confirmed the fence up to `epoch`; it never lowers it.
    pub async fn confirm_fence(&mut self, id: Uuid, epoch: Epoch) -> Result<()> {
        self.0.run(&CONFIRM_FENCE, args![id, epoch.value()]).await?;
        Ok(())
    }
}
