//! The tables of members of organizations and classes.

use std::collections::{BTreeMap, BTreeSet};

use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::Place,
};
use homeroom_kit::{
    args,
    clock::micros,
    outbox::NOTIFY_MAX,
    store::{
        Table,
        columns::{self, class_id},
        json_ids, json_rows,
    },
};
use serde::Deserialize;
use serde_json::json;

use super::{Repository, Result, one_of};
use crate::domain::{
    access::{ClassStanding, Standing},
    class::ClassState,
    member::{Member, MemberFilter, Role},
};

pub(super) const ORGANIZATION_MEMBERS: Table = Table {
    texts: &[
        "organization_id",
        "user_id",
        "display_name",
        "email",
        "external_id",
        "role",
        "invitation",
        "redemption",
        "approved_by",
        "method",
    ],
    numbers: &["told_time", "set_by_hand", "join_time", "revision"],
    ..Table::new("organization_members")
};

pub(super) const CLASS_MEMBERS: Table = Table {
    texts: &[
        "organization_id",
        "class_id",
        "user_id",
        "role",
        "invitation",
        "redemption",
        "approved_by",
        "method",
    ],
    numbers: &["join_time", "revision"],
    ..Table::new("class_members")
};

/// Returns the value of a column for a member `m` of a class, of whom the organization keeps the row `p` with the
/// particulars.
pub(super) fn in_class(column: &str) -> String {
    match column {
        "revision" => "m.revision + p.revision".to_owned(),
        "display_name" | "email" | "external_id" | "told_time" | "set_by_hand" => {
            format!("p.{column}")
        }
        column => format!("m.{column}"),
    }
}

/// Returns the selection of memberships of organizations.
fn of_organization() -> String {
    let columns = ORGANIZATION_MEMBERS.of("m");
    format!("SELECT {columns}, '' AS class_id FROM organization_members m WHERE ")
}

/// Returns the selection of memberships of classes.
fn of_class() -> String {
    let columns = ORGANIZATION_MEMBERS.each(|column| format!("{} AS {column}", in_class(column)));
    format!(
        "SELECT {columns}, m.class_id FROM class_members m \
         JOIN organization_members p ON p.organization_id = m.organization_id AND p.user_id = m.user_id WHERE "
    )
}

