//! A class of an organization.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::ClassName};

/// A class of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The resource name.
    pub name: ClassName,
    /// The name shown to people.
    pub display_name: String,
    /// Its one owner (`LAST_OWNER`).
    pub owner: UserId,
    /// The state, which says if people can join.
    pub state: ClassState,
    /// The caller's own labels.
    pub labels: BTreeMap<String, String>,
    /// The revision, which grows by one with every change; the etag.
    pub revision: i64,
    /// When it was made.
    pub create_time: DateTime<Utc>,
    /// When it last changed.
    pub update_time: DateTime<Utc>,
}

/// The state of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassState {
    /// People can join.
    Active,
    /// Nobody can join; members and history stay.
    Archived,
}

homeroom_kit::named! {
    ClassState, as_str, parse:
    Active = "ACTIVE",
    Archived = "ARCHIVED",
}

impl fmt::Display for ClassState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
