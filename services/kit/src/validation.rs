//! Collects all violations of a request, so that one answer reports them together.

use std::{collections::BTreeMap, fmt::Display};

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;
use prost_types::{FieldMask, Timestamp};
use uuid::Uuid;

use crate::{
    email::EmailAddress,
    person,
    rpc::Patch,
    status::{Error, FieldViolation, Result},
};

/// Maximum number of violations that one answer describes; the others are counted. An answer describes fewer of those
/// that are long ([`STATUS_BYTES_MAX`](crate::status::STATUS_BYTES_MAX)).
pub const VIOLATIONS_MAX: usize = 50;
/// Maximum number of fields that the message of an answer names; the violations name the others.
pub const MESSAGE_FIELDS_MAX: usize = 10;
/// Maximum number of labels on one resource.
pub const LABELS_MAX: usize = 64;
/// Maximum length of a label's key, in characters: `[a-z][a-z0-9_-]*`.
pub const LABEL_KEY_CHARS_MAX: usize = 63;
/// Maximum length of a label's value, in characters.
pub const LABEL_VALUE_CHARS_MAX: usize = 63;

/// The seconds of 0001-01-01T00:00:00Z, the first time that a timestamp may hold.
const TIMESTAMP_SECONDS_MIN: i64 = -62_135_596_800;
/// The seconds of 9999-12-31T23:59:59Z, the last one.
const TIMESTAMP_SECONDS_MAX: i64 = 253_402_300_799;

/// The violations found so far.
#[derive(Debug, Default)]
pub struct Violations {
    described: Vec<FieldViolation>,
    /// The number of violations beyond [`VIOLATIONS_MAX`].
    more: usize,
    /// The reason that all violations share so far; None if they differ or there are none.
    shared: Option<ErrorReason>,
}

impl Violations {
    /// Creates an empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that `field` is wrong.
    pub fn add(&mut self, field: &str, description: impl Into<String>) {
        self.add_reason(ErrorReason::InvalidRequest, field, description);
    }

    /// Records that `field` is wrong, with a specific reason.
    pub fn add_reason(&mut self, reason: ErrorReason, field: &str, description: impl Into<String>) {
        self.shared = if self.is_empty() {
            Some(reason)
        } else {
            self.shared.filter(|shared| *shared == reason)
        };
        if self.described.len() < VIOLATIONS_MAX {
            self.described.push(FieldViolation::new(field, description));
        } else {
            self.more += 1;
        }
    }

    fn count(&self) -> usize {
        self.described.len() + self.more
    }

    /// Records the violation unless `holds`; returns `holds`.
    pub fn check(&mut self, holds: bool, field: &str, description: impl Into<String>) -> bool {
        if !holds {
            self.add(field, description);
        }
        holds
    }

    /// Checks that a page size is not negative. [`crate::paging`] lowers one that is larger than a page.
    pub fn page_size(&mut self, page_size: i32) -> bool {
        self.check(page_size >= 0, "page_size", "must not be negative")
    }

    /// Returns the value, or None after recording its error.
    pub fn take<T, E: Display>(
        &mut self,
        field: &str,
        parsed: std::result::Result<T, E>,
    ) -> Option<T> {
        parsed
            .map_err(|error| self.add(field, error.to_string()))
            .ok()
    }

    /// Returns the name of the resource to change and the etag that guards the change.
    pub fn named<T, E: Display>(
        &mut self,
        parsed: std::result::Result<T, E>,
        etag: &str,
    ) -> Option<(T, String)> {
        self.take("name", parsed).zip(Some(etag.to_owned()))
    }

