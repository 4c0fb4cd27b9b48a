//! A class of an organization.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::ClassName};
use homeroom_kit::{rpc::Patch, store::columns};
use serde::{Deserialize, Serialize};

use super::organization::FIRST_REVISION;

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
    /// The id in the school's own system: at most 255 characters; empty if there is none.
    pub external_id: String,
    /// The revision, which grows by one with every change; the etag.
    pub revision: i64,
    /// When it was made.
    #[serde(with = "columns::time")]
    pub create_time: DateTime<Utc>,
    /// When it last changed.
    #[serde(with = "columns::time")]
    pub update_time: DateTime<Utc>,
}

impl Class {
    /// Returns a new class, to which [`ClassFields`] give the rest.
    #[must_use]
    pub fn new(name: ClassName, owner: UserId, now: DateTime<Utc>) -> Self {
        Self {
            name,
            display_name: String::new(),
            owner,
            state: ClassState::Active,
            labels: BTreeMap::new(),
            external_id: String::new(),
            revision: FIRST_REVISION,
            create_time: now,
            update_time: now,
        }
    }
}

/// The fields of a class that staff set.
#[derive(Debug, Clone, Default)]
pub struct ClassFields {
    /// The name shown to people.
    pub display_name: Patch<String>,
    /// Labels.
    pub labels: Patch<BTreeMap<String, String>>,
    /// The id in the school's own system.
    pub external_id: Patch<String>,
}

impl ClassFields {
    /// Sets the fields.
    pub fn set(self, class: &mut Class) {
        self.display_name.set(&mut class.display_name);
        self.labels.set(&mut class.labels);
        self.external_id.set(&mut class.external_id);
    }
}

/// The classes of an organization that a list shows.
#[derive(Debug, Clone, Default)]
pub struct ClassFilter {
    /// Only those in this state.
    pub state: Option<ClassState>,
    /// Only those that this user owns.
    pub owner: Option<UserId>,
    /// Only those with this external id.
    pub external_id: Option<String>,
}

homeroom_kit::named! {
    /// The state of a class.
    pub enum ClassState: as_str, parse {
        /// People can join.
        Active = "ACTIVE",
        /// Nobody can join; members and history stay.
        Archived = "ARCHIVED",
    }
}