homeroom_kit::statements! {
    /// A deleted class's members are deleted with it, so a class member's row means that the class
    /// exists.
    STANDING = "SELECT o.display_name, o.code_prefix, s.seat_limit, c.display_name, c.state, om.role, cm.role \
        FROM organizations o \
        JOIN organization_seats s ON s.organization_id = o.organization_id \
        LEFT JOIN classes c ON c.organization_id = o.organization_id AND c.class_id = $2 \
            AND c.delete_time IS NULL \
        LEFT JOIN organization_members om ON om.organization_id = o.organization_id AND om.user_id = $3 \
        LEFT JOIN class_members cm ON cm.organization_id = o.organization_id AND cm.class_id = $2 \
            AND cm.user_id = $3 \
        WHERE o.organization_id = $1 AND o.delete_time IS NULL";
    ORGANIZATION_ONE = of_organization() + "m.organization_id = $1 AND m.user_id = $2";
    CLASS_ONE = of_class() + "m.organization_id = $1 AND m.user_id = $2 AND m.class_id = $3";
    CLASSES_OF_USERS(on) = format!(
        "{}m.organization_id = $1 AND {} ORDER BY m.user_id, m.class_id",
        of_class(),
        one_of(on, "m.user_id", "$2")
    );
    CLASS_SAVE = "UPDATE class_members SET role = $4, revision = revision + 1 \
        WHERE organization_id = $1 AND user_id = $2 AND class_id = $3";
    ORGANIZATION_DELETE(on) = "DELETE FROM organization_members WHERE organization_id = $1 AND ".to_owned()
        + &one_of(on, "user_id", "$2");
    CLASSES_DELETE(on) = "DELETE FROM class_members WHERE organization_id = $1 AND ".to_owned()
        + &one_of(on, "user_id", "$2");
    CLASS_DELETE(on) = "DELETE FROM class_members WHERE organization_id = $1 AND class_id = $3 AND ".to_owned()
        + &one_of(on, "user_id", "$2");
    ORGANIZATION_DELETE_ALL = "DELETE FROM organization_members WHERE organization_id = $1";
    CLASSES_DELETE_ALL = "DELETE FROM class_members WHERE organization_id = $1";
    CLASS_DELETE_ALL = "DELETE FROM class_members WHERE organization_id = $1 AND class_id = $2";
    ORGANIZATION_LIST = of_organization() + "m.organization_id = $1 AND m.user_id > $2 \
         AND ($4 = '' OR m.role = $4) AND ($5 = '' OR m.email = $5) AND ($6 = '' OR m.external_id = $6) \
         AND ($7 = '' OR m.invitation = $7) AND m.join_time >= $8 ORDER BY m.user_id LIMIT $3";
    CLASS_LIST = of_class() + "m.organization_id = $1 AND m.class_id = $9 AND m.user_id > $2 \
         AND ($4 = '' OR m.role = $4) AND ($5 = '' OR p.email = $5) AND ($6 = '' OR p.external_id = $6) \
         AND ($7 = '' OR m.invitation = $7) AND m.join_time >= $8 ORDER BY m.user_id LIMIT $3";
    MEMBERSHIPS = format!(
        "{}m.user_id = $1 AND (m.organization_id, '') > ($2, $3) UNION ALL \
         {}m.user_id = $1 AND (m.organization_id, m.class_id) > ($2, $3) \
         ORDER BY organization_id, class_id LIMIT $4",
        of_organization(),
        of_class()
    );
    /// Selects up to `$2` staff of each place, the owner before the co-teachers.
    STAFF(on) = format!(
        "SELECT organization_id, class_id, user_id FROM ( \
         SELECT m.organization_id, '' AS class_id, m.user_id, \
         row_number() OVER (PARTITION BY m.organization_id ORDER BY m.user_id) AS rank FROM {wanted} \
         JOIN organization_members m ON m.organization_id = wanted.value->>'organization_id' \
         AND m.role = 'ADMIN' WHERE wanted.value->>'class_id' = '' \
         UNION ALL \
         SELECT m.organization_id, m.class_id, m.user_id, \
         row_number() OVER (PARTITION BY m.organization_id, m.class_id \
         ORDER BY m.role DESC, m.user_id) AS rank FROM {wanted} \
         JOIN class_members m ON m.organization_id = wanted.value->>'organization_id' \
         AND m.class_id = wanted.value->>'class_id' AND m.role IN ('OWNER', 'CO_TEACHER') \
         ) AS ranked WHERE rank <= $2 ORDER BY organization_id, class_id, rank",
        wanted = on.rows("$1", "wanted")
    );
    BESIDES_ADMINISTRATORS = "SELECT EXISTS (SELECT 1 FROM organization_members \
        WHERE organization_id = $1 AND role <> 'ADMIN')";
}

/// The columns of [`STANDING`].
type StandingRow = (
    String,
    String,
    i64,
    Option<String>,
    Option<ClassState>,
    Option<Role>,
    Option<Role>,
);

#[derive(Deserialize)]
struct StaffRow {
    #[serde(flatten, with = "columns::place")]
    place: Place,
    #[serde(with = "columns::text")]
    user_id: UserId,
}

impl Repository {
    /// Returns the place with the user's roles in it, in one statement. None if the organization does not exist.
    pub async fn standing(&mut self, place: &Place, user: &UserId) -> Result<Option<Standing>> {
        let bound = args![place.organization(), class_id(place), user];
        let row: Option<StandingRow> = self.0.first(&STANDING, bound).await?;
        Ok(row.map(
            |(name, code_prefix, seat_limit, class, state, role, in_class)| Standing {
                organization_display_name: name,
                code_prefix,
                seat_limit,
                class: class.zip(state).map(|(display_name, state)| ClassStanding {
                    display_name,
                    state,
                }),
                role_in_organization: role,
                role_in_class: in_class,
            },
        ))
    }

    /// Returns one membership.
    pub async fn member(&mut self, place: &Place, user: &UserId) -> Result<Option<Member>> {
        let mut bound = args![place.organization(), user];
        bound.extend(place.class().map(Into::into));
        let one = match place {
            Place::Organization(_) => &ORGANIZATION_ONE,
            Place::Class(_) => &CLASS_ONE,
        };
        self.0.first(one, bound).await
    }

