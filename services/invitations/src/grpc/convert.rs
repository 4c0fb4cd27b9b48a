//! Parts of requests that several methods share, as typed values. Violations are recorded, and answered together with
//! all others.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_kit::{
    Result,
    email::EmailAddress,
    filter::{FieldKind, Filter, Value},
    validation::Violations,
};
use prost_types::Duration;

use crate::domain::{
    invitation::InvitationFilter,
    lock::{LockPeriod, LockPeriodOutOfRange},
};

/// The maximum number of people for an invitation with a limit.
pub(crate) const MAX_USES_MAX: u32 = 1_000_000;
/// The maximum length of a label for staff, in characters.
pub(crate) const DISPLAY_NAME_CHARS_MAX: usize = 200;

/// Reads a use limit; None is any number. 0 means None; unset means `default`.
pub(crate) fn max_uses(
    violations: &mut Violations,
    field: &str,
    value: Option<i32>,
    default: Option<u32>,
) -> Option<u32> {
    let Some(value) = value else { return default };
    match u32::try_from(value) {
        Ok(0) => None,
        Ok(limit) if limit <= MAX_USES_MAX => Some(limit),
        _ => {
            violations.add(
                field,
                format!("must be 1 to {MAX_USES_MAX}, or 0 for any number"),
            );
            default
        }
    }
}

/// Reads an address in its canonical form, by which it is compared; None if it is empty.
pub(crate) fn email(violations: &mut Violations, field: &str, text: &str) -> Option<EmailAddress> {
    violations.email(field, &text.to_ascii_lowercase())
}

/// Returns an external id, which is compared exactly; `None` if it is empty.
pub(crate) fn external_id(violations: &mut Violations, field: &str, text: &str) -> Option<String> {
    Some(violations.external_id(field, text)).filter(|id| !id.is_empty())
}

/// Reads a time that must be in the future, and at most `longest` ahead if that is given.
pub(crate) fn time_to_come(
    violations: &mut Violations,
    field: &str,
    timestamp: Option<&prost_types::Timestamp>,
    now: DateTime<Utc>,
    longest: Option<TimeDelta>,
) -> Option<DateTime<Utc>> {
    let time = violations.timestamp(field, &timestamp.copied())?;
    violations.check(time > now, field, "must be in the future");
    if let Some(longest) = longest {
        violations.check(
            time <= now + longest,
            field,
            format!("must be at most {} days ahead", longest.num_days()),
        );
    }
    Some(time)
}

/// Reads the lock period of a class code: unset is 14 days, 0 is never (C4).
pub(crate) fn lock_period(
    violations: &mut Violations,
    field: &str,
    duration: Option<&Duration>,
) -> LockPeriod {
    let Some(duration) = duration else {
        return LockPeriod::DEFAULT;
    };
    if duration.seconds == 0 && duration.nanos == 0 {
        return LockPeriod::NEVER;
    }
    let parsed = u32::try_from(duration.nanos)
        .ok()
        // Databases store microseconds.
        .and_then(|nanos| TimeDelta::new(duration.seconds, nanos / 1_000 * 1_000))
        .ok_or(LockPeriodOutOfRange)
        .and_then(LockPeriod::after);
    violations.take(field, parsed).unwrap_or_default()
}

