//! Statements on `key_checks` and on the key versions in `invitations`, for both engines.

use async_trait::async_trait;
use homeroom_kit::clock::{from_micros, micros};
use serde_json::json;
use uuid::Uuid;

use super::{
    SqlRepository, corrupt, hex,
    invitation_row::read,
    invitations::{invitation_columns, select_invitations as select},
    redemption_row::uuid,
    rows_json,
};
use crate::store::{InvitationRow, KeyCheck, KeyVersions, Result, RotatedSecret, RowLock};

homeroom_kit::statements! {
    LIST_CHECKS = "SELECT key_version, check_mac, create_time FROM key_checks ORDER BY key_version";

    NOTE_CHECK = "INSERT INTO key_checks (key_version, check_mac, create_time) \
        VALUES ($1, $2, $3) ON CONFLICT (key_version) DO NOTHING";

    /// Finds the next version after a given one. It runs once for each version, so that no rows are counted.
    NEXT_VERSION = "SELECT key_version FROM invitations \
        WHERE sealed IS NOT NULL AND key_version > $1 ORDER BY key_version LIMIT 1";

    COUNT = "SELECT COUNT(*) FROM invitations WHERE sealed IS NOT NULL AND key_version = $1";

    LIST = select!(
        "WHERE sealed IS NOT NULL AND key_version = $1 AND invitation_id > $2 \
         ORDER BY invitation_id LIMIT $3"
    );

    LIST_SKIPPING = select!(
        "WHERE sealed IS NOT NULL AND key_version = $1 AND invitation_id > $2 \
         ORDER BY invitation_id LIMIT $3",
        skip_locked!()
    );

    ROTATE = concat!(
        "UPDATE invitations SET lookup_mac = ",
        from_hex!("input.value->>'lookup_mac'"),
        ", folded_mac = ",
        from_hex!("input.value->>'folded_mac'"),
        ", folded_lookup_mac = ",
        from_hex!("input.value->>'folded_lookup_mac'"),
        ", sealed = ",
        from_hex!("input.value->>'sealed'"),
        ", key_version = CAST(input.value->>'key_version' AS BIGINT) FROM ",
        json_rows!("$1"),
        " WHERE invitations.invitation_id = input.value->>'invitation_id' AND invitations.sealed = ",
        from_hex!("input.value->>'sealed_before'"),
        " AND NOT EXISTS (SELECT 1 FROM invitations AS other WHERE other.lookup_mac = ",
        from_hex!("input.value->>'lookup_mac'"),
        " AND other.invitation_id <> invitations.invitation_id) RETURNING invitation_id"
    );
}

/// A value below every version.
const BEFORE_EVERY_VERSION: i64 = -1;

fn version(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| corrupt("a key version is out of range"))
}

#[async_trait]
impl KeyVersions for SqlRepository {
    async fn list_key_checks(&mut self) -> Result<Vec<KeyCheck>> {
        let rows: Vec<(i64, Vec<u8>, i64)> = sqlx::query_as(LIST_CHECKS)
            .fetch_all(self.connection())
            .await?;
        rows.into_iter()
            .map(|(key_version, check_mac, create_time)| {
                Ok(KeyCheck {
                    key_version: version(key_version)?,
                    check_mac,
                    create_time: from_micros(create_time),
                })
            })
            .collect()
    }

    async fn note_key_check(&mut self, check: &KeyCheck) -> Result<()> {
        sqlx::query(NOTE_CHECK)
            .bind(i64::from(check.key_version))
            .bind(check.check_mac.as_slice())
            .bind(micros(check.create_time))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn list_key_versions(&mut self) -> Result<Vec<u32>> {
        let mut versions = Vec::new();
        let mut last = BEFORE_EVERY_VERSION;
        loop {
            let next: Option<i64> = sqlx::query_scalar(NEXT_VERSION)
                .bind(last)
                .fetch_optional(self.connection())
                .await?;
            let Some(next) = next else {
                return Ok(versions);
            };
            versions.push(version(next)?);
            last = next;
        }
    }

    async fn count_of_key_version(&mut self, key_version: u32) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(COUNT)
            .bind(i64::from(key_version))
            .fetch_one(self.connection())
            .await?;
        u64::try_from(count).map_err(|_| corrupt("a count is negative"))
    }

    async fn list_of_key_version(
        &mut self,
        key_version: u32,
        after: Option<Uuid>,
        limit: u32,
        lock: RowLock,
    ) -> Result<Vec<InvitationRow>> {
        let statement = match lock {
            RowLock::None => LIST,
            RowLock::Skipping => LIST_SKIPPING,
        };
        let rows = sqlx::query(statement)
            .bind(i64::from(key_version))
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn rotate_secrets(&mut self, secrets: &[RotatedSecret]) -> Result<Vec<Uuid>> {
        if secrets.is_empty() {
            return Ok(Vec::new());
        }
        let rows = secrets.iter().map(|rotated| {
            let folded_mac = rotated.secret.folded_mac.as_deref().map(hex);
            let lookup_mac = hex(&rotated.secret.lookup_mac);
            json!({
                "invitation_id": rotated.invitation_id.to_string(),
                "sealed_before": hex(&rotated.sealed_before),
                "folded_lookup_mac": folded_mac.as_ref().map(|_| &lookup_mac),
                "folded_mac": folded_mac,
                "lookup_mac": lookup_mac,
                "sealed": hex(&rotated.secret.sealed),
                "key_version": rotated.secret.key_version,
            })
        });
        let written: Vec<String> = sqlx::query_scalar(ROTATE)
            .bind(rows_json(rows))
            .fetch_all(self.connection())
            .await?;
        written.iter().map(|id| uuid(id)).collect()
    }
}
