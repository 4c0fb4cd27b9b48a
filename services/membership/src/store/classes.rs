//! The table of classes. A deleted class is absent, but its id stays taken.

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{ClassId, OrganizationId, UserId},
    names::ClassName,
};
use homeroom_kit::{
    args,
    store::{Table, columns, json_rows},
};
use serde::Deserialize;

use super::{InsertOutcome, Repository, Result};
use crate::domain::class::{Class, ClassFilter, ClassState};

const CLASSES: Table = Table {
    texts: &[
        "organization_id",
        "class_id",
        "display_name",
        "owner_user_id",
        "state",
        "labels",
        "external_id",
    ],
    numbers: &["revision", "create_time", "update_time"],
    ..Table::new("classes")
};

homeroom_kit::statements! {
    INSERT(on) = CLASSES.insert(on, "$1") + " WHERE true ON CONFLICT DO NOTHING";
    ONE = format!(
        "SELECT {} FROM classes WHERE organization_id = $1 AND class_id = $2 AND delete_time IS NULL",
        CLASSES.of("classes")
    );
    LIST = format!(
        "SELECT {} FROM classes WHERE organization_id = $1 AND class_id > $2 AND delete_time IS NULL \
         AND ($4 = '' OR state = $4) AND ($5 = '' OR owner_user_id = $5) AND ($6 = '' OR external_id = $6) \
         ORDER BY class_id LIMIT $3",
        CLASSES.of("classes")
    );
    LIST_OF_MEMBER = format!(
        "SELECT {} FROM class_members m \
         JOIN classes c ON c.organization_id = m.organization_id AND c.class_id = m.class_id \
         WHERE m.organization_id = $1 AND m.user_id = $7 AND m.class_id > $2 AND c.delete_time IS NULL \
         AND ($4 = '' OR c.state = $4) AND ($5 = '' OR c.owner_user_id = $5) AND ($6 = '' OR c.external_id = $6) \
         ORDER BY m.class_id LIMIT $3",
        CLASSES.of("c")
    );
    SAVE(on) = format!(
        "UPDATE classes SET {} FROM {} WHERE classes.organization_id = input.value->>'organization_id' \
         AND classes.class_id = input.value->>'class_id'",
        CLASSES.but(&["organization_id", "class_id", "create_time"]).assign(on),
        on.rows("$1", "input")
    );
    DELETE = "UPDATE classes SET delete_time = $3 \
        WHERE organization_id = $1 AND class_id = $2 AND delete_time IS NULL";
    DELETE_ALL = "UPDATE classes SET delete_time = $2 WHERE organization_id = $1 AND delete_time IS NULL";
    EXISTS = "SELECT EXISTS (SELECT 1 FROM classes WHERE organization_id = $1 AND delete_time IS NULL)";
    OWNED = "SELECT organization_id, class_id FROM classes \
        WHERE owner_user_id = $1 AND delete_time IS NULL ORDER BY organization_id, class_id LIMIT $2";
    OWNED_IN = "SELECT organization_id, class_id FROM classes \
        WHERE organization_id = $3 AND owner_user_id = $1 AND delete_time IS NULL ORDER BY class_id LIMIT $2";
}

#[derive(Deserialize)]
struct NameRow {
    #[serde(flatten, with = "columns::place")]
    name: ClassName,
}

impl Repository {
    /// Inserts a class; the caller adds its owner's membership.
    pub async fn insert_class(&mut self, class: &Class) -> Result<InsertOutcome> {
        let inserted = self.0.run(&INSERT, args![json_rows([class])]).await?;
        Ok(match inserted {
            1 => InsertOutcome::Inserted,
            _ => InsertOutcome::IdTaken,
        })
    }

    /// Returns one class.
    pub async fn class(&mut self, name: &ClassName) -> Result<Option<Class>> {
        let bound = args![&name.organization, &name.class];
        self.0.first(&ONE, bound).await
    }

    /// Lists classes of an organization, or those of which `member` is a member, in the order of their ids, after
    /// `after`.
    pub async fn list_classes(
        &mut self,
        organization: &OrganizationId,
        member: Option<&UserId>,
        filter: &ClassFilter,
        after: Option<&ClassId>,
        limit: u32,
    ) -> Result<Vec<Class>> {
        let state = filter.state.map(ClassState::as_str);
        let mut bound = args![
            organization,
            after,
            limit,
            state,
            filter.owner.as_ref(),
            filter.external_id.as_deref(),
        ];
        bound.extend(member.map(Into::into));
        let list = match member {
            Some(_) => &LIST_OF_MEMBER,
            None => &LIST,
        };
        self.0.all(list, bound).await
    }

    /// Stores all fields that can change.
    pub async fn save_class(&mut self, class: &Class) -> Result<()> {
        self.0.run(&SAVE, args![json_rows([class])]).await?;
        Ok(())
    }

    /// Deletes a class permanently. The caller must end its memberships first.
    pub async fn delete_class(&mut self, name: &ClassName, now: DateTime<Utc>) -> Result<()> {
        let bound = args![&name.organization, &name.class, now];
        self.0.run(&DELETE, bound).await?;
        Ok(())
    }

    /// Deletes every class of an organization permanently.
    pub async fn delete_classes(
        &mut self,
        organization: &OrganizationId,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.0.run(&DELETE_ALL, args![organization, now]).await?;
        Ok(())
    }

    /// Returns true if the organization has a class.
    pub async fn has_classes(&mut self, organization: &OrganizationId) -> Result<bool> {
        self.0.flag(&EXISTS, args![organization]).await
    }

    /// Returns up to `limit` classes that the user owns in this organization, or in any if None, in the order of their
    /// names.
    pub async fn classes_owned_by(
        &mut self,
        user: &UserId,
        organization: Option<&OrganizationId>,
        limit: u32,
    ) -> Result<Vec<ClassName>> {
        let mut bound = args![user, limit];
        bound.extend(organization.map(Into::into));
        let owned = match organization {
            Some(_) => &OWNED_IN,
            None => &OWNED,
        };
        let rows: Vec<NameRow> = self.0.all(owned, bound).await?;
        Ok(rows.into_iter().map(|row| row.name).collect())
    }
}
