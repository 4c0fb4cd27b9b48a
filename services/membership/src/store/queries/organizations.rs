//! Organizations and their seats.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::{
    clock::{from_micros, micros},
    folded,
};

use super::{
    super::LOCK_ORGANIZATION,
    SqlRepository,
    rows::{self, Row, get},
};
use crate::{
    domain::{
        organization::{CODE_PREFIX_CHARS_MIN, CodePrefix, Organization},
        seat::Seats,
    },
    store::{InsertOutcome, OrganizationQuery, Organizations, Result, SeatRows},
};

homeroom_kit::statements! {
    INSERT = "INSERT INTO organizations \
        (organization_id, display_name, code_prefix, labels, revision, create_time, update_time) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    /// Selects if a prefix begins with another one or the other way round, as they read (B4): then two codes could be
    /// equal. All such prefixes share their first letters, from `$2` to `$3`, so the index on prefixes finds them.
    PREFIX_OVERLAPS = concat!(
        "SELECT EXISTS (SELECT 1 FROM organizations WHERE ",
        folded!("code_prefix"),
        " >= ",
        folded!("$2"),
        " AND ",
        folded!("code_prefix"),
        " < ",
        folded!("$3"),
        " AND (substr(",
        folded!("code_prefix"),
        ", 1, length($1)) = ",
        folded!("$1"),
        " OR substr(",
        folded!("$1"),
        ", 1, length(code_prefix)) = ",
        folded!("code_prefix"),
        "))"
    );
    INSERT_SEATS = "INSERT INTO organization_seats \
        (organization_id, seat_limit, seats_used, requests_waiting) VALUES ($1, $2, 0, 0)";
    ID_EXISTS = "SELECT EXISTS (SELECT 1 FROM organizations WHERE organization_id = $1)";
    ONE = "SELECT o.organization_id, o.display_name, o.code_prefix, s.seat_limit, o.labels, \
        o.revision, o.create_time, o.update_time FROM organizations o \
        JOIN organization_seats s ON s.organization_id = o.organization_id \
        WHERE o.organization_id = $1 AND o.delete_time IS NULL";
    LIST = "SELECT o.organization_id, o.display_name, o.code_prefix, s.seat_limit, o.labels, \
        o.revision, o.create_time, o.update_time FROM organizations o \
        JOIN organization_seats s ON s.organization_id = o.organization_id \
        WHERE o.organization_id > $1 AND o.delete_time IS NULL ORDER BY o.organization_id LIMIT $2";
    LIST_OF_MEMBER = "SELECT o.organization_id, o.display_name, o.code_prefix, s.seat_limit, \
        o.labels, o.revision, o.create_time, o.update_time FROM organization_members m \
        JOIN organizations o ON o.organization_id = m.organization_id \
        JOIN organization_seats s ON s.organization_id = o.organization_id \
        WHERE m.user_id = $3 AND m.organization_id > $1 AND o.delete_time IS NULL \
        ORDER BY m.organization_id LIMIT $2";
    SAVE = "UPDATE organizations SET display_name = $2, labels = $3, revision = $4, \
        update_time = $5 WHERE organization_id = $1";
    SAVE_LIMIT = "UPDATE organization_seats SET seat_limit = $2 WHERE organization_id = $1";
    DELETE = "UPDATE organizations SET delete_time = $2 \
        WHERE organization_id = $1 AND delete_time IS NULL";
    SEATS = "SELECT seat_limit, seats_used, requests_waiting FROM organization_seats \
        WHERE organization_id = $1";
    SAVE_SEATS = "UPDATE organization_seats SET seats_used = $2, requests_waiting = $3 \
        WHERE organization_id = $1";
}

fn read(row: &Row) -> Result<Organization> {
    Ok(Organization {
        id: rows::organization_id(row)?,
        display_name: get(row, "display_name")?,
        code_prefix: rows::parse(row, "code_prefix", |text| CodePrefix::parse(text).ok())?,
        seat_limit: get(row, "seat_limit")?,
        labels: rows::labels(row)?,
        revision: get(row, "revision")?,
        create_time: from_micros(get(row, "create_time")?),
        update_time: from_micros(get(row, "update_time")?),
    })
}

