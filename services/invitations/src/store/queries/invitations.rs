//! Statements on `invitations`, for both engines.

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{ClassId, OrganizationId, UserId},
    names::{ClassName, Place},
};
use homeroom_kit::clock::micros;
use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

use super::{
    SqlRepository, before_text, corrupt, hex, ids_json,
    invitation_row::{Columns, domain_rules_text, read, to_json},
    rows_json, uses_of_person,
};
use crate::{
    domain::invitation::{Epoch, InvitationKind},
    store::{InvitationFilter, InvitationRow, Invitations, LookUp, Result},
};

macro_rules! invitation_columns {
    () => {
        "invitation_id, kind, organization_id, class_id, epoch, fence_epoch, uses_since_epoch, lookup_mac, \
         CASE WHEN folded_lookup_mac = lookup_mac THEN folded_mac END AS folded_mac, sealed, key_version, enabled, \
         revoke_time, delete_time, valid_from_time, valid_till_time, max_uses, uses_committed, uses_reserved, \
         uses_queued, assigned_email, external_id, display_name, email_domains, allow_rejoin, strength_bits, words, \
         lock_period, unlock_time, manual_lock_time, issue_time, revision, create_time, update_time"
    };
}
pub(super) use invitation_columns;

macro_rules! select {
    ($($rest:tt)+) => {
        concat!("SELECT ", invitation_columns!(), " FROM invitations ", $($rest)+)
    };
}
pub(super) use select as select_invitations;

