//! Members of organizations and classes.

use async_trait::async_trait;
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::{ClassName, Place},
};
use homeroom_kit::{
    clock::{from_micros, micros},
    outbox::NOTIFY_MAX,
};

use super::{
    SqlRepository,
    rows::{self, Row, get},
};
use crate::{
    domain::{
        access::{ClassStanding, Standing},
        class::ClassState,
        member::{Member, Method, Particulars, Provenance, Role},
    },
    store::{MemberQuery, Members, Result},
};

/// A deleted class's members are deleted with it, so a class member's row means that the class exists.
const STANDING: &str = "SELECT o.display_name AS organization_display_name, o.code_prefix, \
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

const ORGANIZATION_ONE: &str = "SELECT organization_id, '' AS class_id, user_id, display_name, email, \
    external_id, role, join_time, invitation, redemption, approved_by, method, revision \
    FROM organization_members WHERE organization_id = $1 AND user_id = $2";
const CLASS_ONE: &str = "SELECT m.organization_id, m.class_id, m.user_id, p.display_name, p.email, \
    p.external_id, m.role, m.join_time, m.invitation, m.redemption, m.approved_by, m.method, \
    m.revision + p.revision AS revision FROM class_members m \
    JOIN organization_members p ON p.organization_id = m.organization_id AND p.user_id = m.user_id \
    WHERE m.organization_id = $1 AND m.user_id = $2 AND m.class_id = $3";
const CLASSES_OF_USER: &str = "SELECT m.organization_id, m.class_id, m.user_id, p.display_name, \
    p.email, p.external_id, m.role, m.join_time, m.invitation, m.redemption, m.approved_by, m.method, \
    m.revision + p.revision AS revision FROM class_members m \
    JOIN organization_members p ON p.organization_id = m.organization_id AND p.user_id = m.user_id \
    WHERE m.organization_id = $1 AND m.user_id = $2 ORDER BY m.class_id";

const ORGANIZATION_INSERT: &str = "INSERT INTO organization_members (organization_id, user_id, \
    display_name, email, external_id, role, join_time, invitation, redemption, approved_by, method, \
    revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const CLASS_INSERT: &str = "INSERT INTO class_members (organization_id, class_id, user_id, role, \
    join_time, invitation, redemption, approved_by, method, revision) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

const ORGANIZATION_SAVE: &str = "UPDATE organization_members SET role = $3, display_name = $4, \
    email = $5, external_id = $6, revision = revision + 1 WHERE organization_id = $1 AND user_id = $2";
const CLASS_SAVE: &str = "UPDATE class_members SET role = $4, revision = revision + 1 \
    WHERE organization_id = $1 AND user_id = $2 AND class_id = $3";

const ORGANIZATION_DELETE: &str =
    "DELETE FROM organization_members WHERE organization_id = $1 AND user_id = $2";
const CLASS_DELETE: &str =
    "DELETE FROM class_members WHERE organization_id = $1 AND user_id = $2 AND class_id = $3";
const ORGANIZATION_DELETE_ALL: &str = "DELETE FROM organization_members WHERE organization_id = $1";
const CLASSES_DELETE_ALL: &str = "DELETE FROM class_members WHERE organization_id = $1";
const CLASS_DELETE_ALL: &str =
    "DELETE FROM class_members WHERE organization_id = $1 AND class_id = $2";

const ORGANIZATION_LIST: &str = "SELECT organization_id, '' AS class_id, user_id, display_name, email, \
    external_id, role, join_time, invitation, redemption, approved_by, method, revision \
    FROM organization_members WHERE organization_id = $1 AND user_id > $2 \
    AND ($4 = '' OR role = $4) AND ($5 = '' OR email = $5) AND ($6 = '' OR external_id = $6) \
    ORDER BY user_id LIMIT $3";
const CLASS_LIST: &str = "SELECT m.organization_id, m.class_id, m.user_id, p.display_name, p.email, \
    p.external_id, m.role, m.join_time, m.invitation, m.redemption, m.approved_by, m.method, \
    m.revision + p.revision AS revision FROM class_members m \
    JOIN organization_members p ON p.organization_id = m.organization_id AND p.user_id = m.user_id \
    WHERE m.organization_id = $1 AND m.class_id = $7 AND m.user_id > $2 \
    AND ($4 = '' OR m.role = $4) AND ($5 = '' OR p.email = $5) AND ($6 = '' OR p.external_id = $6) \
    ORDER BY m.user_id LIMIT $3";
const MEMBERSHIPS: &str = "SELECT organization_id, '' AS class_id, user_id, display_name, email, \
    external_id, role, join_time, invitation, redemption, approved_by, method, revision \
    FROM organization_members WHERE user_id = $1 AND (organization_id, '') > ($2, $3) \
    UNION ALL \
    SELECT m.organization_id, m.class_id, m.user_id, p.display_name, p.email, p.external_id, m.role, \
    m.join_time, m.invitation, m.redemption, m.approved_by, m.method, m.revision + p.revision \
    FROM class_members m \
    JOIN organization_members p ON p.organization_id = m.organization_id AND p.user_id = m.user_id \
    WHERE m.user_id = $1 AND (m.organization_id, m.class_id) > ($2, $3) \
    ORDER BY organization_id, class_id LIMIT $4";