#[async_trait]
impl Organizations for SqlRepository {
    async fn insert_organization(&mut self, organization: &Organization) -> Result<InsertOutcome> {
        sqlx::query(super::super::LOCK_CODE_PREFIXES)
            .execute(self.connection())
            .await?;
        let prefix = organization.code_prefix.as_str();
        let first_letters: String = prefix.chars().take(CODE_PREFIX_CHARS_MIN).collect();
        let overlaps: bool = sqlx::query_scalar(PREFIX_OVERLAPS)
            .bind(prefix)
            .bind(&first_letters)
            .bind(format!("{first_letters}~"))
            .fetch_one(self.connection())
            .await?;
        let id_exists: bool = sqlx::query_scalar(ID_EXISTS)
            .bind(organization.id.as_str())
            .fetch_one(self.connection())
            .await?;
        if overlaps && !id_exists {
            return Ok(InsertOutcome::PrefixTaken);
        }
        let inserted = sqlx::query(INSERT)
            .bind(organization.id.as_str())
            .bind(organization.display_name.as_str())
            .bind(organization.code_prefix.as_str())
            .bind(rows::labels_text(&organization.labels))
            .bind(organization.revision)
            .bind(micros(organization.create_time))
            .bind(micros(organization.update_time))
            .execute(self.connection())
            .await?
            .rows_affected();
        if inserted == 1 {
            sqlx::query(INSERT_SEATS)
                .bind(organization.id.as_str())
                .bind(organization.seat_limit)
                .execute(self.connection())
                .await?;
            return Ok(InsertOutcome::Inserted);
        }
        // Prefixes are chosen one at a time, so only the id can have been taken meanwhile.
        Ok(InsertOutcome::IdTaken)
    }

    async fn organization(&mut self, id: &OrganizationId) -> Result<Option<Organization>> {
        let row = sqlx::query(ONE)
            .bind(id.as_str())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(read).transpose()
    }

    async fn list_organizations(&mut self, query: &OrganizationQuery) -> Result<Vec<Organization>> {
        let text = if query.member.is_some() {
            LIST_OF_MEMBER
        } else {
            LIST
        };
        let mut statement = sqlx::query(text)
            .bind(query.after.as_ref().map_or("", OrganizationId::as_str))
            .bind(i64::from(query.limit));
        if let Some(member) = &query.member {
            statement = statement.bind(UserId::as_str(member));
        }
        let rows = statement.fetch_all(self.connection()).await?;
        rows.iter().map(read).collect()
    }

    async fn save_organization(&mut self, organization: &Organization) -> Result<()> {
        sqlx::query(SAVE)
            .bind(organization.id.as_str())
            .bind(organization.display_name.as_str())
            .bind(rows::labels_text(&organization.labels))
            .bind(organization.revision)
            .bind(micros(organization.update_time))
            .execute(self.connection())
            .await?;
        sqlx::query(SAVE_LIMIT)
            .bind(organization.id.as_str())
            .bind(organization.seat_limit)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn delete_organization(&mut self, id: &OrganizationId, now: DateTime<Utc>) -> Result<()> {
        sqlx::query(DELETE)
            .bind(id.as_str())
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

#[async_trait]
impl SeatRows for SqlRepository {
    async fn lock_organization(&mut self, id: &OrganizationId) -> Result<Option<Seats>> {
        let locked = sqlx::query(LOCK_ORGANIZATION)
            .bind(id.as_str())
            .fetch_optional(self.connection())
            .await?;
        if locked.is_none() {
            return Ok(None);
        }
        self.seats(id).await
    }

    async fn seats(&mut self, id: &OrganizationId) -> Result<Option<Seats>> {
        let row = sqlx::query(SEATS)
            .bind(id.as_str())
            .fetch_optional(self.connection())
            .await?;
        row.map(|row| {
            Ok(Seats {
                limit: get(&row, "seat_limit")?,
                used: get(&row, "seats_used")?,
                waiting: get(&row, "requests_waiting")?,
            })
        })
        .transpose()
    }

    async fn save_seats(&mut self, id: &OrganizationId, seats: &Seats) -> Result<()> {
        sqlx::query(SAVE_SEATS)
            .bind(id.as_str())
            .bind(seats.used)
            .bind(seats.waiting)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
