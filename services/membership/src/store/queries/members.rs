//! Members of organizations and classes.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::Place,
};
use homeroom_kit::{clock::from_micros, outbox::NOTIFY_MAX};
use serde_json::Value;

use super::{
    SqlRepository,
    admission_rows::of_place,
    rows::{self, Fields, Row, get},
};
use crate::{
    domain::{
        access::{ClassStanding, Standing},
        class::ClassState,
        member::{Member, Method, Particulars, Provenance, Role, SetByHand},
    },
    store::{MemberQuery, Members, Result},
};

/// Memberships of organizations.
macro_rules! of_organization {
    () => {
        "SELECT organization_id, '' AS class_id, user_id, display_name, email, external_id, told_time, \
         set_by_hand, role, join_time, invitation, redemption, approved_by, method, revision \
         FROM organization_members WHERE "
    };
}
/// Memberships of classes, with the particulars that the organization keeps.
macro_rules! of_class {
    () => {
        "SELECT m.organization_id, m.class_id, m.user_id, p.display_name, p.email, p.external_id, \
         p.told_time, p.set_by_hand, m.role, m.join_time, m.invitation, m.redemption, m.approved_by, \
         m.method, m.revision + p.revision AS revision FROM class_members m \
         JOIN organization_members p ON p.organization_id = m.organization_id AND p.user_id = m.user_id \
         WHERE "
    };
}

homeroom_kit::statements! {
    /// A deleted class's members are deleted with it, so a class member's row means that the class
    /// exists.
    STANDING = "SELECT o.display_name AS organization_display_name, o.code_prefix, \
        s.seat_limit, c.display_name AS class_display_name, c.state AS class_state, \
        om.role AS organization_role, cm.role AS class_role \
        FROM organizations o \
        JOIN organization_seats s ON s.organization_id = o.organization_id \
        LEFT JOIN classes c ON c.organization_id = o.organization_id AND c.class_id = $2 \
            AND c.delete_time IS NULL \
        LEFT JOIN organization_members om ON om.organization_id = o.organization_id AND om.user_id = $3 \
        LEFT JOIN class_members cm ON cm.organization_id = o.organization_id AND cm.class_id = $2 \
            AND cm.user_id = $3 \
        WHERE o.organization_id = $1 AND o.delete_time IS NULL";
    ORGANIZATION_ONE = concat!(of_organization!(), "organization_id = $1 AND user_id = $2");
    CLASS_ONE = concat!(of_class!(), "m.organization_id = $1 AND m.user_id = $2 AND m.class_id = $3");
    CLASSES_OF_USER = concat!(of_class!(), "m.organization_id = $1 AND m.user_id = $2 ORDER BY m.class_id");
    CLASS_SAVE = "UPDATE class_members SET role = $4, revision = revision + 1 \
        WHERE organization_id = $1 AND user_id = $2 AND class_id = $3";
    ORGANIZATION_DELETE = "DELETE FROM organization_members WHERE organization_id = $1 AND user_id = $2";
    CLASS_DELETE = "DELETE FROM class_members WHERE organization_id = $1 AND user_id = $2 AND class_id = $3";
    ORGANIZATION_DELETE_ALL = "DELETE FROM organization_members WHERE organization_id = $1";
    CLASSES_DELETE_ALL = "DELETE FROM class_members WHERE organization_id = $1";
    CLASS_DELETE_ALL = "DELETE FROM class_members WHERE organization_id = $1 AND class_id = $2";
    ORGANIZATION_LIST = concat!(
        of_organization!(),
        "organization_id = $1 AND user_id > $2 \
         AND ($4 = '' OR role = $4) AND ($5 = '' OR email = $5) AND ($6 = '' OR external_id = $6) \
         ORDER BY user_id LIMIT $3"
    );
    CLASS_LIST = concat!(
        of_class!(),
        "m.organization_id = $1 AND m.class_id = $7 AND m.user_id > $2 \
         AND ($4 = '' OR m.role = $4) AND ($5 = '' OR p.email = $5) AND ($6 = '' OR p.external_id = $6) \
         ORDER BY m.user_id LIMIT $3"
    );
    MEMBERSHIPS = concat!(
        of_organization!(),
        "user_id = $1 AND (organization_id, '') > ($2, $3) UNION ALL ",
        of_class!(),
        "m.user_id = $1 AND (m.organization_id, m.class_id) > ($2, $3) \
         ORDER BY organization_id, class_id LIMIT $4"
    );
    /// Selects up to `$2` staff of each place, the owner before the co-teachers.
    STAFF = concat!(
        "SELECT organization_id, class_id, user_id FROM ( \
         SELECT m.organization_id, '' AS class_id, m.user_id, \
         row_number() OVER (PARTITION BY m.organization_id ORDER BY m.user_id) AS rank FROM ",
        json_rows!("$1"),
        " AS wanted JOIN organization_members m ON m.organization_id = wanted.value->>'o' \
         AND m.role = 'ADMIN' WHERE wanted.value->>'c' = '' \
         UNION ALL \
         SELECT m.organization_id, m.class_id, m.user_id, \
         row_number() OVER (PARTITION BY m.organization_id, m.class_id \
         ORDER BY m.role DESC, m.user_id) AS rank FROM ",
        json_rows!("$1"),
        " AS wanted JOIN class_members m ON m.organization_id = wanted.value->>'o' \
         AND m.class_id = wanted.value->>'c' AND m.role IN ('OWNER', 'CO_TEACHER') \
         ) AS ranked WHERE rank <= $2 ORDER BY organization_id, class_id, rank"
    );
    BESIDES_ADMINISTRATORS = "SELECT EXISTS (SELECT 1 FROM organization_members \
        WHERE organization_id = $1 AND role <> 'ADMIN')";
}

