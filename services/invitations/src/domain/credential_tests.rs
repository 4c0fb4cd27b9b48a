use homeroom_kit::random::SeededRandomness;
use proptest::prelude::*;

use super::*;
use crate::domain::phrase::WordCount;

use InvitationKind::{ClassCode, ClassToken, EnrollmentCode, JoinUrl, OrganizationToken};

fn base() -> PublicUrl {
    PublicUrl::parse("https://join.school.example").unwrap()
}

/// Kinds and canonical forms, so that a failed test shows them.
fn read(text: &str) -> Option<Vec<(InvitationKind, String)>> {
    let credential = Credential::parse(text, &base()).ok()?;
    Some(
        credential
            .candidates()
            .iter()
            .map(|candidate| (candidate.kind, candidate.canonical.expose().to_owned()))
            .collect(),
    )
}

#[test]
fn r1_typed_text_is_every_kind_that_it_can_be_in_a_fixed_order() {
    let token = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (text, expected) in [
        (
            "abcd-efgh-jkmn",
            vec![
                (ClassCode, "ABCDEFGHJKMN"),
                (EnrollmentCode, "ABCDEFGHJKMN"),
            ],
        ),
        (
            "OIL0-1234-5678.",
            vec![
                (ClassCode, "011012345678"),
                (EnrollmentCode, "OIL012345678"),
            ],
        ),
        (
            "Abacus zebra!",
            vec![
                (ClassToken, "abacus-zebra"),
                (EnrollmentCode, "ABACUSZEBRA"),
            ],
        ),
        (
            "hamilton - bio 101",
            vec![(EnrollmentCode, "HAMILTONBIO101")],
        ),
        (
            "“HAMILTON–BIO101”",
            vec![(EnrollmentCode, "HAMILTONBIO101")],
        ),
        (
            token,
            vec![(OrganizationToken, token), (EnrollmentCode, token)],
        ),
        // Twelve letters that are a phrase, a class code and an enrolment code.
        (
            "zebra ability",
            vec![
                (ClassCode, "ZEBRAAB111TY"),
                (ClassToken, "zebra-ability"),
                (EnrollmentCode, "ZEBRAABILITY"),
            ],
        ),
    ] {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(kind, form)| (kind, form.to_owned()))
            .collect();
        assert_eq!(read(text), Some(expected), "{text}");
    }
}

#[test]
fn r1_a_url_of_ours_says_what_it_is() {
    let key = "0123456789ABCDEFGHJKMNPQRS";
    let token = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (text, kind, form) in [
        (
            "https://join.school.example/c/ABCDEFGHJKMN",
            ClassCode,
            "ABCDEFGHJKMN",
        ),
        (
            "<https://join.school.example/c/abcd-efgh-jkmn>.",
            ClassCode,
            "ABCDEFGHJKMN",
        ),
        (
            "http://JOIN.school.example/t/abacus-zebra/?utm_source=x",
            ClassToken,
            "abacus-zebra",
        ),
        (
            "join.school.example/t/Abacus-Zebra#x",
            ClassToken,
            "abacus-zebra",
        ),
        (
            &format!("https://join.school.example/i/{token}"),
            OrganizationToken,
            token,
        ),
        (
            &format!("https://join.school.example/j/{key}"),
            JoinUrl,
            key,
        ),
    ] {
        assert_eq!(read(text), Some(vec![(kind, form.to_owned())]), "{text}");
    }
}

