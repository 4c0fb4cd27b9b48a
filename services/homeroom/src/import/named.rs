//! The people whom an import removes or changes, as its report names them.

use std::fmt;

use homeroom_api::membership::v1::{RosterResult, roster_result};
use serde::Serialize;

/// A person whom an import removes or changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AffectedMember {
    pub(super) user: String,
    pub(super) display_name: String,
    pub(super) changes: Vec<FieldChange>,
}

/// A role or particular that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FieldChange {
    /// The resource name of the class or organization.
    pub(super) parent: String,
    pub(super) field: String,
    pub(super) from: String,
    /// Empty if the membership ends.
    pub(super) to: String,
}

impl AffectedMember {
    /// Returns what the result of a row says of its person.
    pub(super) fn of(user: &str, result: &RosterResult) -> Self {
        Self {
            user: user.to_owned(),
            display_name: result.display_name.clone(),
            changes: result.replaced.iter().map(FieldChange::of).collect(),
        }
    }
}

impl FieldChange {
    fn of(replaced: &roster_result::Replaced) -> Self {
        Self {
            parent: replaced.parent.clone(),
            field: replaced.field.clone(),
            from: replaced.from.clone(),
            to: replaced.to.clone(),
        }
    }
}

impl fmt::Display for AffectedMember {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.user)?;
        if !self.display_name.is_empty() {
            let name = self.display_name.replace(char::is_control, " ");
            write!(formatter, " ({name})")?;
        }
        for change in &self.changes {
            let place = change.parent.trim_start_matches("organizations/");
            let place = place.replace("/classes/", "/");
            let FieldChange {
                field, from, to, ..
            } = change;
            write!(formatter, ", {place} {field} {from:?} to {to:?}")?;
        }
        Ok(())
    }
}
