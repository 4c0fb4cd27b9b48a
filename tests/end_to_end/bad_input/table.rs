//! The contents of hostile or broken requests, each row with the rule that it violates.

use serde_json::{Value, json};
use tonic::Code;

use super::addresses_and_codes::{codes, domains, emails};

/// A field with a bad value, and the required answer.
pub(crate) struct Spoilt {
    /// The violated rule, one of [`RULES`].
    pub(crate) rule: &'static str,
    pub(crate) what: &'static str,
    pub(crate) path: &'static str,
    pub(crate) value: Value,
    pub(crate) code: Code,
    pub(crate) reason: &'static str,
    /// The field that the violation names, by default the path.
    pub(crate) names: &'static str,
    /// A part of the names of the methods to which it applies; empty for all that have the field.
    pub(crate) of: &'static str,
}

impl Spoilt {
    pub(super) const fn for_reason(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }
}

/// Every rule about a request's content.
#[rustfmt::skip]
pub(crate) const RULES: [&str; 32] = [
    "02 resource names", "02 chosen ids", "02 user ids", "02 required fields", "02 bounds", "02 batches",
    "02 enums", "02 page_size", "02 page_token", "02 filter", "02 request_id", "02 update_mask", "02 etag",
    "02 credential of 512 bytes", "02 EMAIL_MALFORMED", "02 CODE_MALFORMED", "02 DOMAIN_TOO_BROAD",
    "02 WEAK_CODE", "03 control characters", "03 bidirectional characters", "03 look-alike characters",
    "03 invisible characters", "03 URLs of the configured host only", "03 one @", "03 no quoted local part",
    "03 no encoded words", "03 IDNA 2008", "03 no trailing dot", "03 domain names", "03 no public suffix",
    "03 no free webmail host", "03 addresses of devices",
];

/// The bounds that the rows of each rule exceed.
#[rustfmt::skip]
pub(super) const PASSED: &[(&str, &[&str])] = &[
    ("02 chosen ids", &["CHOSEN_ID_MIN_CHARS", "CHOSEN_ID_MAX_CHARS"]),
    ("02 user ids", &["USER_ID_MAX_CHARS"]),
    ("02 EMAIL_MALFORMED", &["MAX_EMAIL_BYTES", "MAX_LOCAL_PART_BYTES"]),
    ("02 filter", &["FILTER_CHARS_MAX", "CONDITIONS_MAX"]),
    ("02 page_token", &["PAGE_TOKEN_BYTES_MAX"]),
    ("02 bounds", &["LABELS_MAX", "LABEL_KEY_CHARS_MAX", "LABEL_VALUE_CHARS_MAX", "DISPLAY_NAME_CHARS_MAX",
        "EXTERNAL_ID_CHARS_MAX", "DECIDE_NOTE_CHARS_MAX", "SEAT_LIMIT_MAX", "REMOVALS_PERCENT_MAX", "CODE_PREFIX_CHARS_MIN",
        "CODE_PREFIX_CHARS_MAX", "MAX_USES_MAX", "TOKEN_EXPIRY_DAYS_MAX", "MIN_LOCK_PERIOD_HOURS",
        "MAX_LOCK_PERIOD_DAYS", "MIN_PHRASE_WORDS", "MAX_PHRASE_WORDS", "MAX_DOMAIN_RULES"]),
    ("03 domain names", &["MAX_DOMAIN_RULE_BYTES"]),
    ("02 credential of 512 bytes", &["MAX_CREDENTIAL_BYTES", "MAX_PASTED_BYTES"]),
    ("02 batches", &["DECISIONS_MAX", "TOKEN_BATCH_MAX", "BATCH_REQUESTS_MAX", "ADMISSIONS_MAX", "ROSTER_ROWS_MAX"]),
    ("02 CODE_MALFORMED", &["MIN_CODE_CHARACTERS", "MAX_CODE_CHARACTERS", "MAX_CODE_BYTES"]),
];

pub(super) const fn row(
    rule: &'static str,
    what: &'static str,
    path: &'static str,
    value: Value,
) -> Spoilt {
    Spoilt {
        rule,
        what,
        path,
        value,
        code: Code::InvalidArgument,
        reason: "INVALID_REQUEST",
        names: path,
        of: "",
    }
}

/// Returns the bad values for every such field of a request. The path is its place, which the
/// violation names.
pub(crate) fn spoilers() -> Vec<Spoilt> {
    #[rustfmt::skip]
    let rows = [names(), text(), numbers_and_times(), lists(), conventions(), emails(), codes(), domains()];
    rows.into_iter().flatten().collect()
}

