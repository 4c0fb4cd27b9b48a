//! Filters of lists: `Filter::parse`.

use std::fmt::Write as _;

use chrono::{Datelike as _, SecondsFormat};
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::filter::{
    CONDITIONS_MAX, Condition, FILTER_CHARS_MAX, FieldKind, Filter, Operator, Value,
};

const STATES: &[&str] = &["ACTIVE", "REVOKED"];
const FIELDS: &[(&str, FieldKind)] = &[
    ("user", FieldKind::Text),
    ("state", FieldKind::Enum(STATES)),
    ("create_time", FieldKind::Time),
    ("enabled", FieldKind::Bool),
];

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    let text = crate::text(data);
    let filter = match Filter::parse(&text, FIELDS) {
        Ok(filter) => filter,
        Err(refused) => {
            assert_eq!(refused.reason(), ErrorReason::InvalidFilter);
            return;
        }
    };
    assert!(text.chars().count() <= FILTER_CHARS_MAX);
    assert!(filter.0.len() <= CONDITIONS_MAX);
    assert_eq!(filter.0.is_empty(), text.trim().is_empty());
    let mut written = String::new();
    for condition in &filter.0 {
        check_condition(condition);
        let joint = if written.is_empty() { "" } else { " AND " };
        let Condition {
            field, operator, ..
        } = condition;
        let value = match &condition.value {
            Value::Text(text) => text.replace('\\', "\\\\").replace('"', "\\\""),
            Value::Bool(value) => value.to_string(),
            Value::Time(time) => time.to_rfc3339_opts(SecondsFormat::Micros, true),
        };
        write!(written, "{joint}{field} {} \"{value}\"", operator.as_str()).unwrap();
    }
    // Written out and parsed again, it is the same.
    let is_writable = filter.0.iter().all(|condition| match &condition.value {
        Value::Time(time) => (0..=9999).contains(&time.year()),
        Value::Text(_) | Value::Bool(_) => true,
    });
    if is_writable && written.chars().count() <= FILTER_CHARS_MAX {
        assert_eq!(
            Filter::parse(&written, FIELDS).unwrap(),
            filter,
            "{written}"
        );
    }
}

fn check_condition(condition: &Condition) {
    let (_, kind) = FIELDS
        .iter()
        .find(|(name, _)| *name == condition.field)
        .expect("a field of the list");
    let equality = matches!(condition.operator, Operator::Equal | Operator::NotEqual);
    match (kind, &condition.value) {
        (FieldKind::Text, Value::Text(_)) | (FieldKind::Bool, Value::Bool(_)) => assert!(equality),
        (FieldKind::Enum(names), Value::Text(name)) => {
            assert!(equality && names.contains(&name.as_str()));
        }
        (FieldKind::Time, Value::Time(time)) => {
            assert_eq!(
                time.timestamp_subsec_nanos() % 1_000,
                0,
                "finer than it is stored"
            );
        }
        (kind, value) => panic!("{kind:?} {value:?}"),
    }
}
