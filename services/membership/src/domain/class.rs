//! A class of an organization.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::ClassName};
use homeroom_kit::store::columns;
use serde::{Deserialize, Serialize};

/// A class of an organization, with the names of its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// The resource name.
    #[serde(flatten, with = "columns::place")]
    pub name: ClassName,
    /// The name shown to people.
    pub display_name: String,
    /// Its one owner (`LAST_OWNER`).
    #[serde(rename = "owner_user_id", with = "columns::text")]
    pub owner: UserId,
    /// The state, which says if people can join.
    pub state: ClassState,
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