#[test]
fn input_what_can_be_nothing_is_malformed() {
    for text in [
        "",
        " ",
        "-",
        "...",
        "A",
        "BIO_101",
        "BIO,101",
        "BIO/101",
        "BIO101\u{0}",
        "BIO\u{200b}101",
        "\u{202e}BIO101",
        "BI\u{41e}101",
        "https://join.school.example",
        "https://join.school.example/",
        "https://join.school.example/c/",
        "https://join.school.example/c/ABC",
        "https://join.school.example/x/ABCDEFGHJKMN",
        "https://join.school.example/t/abacus",
        "https://join.school.example/t/abacus%20zebra",
        "https://join.school.example/c/ABCDEFGHJKMN/more",
        "https://join.school.example.evil.example/c/ABCDEFGHJKMN",
        "https://join.school.example@evil.example/c/ABCDEFGHJKMN",
        "https://evil.example/c/ABCDEFGHJKMN",
        "ftp://join.school.example/c/ABCDEFGHJKMN",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
}

#[test]
fn input_a_credential_has_at_most_512_bytes_and_a_full_code_80_characters() {
    let padded = |bytes: usize| format!("BIO101{}", " ".repeat(bytes - 6));
    assert!(read(&padded(MAX_CREDENTIAL_BYTES)).is_some());
    assert!(read(&padded(MAX_CREDENTIAL_BYTES + 1)).is_none());
    assert!(read(&"U".repeat(80)).is_some());
    assert!(read(&"U".repeat(81)).is_none());
}

#[test]
fn b4_a_bare_code_is_found_where_the_request_names_the_organization() {
    let prefix = CodePrefix::parse("HAMILTON").unwrap();
    let named = Credential::parse("bio 101", &base())
        .unwrap()
        .of_organization(&prefix);
    let forms: Vec<_> = named
        .candidates()
        .iter()
        .map(|candidate| candidate.canonical.expose())
        .collect();
    assert_eq!(forms, ["BIO101", "HAMILTONBIO101"]);
    let url = Credential::parse("https://join.school.example/c/ABCDEFGHJKMN", &base()).unwrap();
    assert!(url.clone().of_organization(&prefix) == url);
}

#[test]
fn r10_a_guess_names_the_organization_of_its_prefix() {
    let prefixes = |text: &str| -> Vec<String> {
        Credential::parse(text, &base())
            .unwrap()
            .possible_prefixes()
            .map(|prefix| prefix.as_str().to_owned())
            .collect()
    };
    assert_eq!(
        prefixes("hami-b1"),
        ["HAMI", "HAM", "HA"].map(str::to_owned).to_vec()
    );
    assert_eq!(prefixes("abc"), Vec::<String>::new());
    assert_eq!(prefixes(&"A".repeat(80)).len(), 15);
    assert!(prefixes("https://join.school.example/t/abacus-zebra").is_empty());
}

#[test]
fn i8_a_prefix_is_certain_where_the_text_can_be_nothing_but_a_code_of_it() {
    for (text, certain) in [
        ("HAMILTON-BIO101", Some("HAMILTON")),
        (" “hamilton – bio 101”.", Some("HAMILTON")),
        ("--hamilton bio-101", Some("HAMILTON")),
        ("ab-cd", Some("AB")),
        ("abcdefghijklmnop-12", Some("ABCDEFGHIJKLMNOP")),
        // A class code, a phrase, an organization's token.
        ("HAMILTON-ABCD", None),
        ("abacus zebra", None),
        ("school-0123456789abcdefghjkmnpqrs", None),
        // Such ones with a slip: one character too few or many, a wrong word.
        ("HAMILTONBIO101", None),
        ("abcdefghjkm", None),
        ("abacus zebro", None),
        ("zebra-bio101", None),
        // Nobody's prefix, or nothing behind it.
        ("a-bio101", None),
        ("abcdefghijklmnopq-12", None),
        ("hamilton-1", None),
        ("https://join.school.example/c/ABCDEFGHJKMN", None),
        ("https://join.school.example/t/abacus-zebra", None),
    ] {
        let credential = Credential::parse(text, &base()).unwrap();
        let prefix = credential.certain_prefix();
        assert_eq!(prefix.as_ref().map(CodePrefix::as_str), certain, "{text}");
        let possible = |prefix| credential.possible_prefixes().any(|one| one == prefix);
        assert!(prefix.is_none_or(possible), "{text}");
    }
}

#[test]
fn r10_phrases_and_typed_codes_are_short_and_system_made_codes_are_not() {
    for (text, short) in [
        ("abacus zebra", true),
        ("HAMILTON-BIO101", true),
        ("https://join.school.example/t/abacus-zebra", true),
        ("abcd-efgh-jkmn", false),
        ("https://join.school.example/c/ABCDEFGHJKMN", false),
    ] {
        let credential = Credential::parse(text, &base()).unwrap();
        let policy = credential.candidates()[0].kind.policy();
        assert_eq!(policy.short, short, "{text}");
    }
}

/// What no code is written with: it would be read as another, or not be seen.
fn deceiving() -> impl Strategy<Value = char> {
    prop_oneof![
        // Controls.
        prop::char::range('\0', '\u{1f}'),
        prop::char::range('\u{7f}', '\u{9f}'),
        // Bidirectional and invisible.
        Just('\u{ad}'),
        Just('\u{61c}'),
        prop::char::range('\u{200b}', '\u{200f}'),
        prop::char::range('\u{202a}', '\u{202e}'),
        prop::char::range('\u{2060}', '\u{206f}'),
        Just('\u{feff}'),
        prop::char::range('\u{e0000}', '\u{e007f}'),
        // Letters that look like others.
        prop::char::range('\u{391}', '\u{3c9}'),
        prop::char::range('\u{400}', '\u{52f}'),
        prop::char::range('\u{13a0}', '\u{13f4}'),
    ]
}

proptest! {
    #[test]
    fn input_a_character_that_deceives_makes_any_text_malformed(
        text in "[A-Z0-9][A-Z0-9 -]{0,38}[A-Z0-9]|https://join\\.school\\.example/c/ABCDEFGHJKMN",
        character in deceiving(),
        place: prop::sample::Index,
    ) {
        let mut text = text;
        text.insert(1 + place.index(text.len() - 1), character);
        prop_assert_eq!(read(&text), None, "{:?}", text);
    }

    #[test]
    fn input_a_url_of_another_place_is_malformed(
        host in "[a-z]{1,8}(\\.[a-z]{2,5}){1,2}",
        joint in "@|\\.|:80@|%2f@|\\\\@|:443\\.|-|%00\\.|\t\\.",
        scheme in "https://|http://|HTTPS://|javascript://|//",
        path in "/(c/ABCDEFGHJKMN|t/abacus-zebra|i/0123456789ABCDEFGHJKMNPQRSTVWXYZ|j/0123456789ABCDEFGHJKMNPQRS)",
    ) {
        prop_assume!(host != "join.school.example");
        let ours = "join.school.example";
        prop_assert_eq!(read(&format!("{scheme}{host}{path}")), None);
        prop_assert_eq!(read(&format!("{scheme}{ours}{joint}{host}{path}")), None);
        prop_assert_eq!(read(&format!("{scheme}{host}{joint}{ours}{path}")), None);
        prop_assert_eq!(read(&format!("{scheme}{host}/{ours}{path}")), None);
    }

    #[test]
    fn input_any_text_is_read_without_a_panic(text in "\\PC{0,60}|.{0,60}|https://join.school.example/.{0,60}") {
        let _ = read(&text);
    }

    #[test]
    fn input_canonical_forms_read_as_themselves(text in "[a-zA-Z0-9 -]{0,90}") {
        for (kind, form) in read(&text).unwrap_or_default() {
            prop_assert!(read(&form).unwrap().contains(&(kind, form)));
        }
    }

    #[test]
    fn r1_what_is_handed_out_is_found(seed: u64, words in 2_u32..=4) {
        let random = SeededRandomness::new(seed);
        let code = class_code::generate(&random);
        let token = organization_token::generate(&random);
        let key = join_key::generate(&random);
        let phrase = Phrase::generate(WordCount::new(words).unwrap(), &random);
        let base = base();
        for (handed_out, kind, canonical) in [
            (class_code::display(&code).expose(), ClassCode, &code),
            (base.join_link(&code).expose(), ClassCode, &code),
            (token.expose(), OrganizationToken, &token),
            (base.organization_invite_url(&token).expose(), OrganizationToken, &token),
            (phrase.display().expose(), ClassToken, &phrase.canonical()),
            (base.class_invite_url(&phrase).expose(), ClassToken, &phrase.canonical()),
            (&base.join_url(&key), JoinUrl, &key),
        ] {
            for text in [handed_out.to_owned(), format!(" {handed_out}. "), handed_out.replace('-', "- ")] {
                let found = read(&text).unwrap_or_default();
                let expected = (kind, canonical.expose().to_owned());
                prop_assert!(found.contains(&expected), "{:?} {:?}", text, found);
            }
        }
    }

    #[test]
    fn b4_a_full_code_is_found(prefix in "[A-Z0-9]{2,16}", code in "[A-Z0-9]{2,20}( |-|)[a-z0-9]{2,20}") {
        let prefix = CodePrefix::parse(&prefix).unwrap();
        let code = enrollment_code::EnrollmentCode::parse(&code).unwrap();
        let expected = (EnrollmentCode, code.full_canonical(&prefix).expose().to_owned());
        let full = code.full(&prefix);
        prop_assert!(read(full.expose()).unwrap().contains(&expected));
        let credential = Credential::parse(full.expose(), &base()).unwrap();
        prop_assert!(credential.possible_prefixes().any(|possible| possible == prefix));
        let bare = Credential::parse(code.shown().expose(), &base()).unwrap().of_organization(&prefix);
        prop_assert!(bare.candidates().iter().any(|candidate| candidate.canonical.expose() == expected.1));
    }
}