/// Parses the filter of a list of invitations over `fields`, each of which is compared by `=`, once.
pub(crate) fn filter(text: &str, fields: &[(&str, FieldKind)]) -> Result<InvitationFilter> {
    let filter = Filter::parse(text, fields)?;
    Ok(InvitationFilter {
        assigned_email: filter.equal_email("assigned_email")?,
        external_id: filter.equal_external_id("external_id")?,
        enabled: match filter.equal("enabled")? {
            Some(Value::Bool(enabled)) => Some(*enabled),
            _ => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use homeroom_api::common::v1::ErrorReason;

    use super::*;

    fn reasons(violations: Violations) -> Option<ErrorReason> {
        violations.finish().err().map(|error| error.reason())
    }

    #[test]
    fn x4_uses_are_one_to_a_million_or_any_number() {
        for (value, expected) in [
            (None, Some(1)),
            (Some(0), None),
            (Some(1), Some(1)),
            (Some(1_000_000), Some(1_000_000)),
        ] {
            let mut violations = Violations::new();
            assert_eq!(max_uses(&mut violations, "f", value, Some(1)), expected);
            assert!(violations.is_empty());
        }
        for value in [-1, 1_000_001, i32::MIN, i32::MAX] {
            let mut violations = Violations::new();
            max_uses(&mut violations, "f", Some(value), Some(1));
            assert_eq!(
                reasons(violations),
                Some(ErrorReason::InvalidRequest),
                "{value}"
            );
        }
    }

    #[test]
    fn c4_a_lock_period_is_an_hour_to_a_year_or_for_ever() {
        let day = 86_400;
        let parse = |seconds, nanos| {
            let mut violations = Violations::new();
            let period = lock_period(&mut violations, "f", Some(&Duration { seconds, nanos }));
            violations.is_empty().then_some(period)
        };
        assert_eq!(parse(0, 0), Some(LockPeriod::NEVER));
        assert!(parse(3_600, 0).is_some());
        assert!(parse(365 * day, 0).is_some());
        for (seconds, nanos) in [
            (3_599, 999_999_999),
            (365 * day, 1_000),
            (-1, 0),
            (0, -1),
            (i64::MAX, 0),
        ] {
            assert_eq!(parse(seconds, nanos), None, "{seconds} {nanos}");
        }
        let mut violations = Violations::new();
        assert_eq!(lock_period(&mut violations, "f", None), LockPeriod::DEFAULT);
    }

    #[test]
    fn a8_an_assigned_address_is_kept_in_its_canonical_form() {
        let mut violations = Violations::new();
        let parsed = email(&mut violations, "f", " Mia@Hamilton.Example ").unwrap();
        assert_eq!(parsed.to_string(), "mia@hamilton.example");
        assert_eq!(email(&mut violations, "f", "@"), None);
        assert_eq!(reasons(violations), Some(ErrorReason::EmailMalformed));
    }

    #[test]
    fn a_filter_compares_by_equality_and_each_field_once() {
        const FIELDS: &[(&str, FieldKind)] = &[
            ("assigned_email", FieldKind::Text),
            ("external_id", FieldKind::Text),
        ];
        let parsed = filter("assigned_email = \"Mia@hamilton.example\"", FIELDS).unwrap();
        assert_eq!(
            parsed.assigned_email.as_deref(),
            Some("mia@hamilton.example")
        );
        let parsed = filter("external_id = \" s-1\u{a0}\"", FIELDS).unwrap();
        assert_eq!(parsed.external_id.as_deref(), Some("s-1"));
        for text in [
            "external_id != a",
            "external_id = a AND external_id = b",
            "external_id = \"\"",
            "external_id = \" \"",
            "assigned_email = nobody",
            "phrase = a",
        ] {
            let error = filter(text, FIELDS).unwrap_err();
            assert_eq!(error.reason(), ErrorReason::InvalidFilter, "{text}");
        }
    }

    #[test]
    fn a_time_to_come_is_judged_to_its_edges() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let longest = TimeDelta::days(365);
        let right = |time: DateTime<Utc>| {
            let mut violations = Violations::new();
            let timestamp = homeroom_kit::clock::to_timestamp(time);
            time_to_come(&mut violations, "f", Some(&timestamp), now, Some(longest));
            violations.is_empty()
        };
        assert!(!right(now));
        assert!(right(now + TimeDelta::microseconds(1)));
        assert!(right(now + longest));
        assert!(!right(now + longest + TimeDelta::microseconds(1)));
    }
}
