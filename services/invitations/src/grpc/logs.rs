//! The logs that staff and operators read: refused attempts and audit entries.

use homeroom_api::{
    ids::InvalidId,
    invitations::v1::{self as api, refused_attempt},
    names::{OrganizationName, Place},
};
use homeroom_kit::{clock::to_timestamp, rpc::or_every};

use crate::domain::{
    audit_entry::AuditEntry,
    refused_attempt::{LimiterDecision, RefusedAttempt},
};

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
fn log_name(place: Option<&Place>, collection: &str, id: uuid::Uuid) -> String {
    let organization = place.map_or("-", |place| place.organization().as_str());
    format!("organizations/{organization}/{collection}/{id}")
}

fn limiter_decision(decision: LimiterDecision) -> refused_attempt::LimiterDecision {
    refused_attempt::LimiterDecision::from_str_name(decision.as_str()).unwrap_or_default()
}

impl From<RefusedAttempt> for api::RefusedAttempt {
    fn from(attempt: RefusedAttempt) -> Self {
        let place = attempt.place.as_ref();
        Self {
            name: log_name(place, "refusedAttempts", attempt.id),
            class: place.map(Place::class_name).unwrap_or_default(),
            invitation: attempt.invitation,
            user: attempt.user.to_string(),
            calling_service: attempt.calling_service,
            preview: attempt.preview,
            reason: attempt.reason.into(),
            limiter_decision: limiter_decision(attempt.limiter_decision).into(),
            create_time: Some(to_timestamp(attempt.create_time)),
        }
    }
}

impl From<AuditEntry> for api::AuditEntry {
    fn from(entry: AuditEntry) -> Self {
        let place = entry.place.as_ref();
        Self {
            name: log_name(place, "auditEntries", entry.id),
            class: place.map(Place::class_name).unwrap_or_default(),
            actor: entry.actor,
            calling_service: entry.calling_service,
            method: entry.method,
            subject: entry.subject,
            request_id: entry.request_id,
            create_time: Some(to_timestamp(entry.create_time)),
        }
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

    #[test]
    fn decisions_on_the_wire_are_those_in_the_database() {
        for each in LimiterDecision::ALL {
            assert_eq!(limiter_decision(each).as_str_name(), each.as_str());
        }
    }
}
