//! Whom staff removed.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::Place};
use homeroom_kit::clock::micros;

use super::{SqlRepository, rows::class_text};
use crate::store::{RemovalRows, Result};

const RECORD: &str = "INSERT INTO removals (organization_id, class_id, user_id, remove_time) \
    VALUES ($1, $2, $3, $4) \
    ON CONFLICT (organization_id, class_id, user_id) DO UPDATE SET remove_time = excluded.remove_time";
const FORGET_CLASS: &str = "DELETE FROM removals WHERE organization_id = $1 AND class_id = $2";
const FORGET_ORGANIZATION: &str = "DELETE FROM removals WHERE organization_id = $1";

/// For the test that prepares them.
pub(super) const STATEMENTS: &[&str] = &[RECORD, FORGET_CLASS, FORGET_ORGANIZATION];

#[async_trait]
impl RemovalRows for SqlRepository {
    async fn record_removal(
        &mut self,
        place: &Place,
        user: &UserId,
        time: DateTime<Utc>,
    ) -> Result<()> {
        sqlx::query(RECORD)
            .bind(place.organization().as_str())
            .bind(class_text(place))
            .bind(user.as_str())
            .bind(micros(time))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn forget_removals(&mut self, place: &Place) -> Result<()> {
        let organization = place.organization().as_str();
        let statement = match place.class() {
            Some(class) => sqlx::query(FORGET_CLASS)
                .bind(organization)
                .bind(class.as_str()),
            None => sqlx::query(FORGET_ORGANIZATION).bind(organization),
        };
        statement.execute(self.connection()).await?;
        Ok(())
    }
}