fn names() -> Vec<Spoilt> {
    let mut rows = Vec::new();
    #[rustfmt::skip]
    let paths = ["name", "parent", "organization.name", "class.name", "member.name", "invite_token.name", "token.name", "enrollment_code.name", "class_code.name", "join_url.name", "redemption", "organization", "target", "move_id"];
    for path in paths {
        for (what, value) in [
            ("missing", String::new()),
            ("of another shape", "nonsense".to_owned()),
            ("too long", format!("organizations/{}", "a".repeat(64))),
            ("wrong alphabet", "organizations/Hämilton".to_owned()),
        ] {
            rows.push(row("02 resource names", what, path, json!(value)));
        }
    }
    let made = "01900000-0000-7000-8000-00000000000a";
    for path in ["organization_id", "class_id"] {
        for (what, value) in [
            ("too short", "ab".to_owned()),
            ("too long", "a".repeat(64)),
            ("wrong alphabet", "No!".to_owned()),
            ("not begun by a letter", "1ab".to_owned()),
            ("made by a server", made.to_owned()),
        ] {
            rows.push(row("02 chosen ids", what, path, json!(value)));
        }
    }
    #[rustfmt::skip]
    let paths = ["admin", "owner", "user", "member.user", "user.user", "class.owner"];
    for path in paths {
        for (what, value) in [
            ("too long", "u".repeat(801)),
            ("with a slash", "a/b".to_owned()),
            ("with a space", "a b".to_owned()),
            ("not ASCII", "ä".to_owned()),
        ] {
            rows.push(row("02 user ids", what, path, json!(value)));
        }
    }
    rows.extend(nobodys_ids());
    let none = json!("");
    for path in ["invitation", "revision"] {
        rows.push(row("02 required fields", "missing", path, none.clone()));
    }
    let secret = json!("organizations/hamilton/secret");
    rows.push(Spoilt {
        of: "BatchRemoveMembers",
        ..row(
            "02 resource names",
            "of another shape",
            "invitation",
            secret,
        )
    });
    rows
}

/// Ids that a caller may not newly name as a person: the system, an erased person, the caller (`me`) and everyone. The
/// services may name all of them to each other.
fn nobodys_ids() -> Vec<Spoilt> {
    let mut rows = Vec::new();
    let erased = "erased-01900000-0000-7000-8000-00000000000a";
    for id in ["system", erased, "me", "-"] {
        for (path, value, of) in [
            ("admin", id.to_owned(), ""),
            ("owner", id.to_owned(), ""),
            ("class.owner", id.to_owned(), ""),
            ("member.user", id.to_owned(), ""),
            ("user.user", id.to_owned(), ".RedemptionService."),
            ("name", format!("users/{id}"), ".UserService."),
            ("target", format!("users/{id}"), ".UserService."),
        ] {
            rows.push(Spoilt {
                of,
                ..row("02 user ids", id, path, json!(value))
            });
        }
    }
    rows
}

fn text() -> Vec<Spoilt> {
    let mut rows = Vec::new();
    for path in ["organization.display_name", "class.display_name"] {
        for (what, nothing) in [
            ("missing", ""),
            ("blank", " "),
            ("a zero-width space", "\u{200b}"),
            ("invisible", "\u{feff}\u{2060}\u{3164}\u{2800}\u{200d}"),
        ] {
            rows.push(row("02 required fields", what, path, json!(nothing)));
        }
    }
    for (path, longest) in [
        ("organization.display_name", 200),
        ("class.display_name", 200),
        ("token.display_name", 200),
        ("enrollment_code.display_name", 200),
        ("member.external_id", 255),
        ("class.external_id", 255),
        ("token.external_id", 255),
        ("decide_note", 500),
    ] {
        let long = json!("x".repeat(longest + 1));
        rows.push(row("02 bounds", "too long", path, long));
    }
    for path in [
        "member.external_id",
        "class.external_id",
        "token.external_id",
    ] {
        let control = json!("Ada\u{0}");
        rows.push(row("03 control characters", "controlling", path, control));
        let turned = json!("\u{202e}adA");
        rows.push(row("03 bidirectional characters", "turned", path, turned));
    }
    for path in ["organization.labels", "class.labels"] {
        let many: Value = (0..65).map(|n| (format!("k{n}"), json!(""))).collect();
        for (what, value) in [
            ("wrong alphabet", json!({"Not A Key": "x"})),
            ("too many", many),
            ("a key too long", json!({ ("k".repeat(64)): "x" })),
            ("a value too long", json!({"k": "x".repeat(64)})),
        ] {
            rows.push(row("02 bounds", what, path, value));
        }
        let control = json!({"k": "a\u{7}"});
        rows.push(row("03 control characters", "controlling", path, control));
    }
    for prefix in ["H", "HHHHHHHHHHHHHHHHH", "HA-MI", "HÄ"] {
        let path = "organization.code_prefix";
        rows.push(row("02 bounds", "no prefix", path, json!(prefix)));
    }
    rows
}