    /// Stores the role and, for a member of an organization, the particulars; the revision grows by one.
    pub async fn save_member(&mut self, member: &Member) -> Result<()> {
        let Some(class) = member.place.class() else {
            return self.change_members(&[member]).await;
        };
        let organization = member.place.organization();
        let bound = args![organization, &member.user, class, member.role.as_str()];
        self.0.run(&CLASS_SAVE, bound).await?;
        Ok(())
    }

    /// Deletes the memberships of these users in the place, and for an organization those in its classes.
    pub async fn delete_members_of<'users>(
        &mut self,
        place: &Place,
        users: impl IntoIterator<Item = &'users UserId>,
    ) -> Result<()> {
        let mut bound = args![place.organization(), json_ids(users)];
        if let Some(class) = place.class() {
            bound.push(class.into());
            self.0.run(&CLASS_DELETE, bound).await?;
            return Ok(());
        }
        self.0.run(&CLASSES_DELETE, bound.clone()).await?;
        self.0.run(&ORGANIZATION_DELETE, bound).await?;
        Ok(())
    }

    /// Deletes every membership of the place, and for an organization those of its classes.
    pub async fn delete_members(&mut self, place: &Place) -> Result<()> {
        let organization = place.organization();
        if let Some(class) = place.class() {
            self.0
                .run(&CLASS_DELETE_ALL, args![organization, class])
                .await?;
            return Ok(());
        }
        self.0.run(&CLASSES_DELETE_ALL, args![organization]).await?;
        self.0
            .run(&ORGANIZATION_DELETE_ALL, args![organization])
            .await?;
        Ok(())
    }

    /// Returns the memberships of these users in the organization's classes, in the order of user ids and class ids.
    pub async fn class_memberships<'users>(
        &mut self,
        organization: &OrganizationId,
        users: impl IntoIterator<Item = &'users UserId>,
    ) -> Result<Vec<Member>> {
        let bound = args![organization, json_ids(users)];
        self.0.all(&CLASSES_OF_USERS, bound).await
    }

    /// Lists members of a place in the order of their user ids, after `after`.
    pub async fn list_members(
        &mut self,
        place: &Place,
        filter: &MemberFilter,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<Member>> {
        let mut bound = args![
            place.organization(),
            after,
            limit,
            filter.role.map(Role::as_str),
            filter.email.as_deref(),
            filter.external_id.as_deref(),
            filter.invitation.as_deref(),
            filter.joined_from.map_or(i64::MIN, micros),
        ];
        bound.extend(place.class().map(Into::into));
        let list = match place {
            Place::Organization(_) => &ORGANIZATION_LIST,
            Place::Class(_) => &CLASS_LIST,
        };
        self.0.all(list, bound).await
    }

    /// Lists the user's memberships, each organization before its classes, in the order of ids, after `after`.
    pub async fn list_memberships(
        &mut self,
        user: &UserId,
        after: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<Member>> {
        let organization = after.map(Place::organization);
        let bound = args![user, organization, after.map(class_id), limit];
        self.0.all(&MEMBERSHIPS, bound).await
    }

    /// Returns the users whom events of each place notify (C6): the class's owner, then its co-teachers; or the
    /// organization's administrators. At most 100 for each place; a place without staff is left out.
    pub async fn staff(
        &mut self,
        places: &BTreeSet<Place>,
    ) -> Result<BTreeMap<Place, Vec<UserId>>> {
        let mut staff: BTreeMap<Place, Vec<UserId>> = BTreeMap::new();
        if places.is_empty() {
            return Ok(staff);
        }
        let wanted = places.iter().map(|place| {
            json!({
                "organization_id": place.organization().as_str(),
                "class_id": class_id(place),
            })
        });
        let bound = args![json_rows(wanted), NOTIFY_MAX];
        for StaffRow { place, user_id } in self.0.all(&STAFF, bound).await? {
            staff.entry(place).or_default().push(user_id);
        }
        Ok(staff)
    }

    /// Returns true if the organization has members other than its administrators.
    pub async fn has_members_besides_administrators(
        &mut self,
        organization: &OrganizationId,
    ) -> Result<bool> {
        self.0
            .flag(&BESIDES_ADMINISTRATORS, args![organization])
            .await
    }
}
