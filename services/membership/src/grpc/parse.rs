//! Parts of requests as typed values, their violations collected.

use std::fmt::Display;

use homeroom_api::{
    common::v1::{self as common, ErrorReason},
    names::{ClassName, MemberName, OrganizationName, Place},
};
use homeroom_kit::{
    Error,
    email::EmailAddress,
    filter::{Filter, Operator},
    person,
    validation::Violations,
};
use prost_types::FieldMask;

pub(crate) use homeroom_kit::Result as Parsed;

use crate::domain::member::{Particulars, Role};

/// Bytes of an etag at most.
const ETAG_BYTES_MAX: usize = 64;

/// The value, once nothing is wrong with the request.
pub(crate) fn finish<T>(violations: Violations, value: Option<T>) -> Parsed<T> {
    violations.finish()?;
    value.ok_or_else(|| Error::internal("a request without violations did not parse"))
}

/// A message that must be there.
pub(crate) fn message<'request, T>(
    violations: &mut Violations,
    field: &str,
    message: Option<&'request T>,
) -> Option<&'request T> {
    violations.check(message.is_some(), field, "is required");
    message
}

/// Text that may be empty, else must parse.
pub(crate) fn optional<T, E: Display>(
    violations: &mut Violations,
    field: &str,
    text: &str,
    parse: impl FnOnce(&str) -> std::result::Result<T, E>,
) -> Option<T> {
    if text.is_empty() {
        None
    } else {
        violations.take(field, parse(text))
    }
}

pub(crate) fn organization(
    violations: &mut Violations,
    field: &str,
    name: &str,
) -> Option<homeroom_api::ids::OrganizationId> {
    violations
        .take(field, OrganizationName::parse(name))
        .map(|name| name.0)
}

pub(crate) fn class(violations: &mut Violations, field: &str, name: &str) -> Option<ClassName> {
    violations.take(field, ClassName::parse(name))
}

pub(crate) fn organization_member(
    violations: &mut Violations,
    field: &str,
    name: &str,
) -> Option<MemberName> {
    let name = violations.take(field, MemberName::parse(name))?;
    violations
        .check(
            matches!(name.place, Place::Organization(_)),
            field,
            "must be `organizations/{organization}/members/{user}`",
        )
        .then_some(name)
}

pub(crate) fn class_member(
    violations: &mut Violations,
    field: &str,
    name: &str,
) -> Option<MemberName> {
    let name = violations.take(field, MemberName::parse(name))?;
    violations
        .check(
            matches!(name.place, Place::Class(_)),
            field,
            "must be `organizations/{organization}/classes/{class}/members/{user}`",
        )
        .then_some(name)
}

pub(crate) fn etag(violations: &mut Violations, field: &str, etag: &str) -> String {
    violations.check(
        etag.len() <= ETAG_BYTES_MAX,
        field,
        "is none that this service made",
    );
    etag.to_owned()
}

/// A role that a request gives, of those allowed; None if it is unset.
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

/// An address in canonical form; empty stays empty.
pub(crate) fn email(violations: &mut Violations, field: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    match EmailAddress::parse(text.trim()) {
        Ok(address) => address.canonical(),
        Err(error) => {
            violations.add_reason(ErrorReason::EmailMalformed, field, error.to_string());
            String::new()
        }
    }
}

/// What staff are shown of a person, under the field `prefix`.
pub(crate) fn particulars(
    violations: &mut Violations,
    prefix: &str,
    display_name: &str,
    address: &str,
    external_id: &str,
) -> Particulars {
    Particulars {
        display_name: person::display_name(display_name),
        email: email(violations, &format!("{prefix}.email"), address),
        external_id: violations.external_id(&format!("{prefix}.external_id"), external_id),
    }
}

/// Which fields an update touches (AIP-134): those that the mask names, or without one those that are not empty.
pub(crate) struct Mask {
    implicit: bool,
    paths: Vec<String>,
}

impl Mask {
    pub(crate) fn parse(
        violations: &mut Violations,
        mask: Option<&FieldMask>,
        allowed: &[&str],
    ) -> Self {
        Self {
            implicit: mask.is_none_or(|mask| mask.paths.is_empty()),
            paths: violations.mask("update_mask", &mask.cloned(), allowed),
        }
    }

    /// Whether the field is touched; `is_set` tells whether the request carries more than its empty value.
    pub(crate) fn touches(&self, path: &str, is_set: bool) -> bool {
        if self.implicit {
            is_set
        } else {
            self.paths.iter().any(|named| named == path)
        }
    }
}

/// The value that a filter asks a field to equal; `INVALID_FILTER` for other comparisons and for two values.
pub(crate) fn equals<'filter>(
    filter: &'filter Filter,
    field: &str,
) -> Parsed<Option<&'filter str>> {
    let wrong = |what: String| {
        Error::new(
            ErrorReason::InvalidFilter,
            format!("Correct the field filter: {what}."),
        )
        .violation("filter", what)
    };
    let mut value = None;
    for condition in filter.0.iter().filter(|found| found.field == field) {
        if condition.operator != Operator::Equal {
            return Err(wrong(format!("{field} is compared with = only")));
        }
        if value.replace(condition.value.text()).is_some() {
            return Err(wrong(format!("{field} is named twice")));
        }
    }
    Ok(value)
}