/// Reads a membership of either kind.
pub(super) fn read(row: &impl Fields) -> Result<Member> {
    Ok(Member {
        place: rows::place(row)?,
        user: rows::user_id(row, "user_id")?,
        particulars: Particulars {
            display_name: row.text("display_name")?.to_owned(),
            email: row.text("email")?.to_owned(),
            external_id: row.text("external_id")?.to_owned(),
        },
        told_time: from_micros(row.number("told_time")?),
        set_by_hand: SetByHand(row.number("set_by_hand")?),
        role: rows::parse(row, "role", Role::parse)?,
        join_time: from_micros(row.number("join_time")?),
        provenance: Provenance {
            invitation: row.text("invitation")?.to_owned(),
            redemption: row.text("redemption")?.to_owned(),
            approved_by: row.text("approved_by")?.to_owned(),
            method: rows::parse(row, "method", Method::parse)?,
        },
        revision: row.number("revision")?,
    })
}

fn read_all(rows: &[Row]) -> Result<Vec<Member>> {
    rows.iter().map(read).collect()
}

fn read_standing(row: &Row, place: &Place) -> Result<Standing> {
    let class = match (place, get(row, "class_display_name")?) {
        (Place::Class(_), Some(display_name)) => Some(ClassStanding {
            display_name,
            state: rows::parse(row, "class_state", ClassState::parse)?,
        }),
        _ => None,
    };
    Ok(Standing {
        organization_display_name: get(row, "organization_display_name")?,
        code_prefix: get(row, "code_prefix")?,
        seat_limit: get(row, "seat_limit")?,
        class,
        role_in_organization: rows::parse_optional(row, "organization_role", Role::parse)?,
        role_in_class: rows::parse_optional(row, "class_role", Role::parse)?,
    })
}

#[async_trait]
impl Members for SqlRepository {
    async fn standing(&mut self, place: &Place, user: &UserId) -> Result<Option<Standing>> {
        let row = sqlx::query(STANDING)
            .bind(place.organization().as_str())
            .bind(rows::class_text(place))
            .bind(user.as_str())
            .fetch_optional(self.connection())
            .await?;
        row.map(|row| read_standing(&row, place)).transpose()
    }

    async fn member(&mut self, place: &Place, user: &UserId) -> Result<Option<Member>> {
        let organization = place.organization().as_str();
        let statement = match place.class() {
            None => sqlx::query(ORGANIZATION_ONE)
                .bind(organization)
                .bind(user.as_str()),
            Some(class) => sqlx::query(CLASS_ONE)
                .bind(organization)
                .bind(user.as_str())
                .bind(class.as_str()),
        };
        let row = statement.fetch_optional(self.connection()).await?;
        row.as_ref().map(read).transpose()
    }

