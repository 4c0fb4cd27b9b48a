//! The table's rows for email addresses, domains, and credentials as people type and paste them.

use serde_json::json;

use super::table::{Spoilt, row};

pub(super) fn emails() -> Vec<Spoilt> {
    let mut rows = Vec::new();
    for path in ["member.email", "token.assigned_email"] {
        for (rule, email) in [
            ("03 one @", "a@b@c.org".to_owned()),
            ("03 one @", "a.b.org".to_owned()),
            ("03 one @", "a@b.org, c@d.org".to_owned()),
            ("03 no quoted local part", "\"a\"@b.org".to_owned()),
            ("03 no quoted local part", "\"a@b.org\"@c.org".to_owned()),
            (
                "03 no encoded words",
                "=?utf-8?q?a=40b.org?=@c.org".to_owned(),
            ),
            ("03 IDNA 2008", "a@☃.org".to_owned()),
            ("03 IDNA 2008", "a@ｂ.org".to_owned()),
            ("03 IDNA 2008", "a@xn--zzzz-.org".to_owned()),
            ("03 IDNA 2008", "a@-b.org".to_owned()),
            ("03 no trailing dot", "a@b.org.".to_owned()),
            ("03 domain names", "a@b".to_owned()),
            ("03 domain names", "a@127.0.0.1".to_owned()),
            ("03 domain names", "a@[127.0.0.1]".to_owned()),
            ("03 control characters", "a@b\u{0}.org".to_owned()),
            ("03 bidirectional characters", "a@b\u{202e}.org".to_owned()),
            ("03 invisible characters", "a@b\u{200d}.org".to_owned()),
            ("02 EMAIL_MALFORMED", format!("{}@b.org", "a".repeat(65))),
            (
                "02 EMAIL_MALFORMED",
                format!("a@{}org", format!("{}.", "b".repeat(49)).repeat(5)),
            ),
        ] {
            rows.push(row(rule, "malformed", path, json!(email)).for_reason("EMAIL_MALFORMED"));
        }
    }
    rows
}

pub(super) fn codes() -> Vec<Spoilt> {
    let mut rows = Vec::new();
    for (rule, text) in [
        ("03 control characters", "BIO\u{0}101".to_owned()),
        ("03 control characters", "BIO\u{7}101".to_owned()),
        ("03 bidirectional characters", "BIO\u{202e}101".to_owned()),
        (
            "03 bidirectional characters",
            "\u{2066}\u{202e}BIO101\u{2069}".to_owned(),
        ),
        ("03 look-alike characters", "BI\u{41e}101".to_owned()),
        ("03 look-alike characters", "\u{392}IO101".to_owned()),
        ("02 CODE_MALFORMED", "BIO_101".to_owned()),
        ("02 CODE_MALFORMED", "BIO,101".to_owned()),
        ("02 CODE_MALFORMED", "B".to_owned()),
    ] {
        for path in ["enrollment_code.code", "credential"] {
            rows.push(row(rule, "malformed", path, json!(text)).for_reason("CODE_MALFORMED"));
        }
    }
    for text in ["B".repeat(65), format!("BIO{}", "-".repeat(254))] {
        let path = "enrollment_code.code";
        rows.push(
            row("02 CODE_MALFORMED", "too long", path, json!(text)).for_reason("CODE_MALFORMED"),
        );
    }
    for url in [
        "https://elsewhere.example/c/ABCDEFGHJKMN",
        "https://join.school.example.evil.example/c/ABCDEFGHJKMN",
        "https://join.school.example@evil.example/c/ABCDEFGHJKMN",
        "https://evil.example\\@join.school.example/c/ABCDEFGHJKMN",
        "javascript://join.school.example/c/ABCDEFGHJKMN",
        "//evil.example/c/ABCDEFGHJKMN",
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fevil.example%2Fc%2FABCDEFGHJKMN",
        "https://lists.example/?u=https%253A%252F%252Fjoin.school.example%252Fc%252FABCDEFGHJKMN",
    ] {
        let rule = "03 URLs of the configured host only";
        rows.push(row(rule, "foreign", "credential", json!(url)).for_reason("CODE_MALFORMED"));
    }
    for text in [
        "Your code is HAMILTON BIO 101",
        "I lost my code",
        "Code BIO101",
    ] {
        let rule = "02 CODE_MALFORMED";
        rows.push(row(rule, "a sentence", "credential", json!(text)).for_reason("CODE_MALFORMED"));
    }
    rows.push(Spoilt {
        names: "enrollment_code.code",
        of: ".CreateEnrollmentCode",
        ..row(
            "02 WEAK_CODE",
            "not acknowledged",
            "acknowledge_weak",
            json!(false),
        )
        .for_reason("WEAK_CODE")
    });
    rows
}

pub(super) fn domains() -> Vec<Spoilt> {
    let path = "enrollment_code.email_domains";
    let mut rows: Vec<_> = [
        "@school.org",
        "*.*.school.org",
        "school.org.",
        "https://school.org",
        "10.0.0.1",
        "sch\u{200b}ool.org",
    ]
    .map(|domain| row("03 domain names", "no domain", path, json!([domain])))
    .into();
    let too_long = format!("{}org", "a.".repeat(130));
    rows.push(row("03 domain names", "too long", path, json!([too_long])));
    let many: Vec<_> = (0..51).map(|n| format!("school{n}.org")).collect();
    rows.push(row("02 bounds", "too many", path, json!(many)));
    for (rule, domain) in [
        ("03 no public suffix", "org"),
        ("03 no public suffix", "*.co.uk"),
        ("03 no public suffix", "k12.ca.us"),
        ("03 no free webmail host", "gmail.com"),
        ("03 no free webmail host", "*.yahoo.co.uk"),
        ("02 DOMAIN_TOO_BROAD", "*.github.io"),
    ] {
        rows.push(row(rule, "too broad", path, json!([domain])).for_reason("DOMAIN_TOO_BROAD"));
    }
    rows
}