homeroom_kit::statements! {
    INSERT = concat!(
        "INSERT INTO invitations (invitation_id, kind, organization_id, class_id, epoch, fence_epoch, \
         uses_since_epoch, lookup_mac, folded_mac, folded_lookup_mac, sealed, key_version, enabled, \
         revoke_time, delete_time, valid_from_time, valid_till_time, max_uses, uses_committed, uses_reserved, uses_queued, \
         assigned_email, external_id, display_name, email_domains, allow_rejoin, strength_bits, words, \
         lock_period, unlock_time, manual_lock_time, issue_time, revision, create_time, update_time) \
         SELECT input.value->>'invitation_id', input.value->>'kind', input.value->>'organization_id', \
         input.value->>'class_id', CAST(input.value->>'epoch' AS BIGINT), \
         CAST(input.value->>'fence_epoch' AS BIGINT), \
         CAST(input.value->>'uses_since_epoch' AS BIGINT), ",
        from_hex!("input.value->>'lookup_mac'"),
        ", ",
        from_hex!("input.value->>'folded_mac'"),
        ", ",
        from_hex!("input.value->>'folded_lookup_mac'"),
        ", ",
        from_hex!("input.value->>'sealed'"),
        ", CAST(input.value->>'key_version' AS BIGINT), CAST(input.value->>'enabled' AS BOOLEAN), \
         CAST(input.value->>'revoke_time' AS BIGINT), CAST(input.value->>'delete_time' AS BIGINT), \
         CAST(input.value->>'valid_from_time' AS BIGINT), \
         CAST(input.value->>'valid_till_time' AS BIGINT), CAST(input.value->>'max_uses' AS BIGINT), \
         0, 0, 0, input.value->>'assigned_email', input.value->>'external_id', \
         input.value->>'display_name', input.value->>'email_domains', \
         CAST(input.value->>'allow_rejoin' AS BOOLEAN), \
         CAST(input.value->>'strength_bits' AS BIGINT), CAST(input.value->>'words' AS BIGINT), \
         CAST(input.value->>'lock_period' AS BIGINT), CAST(input.value->>'unlock_time' AS BIGINT), \
         CAST(input.value->>'manual_lock_time' AS BIGINT), \
         CAST(input.value->>'issue_time' AS BIGINT), CAST(input.value->>'revision' AS BIGINT), \
         CAST(input.value->>'create_time' AS BIGINT), CAST(input.value->>'update_time' AS BIGINT) FROM ",
        json_rows!("$1"),
        " WHERE true ON CONFLICT DO NOTHING RETURNING invitation_id"
    );

    GET = select!(
        "WHERE invitation_id IN (SELECT input.value->>'id' FROM ",
        json_rows!("$1"),
        ")"
    );

    FIND_SINGLETON = select!(
        "WHERE organization_id = $1 AND class_id = $2 AND kind = $3 \
         AND kind IN ('organization_token', 'class_code', 'join_url')"
    );

    /// One search of an index each.
    FIND_BY_LOOKUP_MACS = concat!(
        select!(
            "JOIN ",
            json_rows!("$1"),
            " ON lookup_mac = ",
            from_hex!("input.value->>'mac'")
        ),
        " UNION ",
        select!(
            "JOIN ",
            json_rows!("$1"),
            " ON folded_mac = ",
            from_hex!("input.value->>'mac'"),
            " WHERE folded_lookup_mac = lookup_mac"
        )
    );

    /// Invitations that are not in use are not even read: otherwise refusing them would take longer than refusing a
    /// credential that never existed (R5).
    FIND_LIVING = concat!(
        "SELECT invitations.*, ",
        uses_of_person!("$2"),
        " > 0 AS has_use FROM (SELECT ",
        invitation_columns!(),
        ", CAST(input.value->>'form' AS BIGINT) AS form FROM invitations JOIN ",
        json_rows!("$1"),
        " ON lookup_mac = ",
        from_hex!("input.value->>'mac'"),
        " WHERE enabled AND revoke_time IS NULL AND delete_time IS NULL UNION ALL SELECT ",
        invitation_columns!(),
        ", CAST(folded.form AS BIGINT) AS form FROM invitations \
         JOIN (SELECT input.value->>'form' AS form, input.value->>'folded_mac' AS mac FROM ",
        json_rows!("$1"),
        ") AS folded ON folded_mac = ",
        from_hex!("folded.mac"),
        " WHERE folded_lookup_mac = lookup_mac AND enabled AND revoke_time IS NULL \
         AND delete_time IS NULL AND NOT EXISTS (SELECT 1 FROM ",
        json_rows!("$1"),
        " JOIN invitations AS exact ON exact.lookup_mac = ",
        from_hex!("input.value->>'mac'"),
        " WHERE input.value->>'form' = folded.form)) AS invitations"
    );

    LIST_UNFOLDED = select!(
        "WHERE kind = 'enrollment_code' AND lookup_mac IS NOT NULL \
         AND folded_lookup_mac IS DISTINCT FROM lookup_mac AND ($1 = '' OR organization_id = $1) \
         AND invitation_id > $2 ORDER BY invitation_id LIMIT $3"
    );

    /// By the range of one index, as the list of redemptions.
    LIST = select!(
        "WHERE organization_id = $1 AND class_id = $2 AND kind >= $3 AND (kind, invitation_id) < ($3, $4) \
         AND delete_time IS NULL AND ($5 = '' OR assigned_email = $5) \
         AND ($6 = '' OR external_id = $6) AND (NOT $7 OR enabled = $8) \
         ORDER BY kind DESC, invitation_id DESC LIMIT $9"
    );

    LIST_PENDING_FENCES = select!("WHERE fence_epoch < epoch AND invitation_id > $1 ORDER BY invitation_id LIMIT $2");

    /// A secret that was stored anew under a newer key while the change was being decided is still the same secret
    /// within its epoch, and stays (a version of 0 destroys it): see [`crate::app::rotate_keys`].
    UPDATE = "UPDATE invitations SET epoch = $3, \
        uses_committed = CASE WHEN uses_since_epoch < $4 THEN 0 ELSE uses_committed END, \
        uses_reserved = CASE WHEN uses_since_epoch < $4 THEN 0 ELSE uses_reserved END, \
        uses_queued = CASE WHEN uses_since_epoch < $4 THEN 0 ELSE uses_queued END, \
        uses_since_epoch = $4, \
        lookup_mac = CASE WHEN key_version > $7 AND $7 > 0 AND epoch = $3 AND sealed IS NOT NULL \
        THEN lookup_mac ELSE $5 END, \
        folded_mac = $25, folded_lookup_mac = $26, \
        sealed = CASE WHEN key_version > $7 AND $7 > 0 AND epoch = $3 AND sealed IS NOT NULL \
        THEN sealed ELSE $6 END, \
        key_version = CASE WHEN key_version > $7 AND $7 > 0 AND epoch = $3 AND sealed IS NOT NULL \
        THEN key_version ELSE $7 END, enabled = $8, \
        revoke_time = $9, delete_time = $10, valid_from_time = $11, valid_till_time = $12, \
        max_uses = $13, assigned_email = $14, external_id = $15, display_name = $16, \
        email_domains = $17, allow_rejoin = $18, strength_bits = $19, lock_period = $20, \
        unlock_time = $21, manual_lock_time = $22, issue_time = $23, revision = $2, update_time = $24 \
        WHERE invitation_id = $1 AND revision = $2 - 1 \
        AND NOT EXISTS (SELECT 1 FROM invitations AS other \
        WHERE other.lookup_mac = $5 AND other.invitation_id <> $1)";

    DELETE_CODES_OF = "UPDATE invitations SET lookup_mac = NULL, folded_mac = NULL, folded_lookup_mac = NULL, \
        sealed = NULL, key_version = 0, delete_time = $3, revision = revision + 1, update_time = $3 \
        WHERE organization_id = $1 AND class_id = $2 AND kind = 'enrollment_code' AND delete_time IS NULL";

    CONFIRM_FENCE = "UPDATE invitations SET fence_epoch = $2 WHERE invitation_id = $1 AND fence_epoch < $2";
}