    /// Returns true if there are no violations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.described.is_empty()
    }

    /// Fails if there are violations: with their reason if all share it, else with `INVALID_REQUEST`. Describes up to
    /// [`VIOLATIONS_MAX`] of them and counts the others in one last line.
    pub fn finish(self) -> Result<()> {
        let message = match self.described.as_slice() {
            [] => return Ok(()),
            [only] => format!("Correct the field {}: {}.", only.field, only.description),
            several => {
                let named: Vec<&str> = several
                    .iter()
                    .take(MESSAGE_FIELDS_MAX)
                    .map(|found| found.field.as_str())
                    .collect();
                let more = match self.count() - named.len() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!("Correct the fields {}{more}.", named.join(", "))
            }
        };
        let reason = self.shared.unwrap_or(ErrorReason::InvalidRequest);
        Err(Error::new(reason, message).violations(self.described, self.more))
    }

    /// Fails like [`Violations::finish`], else returns the value, which is None only if there are violations.
    pub fn finish_with<T>(self, value: Option<T>) -> Result<T> {
        self.finish()?;
        value.ok_or_else(|| Error::internal("a request without violations did not parse"))
    }

    /// Returns a display name in its stored form ([`person::clean`]), and records it if it has more than `max_chars`
    /// characters.
    #[must_use]
    pub fn display_name(&mut self, field: &str, text: &str, max_chars: usize) -> String {
        let name = person::clean(text);
        self.length(field, &name, max_chars);
        name
    }

    /// Does the same as [`Violations::display_name`], and records a name that is empty.
    #[must_use]
    pub fn required_display_name(&mut self, field: &str, text: &str, max_chars: usize) -> String {
        let name = self.display_name(field, text, max_chars);
        self.check(!name.is_empty(), field, "is required");
        name
    }

    /// Returns a note of several lines in its stored form ([`person::clean_lines`]), and records it if it has more than
    /// `max_chars` characters.
    #[must_use]
    pub fn note(&mut self, field: &str, text: &str, max_chars: usize) -> String {
        let note = person::clean_lines(text);
        self.length(field, &note, max_chars);
        note
    }

    /// Returns an external id as [`person::external_id`] parses it, or records why it cannot be stored.
    #[must_use]
    pub fn external_id(&mut self, field: &str, text: &str) -> String {
        self.take(field, person::external_id(text))
            .unwrap_or_default()
    }

    /// Returns an address as [`person::email`] parses it, or records `EMAIL_MALFORMED`.
    pub fn email(&mut self, field: &str, text: &str) -> Option<EmailAddress> {
        person::email(text).unwrap_or_else(|error| {
            self.add_reason(ErrorReason::EmailMalformed, field, error.to_string());
            None
        })
    }

    fn length(&mut self, field: &str, text: &str, max_chars: usize) {
        self.check(
            text.chars().count() <= max_chars,
            field,
            format!("is longer than {max_chars} characters"),
        );
    }

    /// Returns labels: at most 64, with keys `[a-z][a-z0-9_-]*` of up to 63 characters, and values of up to 63.
    pub fn labels(
        &mut self,
        field: &str,
        labels: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        self.check(
            labels.len() <= LABELS_MAX,
            field,
            format!("has more than {LABELS_MAX} labels"),
        );
        for (key, value) in labels.iter().take(LABELS_MAX) {
            let well_formed = key.len() <= LABEL_KEY_CHARS_MAX
                && key.starts_with(|first: char| first.is_ascii_lowercase())
                && key
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
            let described = format!(
                "keys have 1 to {LABEL_KEY_CHARS_MAX} characters of a-z, 0-9, _ and -, the first of them a letter"
            );
            self.check(well_formed, field, described);
            self.length(field, value, LABEL_VALUE_CHARS_MAX);
            let printable = value.chars().all(person::is_printable);
            self.check(printable, field, "holds a control character");
        }
        labels.clone()
    }

    /// Returns the time, truncated to microseconds; None if it is absent, or if it is invalid, which is recorded.
    pub fn timestamp(
        &mut self,
        field: &str,
        timestamp: &Option<Timestamp>,
    ) -> Option<DateTime<Utc>> {
        let timestamp = timestamp.as_ref()?;
        let in_range = (TIMESTAMP_SECONDS_MIN..=TIMESTAMP_SECONDS_MAX).contains(&timestamp.seconds);
        let time = u32::try_from(timestamp.nanos)
            .ok()
            .filter(|nanos| in_range && *nanos < 1_000_000_000)
            .and_then(|nanos| DateTime::from_timestamp(timestamp.seconds, nanos / 1_000 * 1_000));
        if time.is_none() {
            self.add(field, "is not a time between the years 1 and 9999");
        }
        time
    }

    /// Returns the `update_mask` of an update (AIP-134), whose fields must be among `allowed`; `*` stands for all of
    /// them.
    pub fn mask(&mut self, mask: Option<&FieldMask>, allowed: &[&str]) -> Mask {
        let paths = mask.map_or_else(Vec::new, |mask| mask.paths.clone());
        for path in paths.iter().filter(|path| *path != "*") {
            self.check(
                allowed.contains(&path.as_str()),
                "update_mask",
                format!("names a field other than {}", allowed.join(", ")),
            );
        }
        Mask(paths)
    }

    /// Returns the message, which is required.
    pub fn required<'request, T>(
        &mut self,
        field: &str,
        message: Option<&'request T>,
    ) -> Option<&'request T> {
        self.check(message.is_some(), field, "is required");
        message
    }

    /// Returns the required message, or records its absence and returns an empty one, whose fields are then checked.
    pub fn required_or_default<T: Clone + Default>(
        &mut self,
        field: &str,
        message: &Option<T>,
    ) -> T {
        self.required(field, message.as_ref())
            .cloned()
            .unwrap_or_default()
    }

    /// Returns the parsed value of a text that may be empty.
    pub fn optional<T, E: Display>(
        &mut self,
        field: &str,
        text: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Option<T> {
        if text.is_empty() {
            None
        } else {
            self.take(field, parse(text))
        }
    }

    /// Returns the request id (AIP-155): a UUID, or None if empty.
    pub fn request_id(&mut self, request_id: &str) -> Option<Uuid> {
        if request_id.is_empty() {
            return None;
        }
        let parsed = Uuid::try_parse(request_id).map_err(|_| "is not a UUID");
        self.take("request_id", parsed)
    }
}

/// The fields that an update changes: those that its mask names, or without a mask those that are populated.
#[derive(Debug)]
pub struct Mask(Vec<String>);

impl Mask {
    /// Returns the mask of all fields, with which a new resource is read.
    #[must_use]
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Returns the change of a field if the update changes it.
    pub fn patch<T>(&self, field: &str, populated: bool, read: impl FnOnce() -> T) -> Patch<T> {
        if self.touches(field, populated) {
            Patch::Set(read())
        } else {
            Patch::Keep
        }
    }

    /// Returns true if the update changes the field. `populated` is true if the request holds more than the field's
    /// empty value.
    #[must_use]
    pub fn touches(&self, field: &str, populated: bool) -> bool {
        if self.0.is_empty() {
            return populated;
        }
        self.0.iter().any(|path| path == field || path == "*")
    }
}

#[cfg(test)]
#[path = "validation_tests.rs"]
mod tests;
