//! Parsing of parts of requests to typed values, collecting their violations.

use homeroom_api::{
    common::v1 as common,
    membership::v1::Member,
    names::{MemberName, OrganizationName, Place},
};
use homeroom_kit::{person, validation::Violations};

use crate::domain::member::{Particulars, Role};

/// Maximum length of an etag in bytes.
const ETAG_BYTES_MAX: usize = 64;

pub(crate) fn organization(
    violations: &mut Violations,
    field: &str,
    name: &str,
) -> Option<homeroom_api::ids::OrganizationId> {
    violations
        .take(field, OrganizationName::parse(name))
        .map(|name| name.0)
}

/// Parses the name of a member of an organization.
pub(crate) fn organization_member(name: &str) -> Result<MemberName, String> {
    let name = MemberName::parse(name).map_err(|error| error.to_string())?;
    match name.place {
        Place::Organization(_) => Ok(name),
        Place::Class(_) => Err("must be `organizations/{organization}/members/{user}`".to_owned()),
    }
}

/// Parses the name of a member of a class.
pub(crate) fn class_member(name: &str) -> Result<MemberName, String> {
    let name = MemberName::parse(name).map_err(|error| error.to_string())?;
    match name.place {
        Place::Class(_) => Ok(name),
        Place::Organization(_) => {
            Err("must be `organizations/{organization}/classes/{class}/members/{user}`".to_owned())
        }
    }
}

pub(crate) fn etag(violations: &mut Violations, field: &str, etag: &str) -> String {
    violations.check(
        etag.len() <= ETAG_BYTES_MAX,
        field,
        "is none that this service made",
    );
    etag.to_owned()
}

/// Returns the role in a request if it is one of those allowed; None if it is unset.
pub(crate) fn role(
    violations: &mut Violations,
    field: &str,
    number: i32,
    allowed: &[Role],
) -> Option<Role> {
    let found = match common::Role::try_from(number) {
        Ok(common::Role::Unspecified) => return None,
        Ok(found) => Role::parse(found.as_str_name()),
        Err(_) => None,
    };
    let found = found.filter(|role| allowed.contains(role));
    let names: Vec<&str> = allowed.iter().map(|role| role.as_str()).collect();
    violations.check(
        found.is_some(),
        field,
        format!("must be one of {}", names.join(", ")),
    );
    found
}

/// Parses the particulars of a member that staff see.
pub(crate) fn particulars(violations: &mut Violations, member: &Member) -> Particulars {
    let email = violations.email("member.email", &member.email);
    Particulars {
        display_name: person::display_name(&member.display_name),
        email: email.map_or_else(String::new, |email| email.canonical()),
        external_id: violations.external_id("member.external_id", &member.external_id),
    }
}
