//! The people whom staff removed.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::Place};
use homeroom_kit::clock::micros;

use super::{SqlRepository, rows::class_text};
use crate::store::{RemovalRows, Result};

homeroom_kit::statements! {
    RECORD = "INSERT INTO removals (organization_id, class_id, user_id, remove_time) \
        VALUES ($1, $2, $3, $4) \
        ON CONFLICT (organization_id, class_id, user_id) DO UPDATE SET remove_time = excluded.remove_time";
    FORGET_CLASS = "DELETE FROM removals WHERE organization_id = $1 AND class_id = $2";
    FORGET_ORGANIZATION = "DELETE FROM removals WHERE organization_id = $1";
}

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
