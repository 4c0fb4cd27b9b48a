//! Classes.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{ClassId, OrganizationId, UserId},
    names::ClassName,
};
use homeroom_kit::clock::{from_micros, micros};

use super::{
    SqlRepository,
    rows::{self, Row, get},
};
use crate::{
    domain::class::{Class, ClassState},
    store::{ClassQuery, Classes, InsertOutcome, Result},
};

homeroom_kit::statements! {
    INSERT = "INSERT INTO classes (organization_id, class_id, display_name, owner_user_id, \
        state, labels, revision, create_time, update_time) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    ONE = "SELECT organization_id, class_id, display_name, owner_user_id, state, labels, \
        revision, create_time, update_time FROM classes \
        WHERE organization_id = $1 AND class_id = $2 AND delete_time IS NULL";
    LIST = "SELECT organization_id, class_id, display_name, owner_user_id, state, labels, \
        revision, create_time, update_time FROM classes \
        WHERE organization_id = $1 AND class_id > $2 AND delete_time IS NULL \
        AND ($4 = '' OR state = $4) AND ($5 = '' OR owner_user_id = $5) \
        ORDER BY class_id LIMIT $3";
    LIST_OF_MEMBER = "SELECT c.organization_id, c.class_id, c.display_name, c.owner_user_id, \
        c.state, c.labels, c.revision, c.create_time, c.update_time FROM class_members m \
        JOIN classes c ON c.organization_id = m.organization_id AND c.class_id = m.class_id \
        WHERE m.organization_id = $1 AND m.user_id = $6 AND m.class_id > $2 AND c.delete_time IS NULL \
        AND ($4 = '' OR c.state = $4) AND ($5 = '' OR c.owner_user_id = $5) \
        ORDER BY m.class_id LIMIT $3";
    SAVE = "UPDATE classes SET display_name = $3, owner_user_id = $4, state = $5, labels = $6, \
        revision = $7, update_time = $8 WHERE organization_id = $1 AND class_id = $2";
    DELETE = "UPDATE classes SET delete_time = $3 \
        WHERE organization_id = $1 AND class_id = $2 AND delete_time IS NULL";
    DELETE_ALL = "UPDATE classes SET delete_time = $2 WHERE organization_id = $1 AND delete_time IS NULL";
    EXISTS = "SELECT EXISTS (SELECT 1 FROM classes WHERE organization_id = $1 AND delete_time IS NULL)";
    OWNED = "SELECT organization_id, class_id FROM classes \
        WHERE owner_user_id = $1 AND delete_time IS NULL ORDER BY organization_id, class_id LIMIT $2";
    OWNED_IN = "SELECT organization_id, class_id FROM classes \
        WHERE organization_id = $3 AND owner_user_id = $1 AND delete_time IS NULL ORDER BY class_id LIMIT $2";
}

fn read(row: &Row) -> Result<Class> {
    Ok(Class {
        name: rows::class_name(row)?,
        display_name: get(row, "display_name")?,
        owner: rows::user_id(row, "owner_user_id")?,
        state: rows::parse(row, "state", ClassState::parse)?,
        labels: rows::labels(row)?,
        revision: get(row, "revision")?,
        create_time: from_micros(get(row, "create_time")?),
        update_time: from_micros(get(row, "update_time")?),
    })
}

#[async_trait]
impl Classes for SqlRepository {
    async fn insert_class(&mut self, class: &Class) -> Result<InsertOutcome> {
        let inserted = sqlx::query(INSERT)
            .bind(class.name.organization.as_str())
            .bind(class.name.class.as_str())
            .bind(class.display_name.as_str())
            .bind(class.owner.as_str())
            .bind(class.state.as_str())
            .bind(rows::labels_text(&class.labels))
            .bind(class.revision)
            .bind(micros(class.create_time))
            .bind(micros(class.update_time))
            .execute(self.connection())
            .await?
            .rows_affected();
        Ok(if inserted == 1 {
            InsertOutcome::Inserted
        } else {
            InsertOutcome::IdTaken
        })
    }

    async fn class(&mut self, name: &ClassName) -> Result<Option<Class>> {
        let row = sqlx::query(ONE)
            .bind(name.organization.as_str())
            .bind(name.class.as_str())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(read).transpose()
    }

    async fn list_classes(&mut self, query: &ClassQuery) -> Result<Vec<Class>> {
        let text = if query.member.is_some() {
            LIST_OF_MEMBER
        } else {
            LIST
        };
        let mut statement = sqlx::query(text)
            .bind(query.organization.as_str())
            .bind(query.after.as_ref().map_or("", ClassId::as_str))
            .bind(i64::from(query.limit))
            .bind(query.state.map_or("", ClassState::as_str))
            .bind(query.owner.as_ref().map_or("", UserId::as_str));
        if let Some(member) = &query.member {
            statement = statement.bind(member.as_str());
        }
        let rows = statement.fetch_all(self.connection()).await?;
        rows.iter().map(read).collect()
    }

    async fn save_class(&mut self, class: &Class) -> Result<()> {
        sqlx::query(SAVE)
            .bind(class.name.organization.as_str())
            .bind(class.name.class.as_str())
            .bind(class.display_name.as_str())
            .bind(class.owner.as_str())
            .bind(class.state.as_str())
            .bind(rows::labels_text(&class.labels))
            .bind(class.revision)
            .bind(micros(class.update_time))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn delete_class(&mut self, name: &ClassName, now: DateTime<Utc>) -> Result<()> {
        sqlx::query(DELETE)
            .bind(name.organization.as_str())
            .bind(name.class.as_str())
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn delete_classes(
        &mut self,
        organization: &OrganizationId,
        now: DateTime<Utc>,
    ) -> Result<()> {
        sqlx::query(DELETE_ALL)
            .bind(organization.as_str())
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn has_classes(&mut self, organization: &OrganizationId) -> Result<bool> {
        Ok(sqlx::query_scalar(EXISTS)
            .bind(organization.as_str())
            .fetch_one(self.connection())
            .await?)
    }

    async fn classes_owned_by(
        &mut self,
        user: &UserId,
        organization: Option<&OrganizationId>,
        limit: u32,
    ) -> Result<Vec<ClassName>> {
        let text = if organization.is_some() {
            OWNED_IN
        } else {
            OWNED
        };
        let mut statement = sqlx::query(text).bind(user.as_str()).bind(i64::from(limit));
        if let Some(organization) = organization {
            statement = statement.bind(organization.as_str());
        }
        let rows = statement.fetch_all(self.connection()).await?;
        rows.iter().map(rows::class_name).collect()
    }
}