    async fn insert_members(&mut self, members: &[Member]) -> Result<()> {
        self.save_members(members).await
    }

    async fn save_member(&mut self, member: &Member) -> Result<()> {
        let Some(class) = member.place.class() else {
            return self.change_members(std::iter::once(member)).await;
        };
        sqlx::query(CLASS_SAVE)
            .bind(member.place.organization().as_str())
            .bind(member.user.as_str())
            .bind(class.as_str())
            .bind(member.role.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn delete_member(&mut self, place: &Place, user: &UserId) -> Result<()> {
        let organization = place.organization().as_str();
        let statement = match place.class() {
            None => sqlx::query(ORGANIZATION_DELETE)
                .bind(organization)
                .bind(user.as_str()),
            Some(class) => sqlx::query(CLASS_DELETE)
                .bind(organization)
                .bind(user.as_str())
                .bind(class.as_str()),
        };
        statement.execute(self.connection()).await?;
        Ok(())
    }

    async fn delete_members(&mut self, place: &Place) -> Result<()> {
        let organization = place.organization().as_str();
        if let Some(class) = place.class() {
            sqlx::query(CLASS_DELETE_ALL)
                .bind(organization)
                .bind(class.as_str())
                .execute(self.connection())
                .await?;
            return Ok(());
        }
        for text in [CLASSES_DELETE_ALL, ORGANIZATION_DELETE_ALL] {
            sqlx::query(text)
                .bind(organization)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    async fn class_memberships(
        &mut self,
        organization: &OrganizationId,
        user: &UserId,
    ) -> Result<Vec<Member>> {
        let rows = sqlx::query(CLASSES_OF_USER)
            .bind(organization.as_str())
            .bind(user.as_str())
            .fetch_all(self.connection())
            .await?;
        read_all(&rows)
    }

    async fn list_members(&mut self, query: &MemberQuery) -> Result<Vec<Member>> {
        let class = query.place.class();
        let text = if class.is_some() {
            CLASS_LIST
        } else {
            ORGANIZATION_LIST
        };
        let mut statement = sqlx::query(text)
            .bind(query.place.organization().as_str())
            .bind(query.after.as_ref().map_or("", UserId::as_str))
            .bind(i64::from(query.limit))
            .bind(query.role.map_or("", Role::as_str))
            .bind(query.email.as_deref().unwrap_or_default())
            .bind(query.external_id.as_deref().unwrap_or_default());
        if let Some(class) = class {
            statement = statement.bind(class.as_str());
        }
        read_all(&statement.fetch_all(self.connection()).await?)
    }

    async fn list_memberships(
        &mut self,
        user: &UserId,
        after: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<Member>> {
        let rows = sqlx::query(MEMBERSHIPS)
            .bind(user.as_str())
            .bind(after.map_or("", |place| place.organization().as_str()))
            .bind(after.map_or("", rows::class_text))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        read_all(&rows)
    }

    async fn staff(&mut self, places: &BTreeSet<Place>) -> Result<BTreeMap<Place, Vec<UserId>>> {
        let mut staff: BTreeMap<Place, Vec<UserId>> = BTreeMap::new();
        if places.is_empty() {
            return Ok(staff);
        }
        let wanted = Value::Array(places.iter().map(of_place).collect());
        let rows = sqlx::query(STAFF)
            .bind(wanted.to_string())
            .bind(i64::try_from(NOTIFY_MAX).unwrap_or(i64::MAX))
            .fetch_all(self.connection())
            .await?;
        for row in &rows {
            let told = staff.entry(rows::place(row)?).or_default();
            told.push(rows::user_id(row, "user_id")?);
        }
        Ok(staff)
    }

    async fn has_members_besides_administrators(
        &mut self,
        organization: &OrganizationId,
    ) -> Result<bool> {
        Ok(sqlx::query_scalar(BESIDES_ADMINISTRATORS)
            .bind(organization.as_str())
            .fetch_one(self.connection())
            .await?)
    }
}
