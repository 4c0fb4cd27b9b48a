//! An organization, and the prefix of its enrollment codes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use homeroom_api::ids::OrganizationId;
use homeroom_kit::{rpc::Patch, store::columns};
use serde::{Deserialize, Serialize};

/// The longest display name of an organization or class, in characters.
pub const DISPLAY_NAME_CHARS_MAX: usize = 200;
/// The shortest code prefix, in characters (B4).
pub const CODE_PREFIX_CHARS_MIN: usize = 2;
/// The longest code prefix, in characters (B4).
pub const CODE_PREFIX_CHARS_MAX: usize = 16;
/// Maximum number of seats in a seat limit.
pub const SEAT_LIMIT_MAX: i64 = 1_000_000_000;
/// The revision of a new row.
pub const FIRST_REVISION: i64 = 1;

/// The text that precedes a derived prefix that would otherwise be too short.
const FILLER: &str = "ORG";

/// A school, a district or a company, with the names of its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    #[serde(rename = "organization_id", with = "columns::text")]
    pub id: OrganizationId,
    /// The name shown to people.
    pub display_name: String,
    /// The prefix of every enrollment code (B4).
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

/// The prefix of every enrollment code, `HAMILTON` in `HAMILTON-BIO101`: unique, fixed once set (B4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CodePrefix(String);

impl TryFrom<String> for CodePrefix {
    type Error = InvalidCodePrefix;

    fn try_from(text: String) -> Result<Self, InvalidCodePrefix> {
        Self::parse(&text)
    }
}

/// The error for a text that is not a valid code prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 2 to 16 letters and digits")]
pub struct InvalidCodePrefix;

impl CodePrefix {
    /// Reads a chosen prefix: 2 to 16 ASCII letters and digits, converted to upper case.
    pub fn parse(text: &str) -> Result<Self, InvalidCodePrefix> {
        let valid = (CODE_PREFIX_CHARS_MIN..=CODE_PREFIX_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if valid {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(InvalidCodePrefix)
        }
    }

    /// Returns the prefix derived from an organization's id: its letters and digits in upper case, cut to 16
    /// characters. The first attempt is number 1; later ones begin with their number, for the case that one prefix
    /// begins with the other.
    #[must_use]
    pub fn derived(id: &OrganizationId, attempt: u32) -> Self {
        let mut word: String = id
            .as_str()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_uppercase())
            .collect();
        if word.len() < CODE_PREFIX_CHARS_MIN {
            word.insert_str(0, FILLER);
        }
        let number = if attempt > 1 {
            attempt.to_string()
        } else {
            String::new()
        };
        word.truncate(CODE_PREFIX_CHARS_MAX - number.len());
        Self(number + &word)
    }

    /// Returns the prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_a_chosen_prefix_has_2_to_16_letters_and_digits_and_is_kept_in_capitals() {
        for (text, kept) in [
            ("hamilton", "HAMILTON"),
            ("P9", "P9"),
            ("abcdefgh12345678", "ABCDEFGH12345678"),
        ] {
            assert_eq!(CodePrefix::parse(text).unwrap().as_str(), kept);
        }
        for text in ["", "A", "abcdefgh123456789", "HAM-ILTON", "HÄM", "A B"] {
            assert_eq!(CodePrefix::parse(text), Err(InvalidCodePrefix), "{text}");
        }
    }

    #[test]
    fn b4_a_prefix_is_derived_from_the_id_and_numbered_when_taken() {
        for (id, attempt, derived) in [
            ("hamilton", 1, "HAMILTON"),
            ("north-shore-9", 1, "NORTHSHORE9"),
            ("north-shore-9", 2, "2NORTHSHORE9"),
            ("abcdefghijklmnopqrst", 1, "ABCDEFGHIJKLMNOP"),
            ("abcdefghijklmnopqrst", 12, "12ABCDEFGHIJKLMN"),
            ("a--", 1, "ORGA"),
            ("a--", 2, "2ORGA"),
        ] {
            let id = OrganizationId::parse(id).unwrap();
            let prefix = CodePrefix::derived(&id, attempt);
            assert_eq!(prefix.as_str(), derived);
            assert_eq!(CodePrefix::parse(derived), Ok(prefix));
        }
        let longest = OrganizationId::parse("abcdefghijklmnopqrst").unwrap();
        let prefix = CodePrefix::derived(&longest, u32::MAX);
        assert_eq!(prefix.as_str(), "4294967295ABCDEF");
    }
}
