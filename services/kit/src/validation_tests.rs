use tonic_types::StatusExt as _;

use super::*;

fn fields(violations: Violations) -> Vec<String> {
    let Err(error) = violations.finish() else {
        return Vec::new();
    };
    let found = error.field_violations().iter();
    found.map(|found| found.field.clone()).collect()
}

#[test]
fn every_violation_is_named_at_once() {
    let mut violations = Violations::new();
    violations.add("one", "is wrong");
    assert_eq!(violations.take::<u8, _>("two", "x".parse::<u8>()), None);
    assert_eq!(violations.take("three", "3".parse::<u8>()), Some(3));
    let error = violations.finish().unwrap_err();
    assert_eq!(error.reason(), ErrorReason::InvalidRequest);
    assert_eq!(error.field_violations().len(), 2);
    assert_eq!(error.message(), "Correct the fields one, two.");
    assert!(Violations::new().finish().is_ok());
}

#[test]
fn a_reason_that_all_violations_share_is_the_answer() {
    let mut shared = Violations::new();
    shared.add_reason(ErrorReason::WeakCode, "code", "is easy to guess");
    assert_eq!(shared.finish().unwrap_err().reason(), ErrorReason::WeakCode);
    let mut mixed = Violations::new();
    mixed.add_reason(ErrorReason::WeakCode, "code", "is easy to guess");
    mixed.add("other", "is wrong");
    let reason = mixed.finish().unwrap_err().reason();
    assert_eq!(reason, ErrorReason::InvalidRequest);
}

#[test]
fn violations_beyond_the_bound_are_counted() {
    let of = |count: usize| {
        let mut violations = Violations::new();
        for number in 0..count {
            violations.add(&format!("field_{number}"), "is wrong");
        }
        violations.finish().unwrap_err()
    };
    for (more, last) in [
        (0, "is wrong"),
        (1, "and 1 more"),
        (10_000, "and 10000 more"),
    ] {
        let status = tonic::Status::from(of(VIOLATIONS_MAX + more));
        let told = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(told.len(), VIOLATIONS_MAX + more.min(1));
        assert_eq!(told.last().unwrap().description, last);
    }
    assert!(of(MESSAGE_FIELDS_MAX).message().ends_with(", field_9."));
    let message = of(MESSAGE_FIELDS_MAX + 1);
    assert!(message.message().ends_with(", field_9 and 1 more."));
}

#[test]
fn a_violation_that_is_only_counted_has_its_reason() {
    let mut violations = Violations::new();
    for _ in 0..VIOLATIONS_MAX {
        violations.add_reason(ErrorReason::WeakCode, "code", "is easy to guess");
    }
    violations.add("other", "is wrong");
    let reason = violations.finish().unwrap_err().reason();
    assert_eq!(reason, ErrorReason::InvalidRequest);
}

#[test]
fn texts_are_cleaned_and_bounded_in_characters_not_bytes() {
    let mut violations = Violations::new();
    assert_eq!(violations.display_name("name", "é\u{202e}é\0é", 3), "ééé");
    let _ = violations.display_name("long", "éééé", 3);
    let _ = violations.required_display_name("blank", " \u{200f}", 3);
    let _ = violations.required_display_name("invisible", "\u{200b}", 3);
    assert_eq!(violations.note("note", "a\n\u{2066}b", 3), "a\nb");
    let _ = violations.note("long note", "a\nbb", 3);
    assert_eq!(violations.external_id("id", " s-1 "), "s-1");
    let _ = violations.external_id("turning id", "s\u{202e}1");
    let expected = ["long", "blank", "invisible", "long note", "turning id"];
    assert_eq!(fields(violations), expected);
}

#[test]
fn labels_are_bounded() {
    let labels = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let check = |labels| {
        let mut violations = Violations::new();
        let _ = violations.labels("labels", &labels);
        violations.is_empty()
    };
    assert!(check(labels(&"k".repeat(63), &"v".repeat(63))));
    assert!(!check(labels(&"k".repeat(64), "")));
    assert!(!check(labels("k", &"v".repeat(64))));
    assert!(!check(labels("", "")));
    assert!(!check(labels("1k", "")));
    assert!(!check(labels("K", "")));
    let many = |count: usize| {
        (0..count)
            .map(|i| (format!("k{i}"), String::new()))
            .collect()
    };
    assert!(check(many(64)));
    assert!(!check(many(65)));
}

#[test]
fn timestamps_outside_the_calendar_are_refused() {
    let parse = |seconds, nanos| {
        let mut violations = Violations::new();
        let time = violations.timestamp("t", &Some(Timestamp { seconds, nanos }));
        (time.is_some(), violations.is_empty())
    };
    assert_eq!(parse(TIMESTAMP_SECONDS_MIN, 0), (true, true));
    assert_eq!(parse(TIMESTAMP_SECONDS_MIN - 1, 0), (false, false));
    assert_eq!(parse(TIMESTAMP_SECONDS_MAX, 999_999_999), (true, true));
    assert_eq!(parse(TIMESTAMP_SECONDS_MAX + 1, 0), (false, false));
    assert_eq!(parse(0, -1), (false, false));
    assert_eq!(parse(0, 1_000_000_000), (false, false));
    let mut violations = Violations::new();
    assert_eq!(violations.timestamp("t", &None), None);
    let within_a_microsecond = Timestamp {
        seconds: 0,
        nanos: 1_999,
    };
    let time = violations.timestamp("t", &Some(within_a_microsecond));
    assert_eq!(time.unwrap().timestamp_subsec_nanos(), 1_000);
    assert!(violations.is_empty());
}

#[test]
fn a_mask_names_known_fields_and_without_one_what_is_populated_is_touched() {
    let touched = |paths: &[&str], populated: bool| {
        let paths = paths.iter().map(ToString::to_string).collect();
        let mut violations = Violations::new();
        let mask = violations.mask(Some(&FieldMask { paths }), &["a", "b"]);
        assert!(violations.is_empty());
        ["a", "b"].map(|field| mask.touches(field, populated))
    };
    assert_eq!(touched(&["a", "a"], false), [true, false]);
    assert_eq!(touched(&["*"], false), [true, true]);
    assert_eq!(touched(&[], true), [true, true]);
    assert_eq!(touched(&[], false), [false, false]);
    let mut violations = Violations::new();
    assert!(violations.mask(None, &["a"]).touches("a", true));
    for paths in [&["name"][..], &["*", "name"], &["name", "*"]] {
        let paths = paths.iter().map(ToString::to_string).collect();
        let mut violations = Violations::new();
        violations.mask(Some(&FieldMask { paths }), &["a"]);
        assert_eq!(fields(violations), ["update_mask"]);
    }
}

#[test]
fn request_ids_are_uuids_or_absent() {
    let mut violations = Violations::new();
    assert_eq!(violations.request_id(""), None);
    assert!(violations.is_empty());
    let text = "018bcfe5-687b-7000-8000-000000000001";
    assert_eq!(violations.request_id(text).unwrap().to_string(), text);
    assert_eq!(violations.request_id("no"), None);
    assert_eq!(fields(violations), ["request_id"]);
}