fn numbers_and_times() -> Vec<Spoilt> {
    let bound = |what, path, value| row("02 bounds", what, path, value);
    #[rustfmt::skip]
    let mut rows = vec![
        bound("negative", "organization.seat_limit", json!(-1)),
        bound("too large", "organization.seat_limit", json!(1_000_000_001_i64)),
        bound("negative", "removals_percent_max", json!(-1)),
        bound("too large", "removals_percent_max", json!(101)),
        bound("negative", "seats_planned", json!(-1)),
        bound("too large", "seats_planned", json!(1_000_000_001_i64)),
        bound("negative", "token.max_uses", json!(-1)),
        bound("too large", "token.max_uses", json!(1_000_001)),
        bound("too few", "token.words", json!(1)),
        bound("too many", "token.words", json!(5)),
        bound("negative", "enrollment_code.max_uses", json!(-1)),
        bound("too large", "enrollment_code.max_uses", json!(1_000_001)),
        bound("negative", "class_code.lock_period", json!("-1s")),
        bound("too short", "class_code.lock_period", json!("3599s")),
        bound("too long", "class_code.lock_period", json!("31536001s")),
        bound("past", "token.expire_time", json!("2020-01-01T00:00:00Z")),
        bound("too far", "token.expire_time", json!("2999-01-01T00:00:00Z")),
        bound("past", "invite_token.expire_time", json!("2020-01-01T00:00:00Z")),
        bound("negative", "epoch", json!(-1)),
    ];
    for path in ["permission", "route", "method"] {
        rows.push(row("02 enums", "missing", path, json!(0)));
        rows.push(row("02 enums", "unknown", path, json!(99)));
    }
    rows.push(row("02 enums", "unknown", "member.role", json!(99)));
    rows
}

fn lists() -> Vec<Spoilt> {
    let batch = |what, path, value| row("02 batches", what, path, value);
    let many = |count: usize| json!(vec![json!({}); count]);
    let of = |of, spoilt| Spoilt { of, ..spoilt };
    vec![
        batch("missing", "requests", json!([])),
        batch("missing", "rows", json!([])),
        batch("too many", "rows", many(501)),
        of(
            "BatchDecideJoinRequests",
            batch("too many", "requests", many(1_001)),
        ),
        of(
            "BatchCreateTokens",
            batch("too many", "requests", many(1_001)),
        ),
        of("BatchRedeem", batch("too many", "requests", many(501))),
        of("BatchAdmit", batch("too many", "requests", many(501))),
    ]
}

fn conventions() -> Vec<Spoilt> {
    #[rustfmt::skip]
    let mut rows = vec![
        row("02 page_size", "negative", "page_size", json!(-1)),
        row("02 request_id", "not a UUID", "request_id", json!("retry-1")),
        row("02 update_mask", "of an unknown field", "update_mask", json!("color")),
        row("02 required fields", "missing", "credential", json!("")),
        row("02 credential of 512 bytes", "too long", "credential", json!("x".repeat(513))),
        row("02 credential of 512 bytes", "a link, too long", "credential", json!(format!("https://join.school.example/c/ABCDEFGHJKMN?{}", "x".repeat(4_096)))),
        row("03 addresses of devices", "not an address", "client_ip", json!("nowhere")),
        row("03 addresses of devices", "a host and port", "client_ip", json!("127.0.0.1:80")),
    ];
    for token in ["garbage".to_owned(), "A".repeat(2_049), "AAAA".repeat(20)] {
        let bad = row("02 page_token", "not ours", "page_token", json!(token));
        rows.push(bad.for_reason("INVALID_PAGE_TOKEN"));
    }
    for filter in [
        "(((".to_owned(),
        "no_such_field = 1".to_owned(),
        "user".to_owned(),
        "'; DROP TABLE members".to_owned(),
        "join_time > \"2026-09-01T00:00:00Z\"".to_owned(),
        format!("no_such_field={}", "a".repeat(1_001)),
        ["no_such_field=a"; 11].join(" AND "),
    ] {
        let bad = row("02 filter", "unreadable", "filter", json!(filter));
        rows.push(bad.for_reason("INVALID_FILTER"));
    }
    #[rustfmt::skip]
    let paths = ["etag", "organization.etag", "class.etag", "member.etag", "invite_token.etag", "token.etag", "enrollment_code.etag", "class_code.etag", "join_url.etag"];
    for path in paths {
        rows.push(Spoilt {
            code: Code::Aborted,
            ..row("02 etag", "of another version", path, json!("\"999\""))
                .for_reason("ETAG_MISMATCH")
        });
    }
    rows
}
