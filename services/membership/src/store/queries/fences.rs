//! Fences.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_kit::clock::micros;

use super::SqlRepository;
use crate::store::{Fences, Result};

const READ: &str = concat!(
    "SELECT invitation, epoch FROM fences WHERE invitation IN (SELECT wanted.value->>'i' FROM ",
    json_rows!(),
    " AS wanted)"
);

/// In the order of names, as every transaction takes them.
const MAKE_MISSING: &str = concat!(
    "INSERT INTO fences (invitation, epoch, update_time) \
     SELECT wanted.value->>'i', 0, $2 FROM ",
    json_rows!(),
    " AS wanted WHERE NOT EXISTS (SELECT 1 FROM fences WHERE invitation = wanted.value->>'i') \
     ORDER BY 1 ON CONFLICT (invitation) DO NOTHING"
);

const SHARE: &str = concat!(
    "SELECT invitation FROM fences WHERE invitation IN (SELECT wanted.value->>'i' FROM ",
    json_rows!(),
    " AS wanted) ORDER BY invitation",
    for_share!()
);

/// Waits for whoever shares the row, and judges by what they left.
const RAISE: &str = "INSERT INTO fences (invitation, epoch, update_time) VALUES ($1, $2, $3) \
     ON CONFLICT (invitation) DO UPDATE SET \
     epoch = CASE WHEN excluded.epoch > fences.epoch THEN excluded.epoch ELSE fences.epoch END, \
     update_time = excluded.update_time \
     RETURNING epoch";

/// For the test that prepares them.
pub(super) const STATEMENTS: &[&str] = &[READ, MAKE_MISSING, SHARE, RAISE];

fn wanted(invitations: &BTreeSet<String>) -> String {
    let rows: Vec<_> = invitations
        .iter()
        .map(|invitation| serde_json::json!({ "i": invitation }))
        .collect();
    serde_json::Value::Array(rows).to_string()
}

#[async_trait]
impl Fences for SqlRepository {
    async fn fences(&mut self, invitations: &BTreeSet<String>) -> Result<BTreeMap<String, i64>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(READ)
            .bind(wanted(invitations))
            .fetch_all(self.connection())
            .await?;
        Ok(rows.into_iter().collect())
    }

    async fn share_fences(
        &mut self,
        invitations: &BTreeSet<String>,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<String, i64>> {
        let wanted = wanted(invitations);
        sqlx::query(MAKE_MISSING)
            .bind(wanted.as_str())
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        sqlx::query(SHARE)
            .bind(wanted.as_str())
            .execute(self.connection())
            .await?;
        // Read in a later statement, when the locks are held.
        self.fences(invitations).await
    }

    async fn raise_fence(
        &mut self,
        invitation: &str,
        epoch: i64,
        now: DateTime<Utc>,
    ) -> Result<i64> {
        Ok(sqlx::query_scalar(RAISE)
            .bind(invitation)
            .bind(epoch)
            .bind(micros(now))
            .fetch_one(self.connection())
            .await?)
    }
}