const ADMINISTRATORS: &str = "SELECT user_id FROM organization_members \
    WHERE organization_id = $1 AND role = 'ADMIN' ORDER BY user_id LIMIT $2";
const CLASS_STAFF: &str = "SELECT user_id FROM class_members \
    WHERE organization_id = $1 AND class_id = $3 AND role IN ('OWNER', 'CO_TEACHER') \
    ORDER BY role DESC, user_id LIMIT $2";
const BESIDES_ADMINISTRATORS: &str = "SELECT EXISTS (SELECT 1 FROM organization_members \
    WHERE organization_id = $1 AND role <> 'ADMIN')";

/// For the test that prepares them.
pub(super) const STATEMENTS: &[&str] = &[
    STANDING,
    ORGANIZATION_ONE,
    CLASS_ONE,
    CLASSES_OF_USER,
    ORGANIZATION_INSERT,
    CLASS_INSERT,
    ORGANIZATION_SAVE,
    CLASS_SAVE,
    ORGANIZATION_DELETE,
    CLASS_DELETE,
    ORGANIZATION_DELETE_ALL,
    CLASSES_DELETE_ALL,
    CLASS_DELETE_ALL,
    ORGANIZATION_LIST,
    CLASS_LIST,
    MEMBERSHIPS,
    ADMINISTRATORS,
    CLASS_STAFF,
    BESIDES_ADMINISTRATORS,
];

/// A membership of either kind.
pub(super) fn read(row: &Row) -> Result<Member> {
    Ok(Member {
        place: rows::place(row)?,
        user: rows::user_id(row, "user_id")?,
        particulars: Particulars {
            display_name: get(row, "display_name")?,
            email: get(row, "email")?,
            external_id: get(row, "external_id")?,
        },
        role: rows::parse(row, "role", Role::parse)?,
        join_time: from_micros(get(row, "join_time")?),
        provenance: Provenance {
            invitation: get(row, "invitation")?,
            redemption: get(row, "redemption")?,
            approved_by: get(row, "approved_by")?,
            method: rows::parse(row, "method", Method::parse)?,
        },
        revision: get(row, "revision")?,
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

impl SqlRepository {
    async fn insert_organization_member(
        &mut self,
        organization: &OrganizationId,
        member: &Member,
    ) -> Result<()> {
        sqlx::query(ORGANIZATION_INSERT)
            .bind(organization.as_str())
            .bind(member.user.as_str())
            .bind(member.particulars.display_name.as_str())
            .bind(member.particulars.email.as_str())
            .bind(member.particulars.external_id.as_str())
            .bind(member.role.as_str())
            .bind(micros(member.join_time))
            .bind(member.provenance.invitation.as_str())
            .bind(member.provenance.redemption.as_str())
            .bind(member.provenance.approved_by.as_str())
            .bind(member.provenance.method.as_str())
            .bind(member.revision)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn insert_class_member(&mut self, class: &ClassName, member: &Member) -> Result<()> {
        sqlx::query(CLASS_INSERT)
            .bind(class.organization.as_str())
            .bind(class.class.as_str())
            .bind(member.user.as_str())
            .bind(member.role.as_str())
            .bind(micros(member.join_time))
            .bind(member.provenance.invitation.as_str())
            .bind(member.provenance.redemption.as_str())
            .bind(member.provenance.approved_by.as_str())
            .bind(member.provenance.method.as_str())
            .bind(member.revision)
            .execute(self.connection())
            .await?;
        Ok(())
    }
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
        for member in members {
            match &member.place {
                Place::Organization(organization) => {
                    self.insert_organization_member(organization, member)
                        .await?;
                }
                Place::Class(class) => self.insert_class_member(class, member).await?,
            }
        }
        Ok(())
    }

    async fn save_member(&mut self, member: &Member) -> Result<()> {
        let organization = member.place.organization().as_str();
        let statement = match member.place.class() {
            None => sqlx::query(ORGANIZATION_SAVE)
                .bind(organization)
                .bind(member.user.as_str())
                .bind(member.role.as_str())
                .bind(member.particulars.display_name.as_str())
                .bind(member.particulars.email.as_str())
                .bind(member.particulars.external_id.as_str()),
            Some(class) => sqlx::query(CLASS_SAVE)
                .bind(organization)
                .bind(member.user.as_str())
                .bind(class.as_str())
                .bind(member.role.as_str()),
        };
        statement.execute(self.connection()).await?;
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

    async fn staff(&mut self, place: &Place) -> Result<Vec<UserId>> {
        let class = place.class();
        let text = if class.is_some() {
            CLASS_STAFF
        } else {
            ADMINISTRATORS
        };
        let mut statement = sqlx::query(text)
            .bind(place.organization().as_str())
            .bind(i64::try_from(NOTIFY_MAX).unwrap_or(i64::MAX));
        if let Some(class) = class {
            statement = statement.bind(class.as_str());
        }
        let rows = statement.fetch_all(self.connection()).await?;
        rows.iter()
            .map(|row| rows::user_id(row, "user_id"))
            .collect()
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
