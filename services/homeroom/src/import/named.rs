//! Who is removed or changed by an import, as they are before it.

use std::fmt;

use homeroom_api::{
    common::v1::Role,
    membership::v1::{GetClassMemberRequest, GetOrganizationMemberRequest, Member, RosterRow},
};
use serde::Serialize;
use tonic::Code;

use crate::{
    Failure,
    remote::{Remote, patiently},
};

/// A membership that an import ends or changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Named {
    /// The resource name of the class or organization.
    pub(super) parent: String,
    pub(super) user: String,
    pub(super) display_name: String,
    pub(super) role: &'static str,
    /// What changes; nothing of somebody who is removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) changes: Vec<Replaced>,
}

/// A role or particular that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Replaced {
    pub(super) field: &'static str,
    pub(super) from: String,
    pub(super) to: String,
}

/// Returns the member of a row; blank if others have just removed them.
async fn member(remote: &Remote, parent: &str, row: &RosterRow) -> Result<Member, Failure> {
    let name = format!("{parent}/members/{}", row.user);
    let mut client = remote.member_service();
    let found = if row.class.is_empty() {
        let get = GetOrganizationMemberRequest { name };
        patiently(async || client.get_organization_member(get.clone()).await).await
    } else {
        let get = GetClassMemberRequest { name };
        patiently(async || client.get_class_member(get.clone()).await).await
    };
    match found {
        Err(status) if status.code() == Code::NotFound => Ok(Member::default()),
        found => found.map_err(|status| remote.refused(&status)),
    }
}

impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.parent.trim_start_matches("organizations/");
        let place = place.replace("/classes/", "/");
        write!(formatter, "{place}: {}", self.user)?;
        if !self.display_name.is_empty() {
            let name = self.display_name.replace(char::is_control, " ");
            write!(formatter, " ({name})")?;
        }
        if self.changes.is_empty() {
            write!(formatter, ", {}", self.role)?;
        }
        for Replaced { field, from, to } in &self.changes {
            write!(formatter, ", {field} {from:?} to {to:?}")?;
        }
        Ok(())
    }
}

impl Named {
    /// Returns the person of a row as they are.
    pub(super) async fn of(
        remote: &Remote,
        organization: &str,
        row: &RosterRow,
    ) -> Result<Self, Failure> {
        let parent = if row.class.is_empty() {
            organization
        } else {
            &row.class
        };
        let before = member(remote, parent, row).await?;
        Ok(Self {
            parent: parent.to_owned(),
            user: row.user.clone(),
            role: before.role().as_str_name(),
            changes: changes(row, &before),
            display_name: before.display_name,
        })
    }
}

/// Returns what a row changes of a member; nothing of one whom it removes.
fn changes(row: &RosterRow, before: &Member) -> Vec<Replaced> {
    // The owner of a class is its co-teacher too.
    let keeps = row.role() == Role::Unspecified || before.role() == Role::Owner;
    let role = if keeps { before.role() } else { row.role() };
    let [was, role] = [before.role(), role].map(|role| role.as_str_name().to_owned());
    let fields = [
        ("role", &was, &role),
        ("displayName", &before.display_name, &row.display_name),
        ("email", &before.email, &row.email),
        ("externalId", &before.external_id, &row.external_id),
    ];
    let stated = fields
        .into_iter()
        .filter(|(_, from, to)| !row.remove && !to.is_empty() && from != to);
    let replaced = stated.map(|(field, from, to)| Replaced {
        field,
        from: from.clone(),
        to: to.clone(),
    });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_states_and_the_member_lacks_is_a_change() {
        let before = Member {
            display_name: "Ada".to_owned(),
            email: "ada@school.example".to_owned(),
            role: Role::Student.into(),
            ..Member::default()
        };
        let changes = |row: &RosterRow, before: &Member| {
            let changes = changes(row, before).into_iter();
            let changes = changes.map(|one| format!("{} {} {}", one.field, one.from, one.to));
            changes.collect::<Vec<_>>()
        };
        let mut row = RosterRow {
            role: Role::CoTeacher.into(),
            display_name: "Ada Lovelace".to_owned(),
            external_id: "s-1".to_owned(),
            ..RosterRow::default()
        };
        let expected = [
            "role STUDENT CO_TEACHER",
            "displayName Ada Ada Lovelace",
            "externalId  s-1",
        ];
        assert_eq!(changes(&row, &before), expected);
        // An owner stays one, and so does a member of whom no role is stated.
        let owner = Member {
            role: Role::Owner.into(),
            ..before.clone()
        };
        assert_eq!(changes(&row, &owner), expected[1..]);
        row.role = Role::Unspecified.into();
        assert_eq!(changes(&row, &before), expected[1..]);
        row.remove = true;
        assert_eq!(changes(&row, &before), [""; 0]);
    }
}
