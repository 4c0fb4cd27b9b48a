//! Removals by staff, and the invitations that they outlive (R8).

use chrono::{DateTime, Utc};

/// Maximum number of members that one call removes by their invitation (R14).
pub const MEMBERS_REMOVED_MAX: usize = 500;

/// When staff last removed a person from a class and from its organization; None if they never did, or if an approval
/// has lifted the removal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removals {
    /// From the class; always None for organization-wide invitations.
    pub from_class: Option<DateTime<Utc>>,
    /// From the organization.
    pub from_organization: Option<DateTime<Utc>>,
}

impl Removals {
    /// Returns true if an invitation made or last reset at `issue_time` cannot admit the person at once: it is not
    /// newer than the latest removal (R8).
    #[must_use]
    pub fn outlive(self, issue_time: DateTime<Utc>) -> bool {
        self.from_class
            .max(self.from_organization)
            .is_some_and(|removed| removed >= issue_time)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn r8_a_removal_outlives_invitations_made_before_it_or_in_its_very_moment() {
        let removed = DateTime::UNIX_EPOCH;
        let tick = TimeDelta::microseconds(1);
        for removals in [
            Removals {
                from_class: Some(removed),
                from_organization: None,
            },
            Removals {
                from_class: None,
                from_organization: Some(removed),
            },
            Removals {
                from_class: Some(removed - tick),
                from_organization: Some(removed),
            },
        ] {
            assert!(removals.outlive(removed - tick), "{removals:?}");
            assert!(removals.outlive(removed), "{removals:?}");
            assert!(!removals.outlive(removed + tick), "{removals:?}");
        }
        assert!(!Removals::default().outlive(DateTime::<Utc>::MIN_UTC));
    }
}
