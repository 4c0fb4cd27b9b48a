//! Whom staff removed.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::Place};
use homeroom_kit::clock::{from_micros, micros};

use super::{
    SqlRepository,
    rows::{class_text, get},
};
use crate::{
    domain::removal::Removals,
    store::{RemovalRows, Result},
};

const RECORD: &str = "INSERT INTO removals (organization_id, class_id, user_id, remove_time) \
    VALUES ($1, $2, $3, $4) \
    ON CONFLICT (organization_id, class_id, user_id) DO UPDATE SET remove_time = excluded.remove_time";
const LIFT: &str = "DELETE FROM removals \
    WHERE organization_id = $1 AND class_id IN ('', $2) AND user_id = $3";
const OF_USER: &str = "SELECT class_id, remove_time FROM removals \
    WHERE organization_id = $1 AND class_id IN ('', $2) AND user_id = $3";
const FORGET_CLASS: &str = "DELETE FROM removals WHERE organization_id = $1 AND class_id = $2";
const FORGET_ORGANIZATION: &str = "DELETE FROM removals WHERE organization_id = $1";

/// For the test that prepares them.
pub(super) const STATEMENTS: &[&str] = &[RECORD, LIFT, OF_USER, FORGET_CLASS, FORGET_ORGANIZATION];

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

    async fn lift_removals(&mut self, place: &Place, user: &UserId) -> Result<()> {
        sqlx::query(LIFT)
            .bind(place.organization().as_str())
            .bind(class_text(place))
            .bind(user.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn removals(&mut self, place: &Place, user: &UserId) -> Result<Removals> {
        let rows = sqlx::query(OF_USER)
            .bind(place.organization().as_str())
            .bind(class_text(place))
            .bind(user.as_str())
            .fetch_all(self.connection())
            .await?;
        let mut removals = Removals::default();
        for row in &rows {
            let time = Some(from_micros(get(row, "remove_time")?));
            if get::<&str>(row, "class_id")?.is_empty() {
                removals.from_organization = time;
            } else {
                removals.from_class = time;
            }
        }
        Ok(removals)
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
