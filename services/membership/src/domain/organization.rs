//! An organization.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use homeroom_api::ids::{CodePrefix, OrganizationId};
use homeroom_kit::{rpc::Patch, store::columns};
use serde::{Deserialize, Serialize};

/// The longest display name of an organization or class, in characters.
pub const DISPLAY_NAME_CHARS_MAX: usize = 200;
/// Maximum number of seats in a seat limit.
pub const SEAT_LIMIT_MAX: i64 = 1_000_000_000;
/// The revision of a new row.
pub const FIRST_REVISION: i64 = 1;

/// A school, a district or a company, with the names of its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    #[serde(rename = "organization_id", with = "columns::text")]
    pub id: OrganizationId,
    /// The name shown to people.
    pub display_name: String,
    /// The prefix of every enrollment code (B4).
    #[serde(with = "columns::text")]
    pub code_prefix: CodePrefix,
    /// Licensed seats; 0: no limit.
    pub seat_limit: i64,
    /// The caller's own labels.
    #[serde(with = "columns::json")]
    pub labels: BTreeMap<String, String>,
    /// The revision, which grows by one with every change; the etag.
    pub revision: i64,
    /// When it was made.
    #[serde(with = "columns::time")]
    pub create_time: DateTime<Utc>,
    /// When it last changed.
    #[serde(with = "columns::time")]
    pub update_time: DateTime<Utc>,
}

impl Organization {
    /// Returns a new organization, to which [`OrganizationFields`] give the rest.
    #[must_use]
    pub fn new(id: OrganizationId, code_prefix: CodePrefix, now: DateTime<Utc>) -> Self {
        Self {
            id,
            display_name: String::new(),
            code_prefix,
            seat_limit: 0,
            labels: BTreeMap::new(),
            revision: FIRST_REVISION,
            create_time: now,
            update_time: now,
        }
    }
}

/// The fields of an organization that staff set.
#[derive(Debug, Clone, Default)]
pub struct OrganizationFields {
    /// The name shown to people.
    pub display_name: Patch<String>,
    /// Licensed seats; 0: no limit.
    pub seat_limit: Patch<i64>,
    /// Labels.
    pub labels: Patch<BTreeMap<String, String>>,
}

impl OrganizationFields {
    /// Sets the fields.
    pub fn set(self, organization: &mut Organization) {
        self.display_name.set(&mut organization.display_name);
        self.seat_limit.set(&mut organization.seat_limit);
        self.labels.set(&mut organization.labels);
    }
}
