//! The parents of the lists of refused attempts and audit entries.

use homeroom_api::{
    ids::InvalidId,
    names::{OrganizationName, Place},
};
use homeroom_kit::rpc::or_every;

/// Parses an organization, or None for all of them.
pub(crate) fn organization_parent(text: &str) -> Result<Option<Place>, InvalidId> {
    or_every(text, |text| {
        OrganizationName::parse(text).map(|name| Place::Organization(name.0))
    })
}

/// Parses an organization or class, or None for all organizations.
pub(crate) fn place_parent(text: &str) -> Result<Option<Place>, InvalidId> {
    or_every(text, Place::parse)
}

/// Returns the name of a log's resource: under its organization, or under none.
pub(crate) fn log_name(place: Option<&Place>, collection: &str, id: uuid::Uuid) -> String {
    let organization = place.map_or("-", |place| place.organization().as_str());
    format!("organizations/{organization}/{collection}/{id}")
}

/// Returns the class of a log's resource; empty for none.
pub(crate) fn log_class(place: Option<&Place>) -> String {
    match place {
        Some(Place::Class(class)) => class.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_an_organization_or_all_and_for_audit_entries_a_class_too() {
        let class = "organizations/hamilton/classes/bio-101";
        for (text, organization, place) in [
            ("organizations/-", true, true),
            ("organizations/hamilton", true, true),
            (class, false, true),
            ("organizations/-/classes/-", false, false),
            ("", false, false),
        ] {
            assert_eq!(organization_parent(text).is_ok(), organization, "{text}");
            assert_eq!(place_parent(text).is_ok(), place, "{text}");
        }
        assert_eq!(place_parent("organizations/-").unwrap(), None);
    }
}