fn class_text(place: &Place) -> &str {
    place.class().map_or("", ClassId::as_str)
}

#[async_trait]
impl Invitations for SqlRepository {
    async fn insert_invitations(&mut self, rows: &[InvitationRow]) -> Result<Vec<bool>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let inserted: HashSet<String> = sqlx::query_scalar(INSERT)
            .bind(rows_json(rows.iter().map(to_json)))
            .fetch_all(self.connection())
            .await?
            .into_iter()
            .collect();
        Ok(rows
            .iter()
            .map(|row| inserted.contains(&row.invitation.id.to_string()))
            .collect())
    }

    async fn get_invitation(&mut self, id: Uuid) -> Result<Option<InvitationRow>> {
        Ok(self.get_invitations(&[id]).await?.pop())
    }

    async fn get_invitations(&mut self, ids: &[Uuid]) -> Result<Vec<InvitationRow>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(GET)
            .bind(ids_json(ids))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn find_singleton(
        &mut self,
        place: &Place,
        kind: InvitationKind,
    ) -> Result<Option<InvitationRow>> {
        let row = sqlx::query(FIND_SINGLETON)
            .bind(place.organization().as_str())
            .bind(class_text(place))
            .bind(kind.tag())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(read).transpose()
    }

    async fn find_all_by_lookup_macs(&mut self, macs: &[[u8; 32]]) -> Result<Vec<InvitationRow>> {
        if macs.is_empty() {
            return Ok(Vec::new());
        }
        let macs = macs.iter().map(|mac| json!({"mac": hex(mac)}));
        let rows = sqlx::query(FIND_BY_LOOKUP_MACS)
            .bind(rows_json(macs))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn find_living(
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
                json!({"form": form, "mac": hex(mac), "folded_mac": folded.map(|mac| hex(mac))})
            })
        });
        let rows = sqlx::query(FIND_LIVING)
            .bind(rows_json(macs))
            .bind(user.map_or("", UserId::as_str))
            .fetch_all(self.connection())
            .await?;
        rows.iter()
            .map(|row| {
                let form: i64 = row.try_get("form")?;
                let form = usize::try_from(form).map_err(|_| corrupt("a form is negative"))?;
                Ok((form, read(row)?, row.try_get("has_use")?))
            })
            .collect()
    }

    async fn list_unfolded(
        &mut self,
        organization: Option<&OrganizationId>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>> {
        let rows = sqlx::query(LIST_UNFOLDED)
            .bind(organization.map_or("", OrganizationId::as_str))
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn list_invitations(
        &mut self,
        place: &Place,
        kind: InvitationKind,
        filter: &InvitationFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>> {
        let rows = sqlx::query(LIST)
            .bind(place.organization().as_str())
            .bind(class_text(place))
            .bind(kind.tag())
            .bind(before_text(before))
            .bind(filter.assigned_email.as_deref().unwrap_or(""))
            .bind(filter.external_id.as_deref().unwrap_or(""))
            .bind(filter.enabled.is_some())
            .bind(filter.enabled.unwrap_or(false))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn update_invitation(&mut self, row: &InvitationRow) -> Result<bool> {
        let columns = Columns::of(row);
        let invitation = &row.invitation;
        let done = sqlx::query(UPDATE)
            .bind(invitation.id.to_string())
            .bind(row.revision)
            .bind(invitation.epoch.value())
            .bind(row.uses_since_epoch.value())
            .bind(columns.lookup_mac)
            .bind(columns.sealed)
            .bind(columns.key_version)
            .bind(row.enabled)
            .bind(row.revoke_time.map(micros))
            .bind(row.delete_time.map(micros))
            .bind(invitation.valid_from.map(micros))
            .bind(invitation.valid_till.map(micros))
            .bind(invitation.max_uses.map(i64::from))
            .bind(columns.assigned_email)
            .bind(columns.external_id)
            .bind(row.display_name.as_str())
            .bind(domain_rules_text(&invitation.email_domains))
            .bind(invitation.allow_rejoin)
            .bind(i64::from(row.strength_bits))
            .bind(columns.lock_period)
            .bind(columns.unlock_time)
            .bind(columns.manual_lock_time)
            .bind(micros(invitation.issue_time))
            .bind(micros(row.update_time))
            .bind(columns.folded_mac)
            .bind(columns.folded_lookup_mac)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn list_pending_fences(
        &mut self,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>> {
        let rows = sqlx::query(LIST_PENDING_FENCES)
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn delete_codes_of(&mut self, class: &ClassName, now: DateTime<Utc>) -> Result<()> {
        sqlx::query(DELETE_CODES_OF)
            .bind(class.organization.as_str())
            .bind(class.class.as_str())
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn confirm_fence(&mut self, id: Uuid, epoch: Epoch) -> Result<()> {
        sqlx::query(CONFIRM_FENCE)
            .bind(id.to_string())
            .bind(epoch.value())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
