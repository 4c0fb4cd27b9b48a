//! Names and roles as LTI Advantage's Names and Role Provisioning Services 2.0 answers them.

use homeroom_api::{common::v1::Role, membership::v1::Member};
use serde_json::{Map, Value, json};

use super::{Roster, Written, id_of};
use crate::Failure;

/// The vocabulary of roles.
const ROLES: &str = "http://purl.imsglobal.org/vocab/lis/v2/membership#";

/// Returns a file for each class.
pub(super) fn files(rosters: &[Roster]) -> Result<Vec<Written>, Failure> {
    let file = |roster: &Roster| {
        let content = serde_json::to_vec_pretty(&container(roster))?;
        let name = format!("{}.json", id_of(&roster.class.name));
        Ok(Written { name, content })
    };
    rosters.iter().map(file).collect()
}

fn container(roster: &Roster) -> Value {
    let class = &roster.class;
    let id = id_of(&class.name);
    let label = if class.external_id.is_empty() {
        id
    } else {
        &class.external_id
    };
    json!({
        "id": class.name,
        "context": {"id": id, "label": label, "title": class.display_name},
        "members": roster.members.iter().map(member).collect::<Vec<_>>(),
    })
}

fn member(member: &Member) -> Value {
    let role = match member.role() {
        Role::Owner | Role::CoTeacher => "Instructor",
        _ => "Learner",
    };
    let mut told = Map::from_iter([
        ("status".to_owned(), json!("Active")),
        ("user_id".to_owned(), json!(member.user)),
        ("roles".to_owned(), json!([format!("{ROLES}{role}")])),
    ]);
    for (name, value) in [
        ("name", &member.display_name),
        ("email", &member.email),
        ("lis_person_sourcedid", &member.external_id),
    ] {
        if !value.is_empty() {
            told.insert(name.to_owned(), json!(value));
        }
    }
    told.into()
}

#[cfg(test)]
mod tests {
    use homeroom_api::membership::v1::Class;

    use super::*;

    #[test]
    fn a_class_becomes_a_container_of_its_members() {
        let member = |user: &str, name: &str, external_id: &str, role: Role| Member {
            user: user.to_owned(),
            display_name: name.to_owned(),
            external_id: external_id.to_owned(),
            role: role.into(),
            ..Member::default()
        };
        let class = Class {
            name: "organizations/hamilton/classes/biology".to_owned(),
            display_name: "Biology".to_owned(),
            external_id: "BIO 1".to_owned(),
            ..Class::default()
        };
        let members = vec![
            member("teacher", "=Ada", "", Role::Owner),
            member("bob", "", "s-1", Role::Student),
        ];
        let files = files(&[Roster { class, members }]).unwrap();
        assert_eq!(files[0].name, "biology.json");
        let told: Value = serde_json::from_slice(&files[0].content).unwrap();
        let roles = |role: &str| json!([format!("{ROLES}{role}")]);
        let expected = json!({
            "id": "organizations/hamilton/classes/biology",
            "context": {"id": "biology", "label": "BIO 1", "title": "Biology"},
            "members": [
                // No spreadsheet opens JSON.
                {"status": "Active", "user_id": "teacher", "name": "=Ada", "roles": roles("Instructor")},
                {"status": "Active", "user_id": "bob", "lis_person_sourcedid": "s-1", "roles": roles("Learner")},
            ],
        });
        assert_eq!(told, expected);
    }
}
