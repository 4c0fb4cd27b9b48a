use homeroom_kit::random::SeededRandomness;
use proptest::prelude::*;

use super::*;
use crate::domain::{
    way::Policy,
    ways::phrase::{Phrase, WordCount},
};

use InvitationKind::{ClassCode, ClassToken, EnrollmentCode, JoinUrl, OrganizationToken};

fn base() -> PublicUrl {
    PublicUrl::parse("https://join.school.example").unwrap()
}

/// Returns kinds and canonical forms, so that a failed test shows them.
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

/// Returns what a text is taken for before anything else.
fn first(text: &str) -> Option<(InvitationKind, String)> {
    read(text)?.into_iter().next()
}

fn form(kind: InvitationKind, canonical: &str) -> (InvitationKind, String) {
    (kind, canonical.to_owned())
}

#[test]
fn r1_typed_text_is_every_kind_that_it_can_be_in_a_fixed_order() {
    let token = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    #[rustfmt::skip]
    let cases = [
        ("abcd-efgh-jkmn", vec![(ClassCode, "ABCDEFGHJKMN"), (EnrollmentCode, "ABCDEFGHJKMN")]),
        ("OIL0-1234-5678.", vec![(ClassCode, "011012345678"), (EnrollmentCode, "OIL012345678")]),
        ("Abacus zebra!", vec![(ClassToken, "abacus-zebra"), (EnrollmentCode, "ABACUSZEBRA")]),
        ("hamilton - bio 101", vec![(EnrollmentCode, "HAMILTONBIO101")]),
        ("“HAMILTON–BIO101”", vec![(EnrollmentCode, "HAMILTONBIO101")]),
        (token, vec![(OrganizationToken, token), (EnrollmentCode, token)]),
        // These twelve letters are a phrase, a class code and an enrollment code.
        ("zebra ability", vec![(ClassCode, "ZEBRAAB111TY"), (ClassToken, "zebra-ability"), (EnrollmentCode, "ZEBRAABILITY")]),
    ];
    for (text, expected) in cases {
        let expected = expected.into_iter().map(|(kind, text)| form(kind, text));
        assert_eq!(read(text), Some(expected.collect()), "{text}");
    }
}

#[test]
fn r1_a_url_of_ours_says_what_it_is() {
    let key = "0123456789ABCDEFGHJKMNPQRS";
    let token = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    #[rustfmt::skip]
    let cases = [
        ("https://join.school.example/c/ABCDEFGHJKMN", ClassCode, "ABCDEFGHJKMN"),
        ("<https://join.school.example/c/abcd-efgh-jkmn>.", ClassCode, "ABCDEFGHJKMN"),
        ("http://JOIN.school.example/t/abacus-zebra/?utm_source=x", ClassToken, "abacus-zebra"),
        ("join.school.example/t/Abacus-Zebra#x", ClassToken, "abacus-zebra"),
        (&format!("https://join.school.example/i/{token}"), OrganizationToken, token),
        (&format!("https://join.school.example/j/{key}"), JoinUrl, key),
    ];
    for (text, kind, form) in cases {
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
        "BIO.101",
        "BIO/101",
        "BIO+101",
        "BIO=101",
        "BIO101\u{0}",
        "био",
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
        "evil.example/c/ABCDEFGHJKMN",
        "ftp://join.school.example/c/ABCDEFGHJKMN",
        // These hosts have as many letters as a class code.
        "lms.school.org",
        "a.example:8443",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
}

#[test]
fn input_a_credential_has_at_most_512_bytes_as_read_and_a_full_code_80_characters() {
    let why = |text: &str| Credential::parse(text, &base()).err();
    let padded = |bytes: usize| format!("BIO101{}", " ".repeat(bytes - 6));
    assert!(read(&padded(MAX_PASTED_BYTES)).is_some());
    assert_eq!(why(&padded(MAX_PASTED_BYTES + 1)), Some(Malformed::TooLong));
    let hyphened = |bytes: usize| format!("B{}IO101", "-".repeat(bytes - 6));
    assert!(read(&hyphened(MAX_CREDENTIAL_BYTES)).is_some());
    assert_eq!(
        why(&hyphened(MAX_CREDENTIAL_BYTES + 1)),
        Some(Malformed::TooLong)
    );
    let link = |bytes: usize| {
        let link = "https://join.school.example/c/ABCDEFGHJKMN?x=";
        format!("{link}{}", "x".repeat(bytes - link.len()))
    };
    assert!(read(&link(MAX_PASTED_BYTES)).is_some());
    assert_eq!(why(&link(MAX_PASTED_BYTES + 1)), Some(Malformed::TooLong));
    // A ligature of eighteen letters counts as what it is read as.
    let ligatures = "\u{fdfa}".repeat(MAX_PASTED_BYTES / 3);
    assert_eq!(why(&ligatures), Some(Malformed::TooLong));
    assert!(read(&"U".repeat(80)).is_some());
    assert!(read(&"U".repeat(81)).is_none());
}

#[test]
fn u11_what_is_pasted_is_read_as_what_was_handed_out() {
    let code = vec![(EnrollmentCode, "HAMILTONBIO101".to_owned())];
    for text in [
        "‚HAMILTON-BIO101‘",
        "「ＨＡＭＩＬＴＯＮーＢＩＯ１０１」。",
        "```\nHAMILTON-BIO101\n```",
        "~HAMILTON-BIO101~",
        "#HAMILTON-BIO101",
        "👉 HAMILTON-BIO101 👈",
        "HAMILTON-BIO1\u{fe0f}\u{20e3}0\u{fe0f}\u{20e3}1\u{fe0f}\u{20e3}",
        "HAMILTON-\r\nBIO101",
        "HAMILTON\nBIO101",
        "HAMILTON\tBIO101\r\n",
        "HAMİLTON-BIO101",
    ] {
        assert_eq!(read(text), Some(code.clone()), "{text:?}");
    }
    let phrase = Some(form(ClassToken, "abacus-zebra"));
    for text in [
        "abacus, zebra",
        "abacus,zebra",
        "abacus、zebra",
        "abacus، zebra",
        "abacus; zebra",
        "abacus · zebra",
        "abacus & zebra",
        "abacus + zebra.",
        "abacus,\nzebra",
        "abacus_zebra",
        "*abacus* *zebra*",
        "“abacus” “zebra”",
        "abacus\nzebra",
        "abacus\r\n\r\nzebra",
        "abacus\u{2028}zebra",
    ] {
        assert_eq!(first(text), phrase, "{text:?}");
    }
    for text in [
        "7K3M.9PQ2.XW4T",
        "7K3M_9PQ2_XW4T",
        "7k3m, 9pq2, xw4t",
        "7K3M\n9PQ2\nXW4T",
        "7K3M·9PQ2·XW4T",
    ] {
        let class_code = Some(form(ClassCode, "7K3M9PQ2XW4T"));
        assert_eq!(first(text), class_code, "{text:?}");
    }
}

#[test]
fn u11_a_bar_within_a_code_is_the_letter_that_it_is_printed_like() {
    for (text, expected) in [
        ("HAMILTON-B|O101", (EnrollmentCode, "HAMILTONBIO101")),
        ("hamilton b|o 101", (EnrollmentCode, "HAMILTONBIO101")),
        ("BIO|0|", (EnrollmentCode, "BIOI0I")),
        ("7|3M-9PQ2-XW4T", (ClassCode, "713M9PQ2XW4T")),
        // If nothing else is ambiguous, it separates words.
        ("7K3M|9PQ2|XW4T", (ClassCode, "7K3M9PQ2XW4T")),
        ("abacus|zebra", (ClassToken, "abacus-zebra")),
    ] {
        let (kind, canonical) = expected;
        assert_eq!(first(text), Some(form(kind, canonical)), "{text:?}");
    }
}

#[test]
fn u12_a_sentence_that_leaves_no_doubt_is_read() {
    let code = (EnrollmentCode, "HAMILTONBIO101");
    let class_code = (ClassCode, "7K3M9PQ2XW4T");
    let phrase = (ClassToken, "abacus-zebra");
    #[rustfmt::skip]
    let cases = [
        ("Your code is HAMILTON-BIO101", code),
        ("The class code is: HAMILTON-BIO101.", code),
        ("Code: HAMILTON-BIO101", code),
        ("Code HAMILTON-BIO101", code),
        ("Code\nHAMILTON-BIO101", code),
        ("Code - HAMILTON-BIO101", code),
        ("Code → HAMILTON-BIO101", code),
        ("Use code HAMILTON-BIO101", code),
        ("HAMILTON-BIO101 please", code),
        ("HAMILTON-BIO101, thanks!", code),
        ("HAMILTON-BIO101 is my code", code),
        ("HAMILTON-BIO101 HAMILTON-BIO101", code),
        ("HAMILTON-BIO101 спасибо", code),
        ("代码是HAMILTON-BIO101", code),
        ("コードはHAMILTON-BIO101です", code),
        ("코드는 HAMILTON-BIO101입니다", code),
        ("El código es HAMILTON-BIO101", code),
        ("Kód HAMILTON-BIO101", code),
        ("Codul este HAMILTON-BIO101", code),
        ("Your code is BIO101", (EnrollmentCode, "BIO101")),
        ("class code - 7K3M-9PQ2-XW4T", class_code),
        ("7K3M-9PQ2-XW4T please", class_code),
        ("abacus-zebra please", phrase),
        ("Passcode: abacus zebra", phrase),
        ("code:HAMILTON-BIO101", code),
        ("Biology: HAMILTON-BIO101", code),
        ("Please join “HAMILTON-BIO101”!", code),
        ("The code is `HAMILTON-BIO101`.", code),
        ("Der Code lautet HAMILTON-BIO101.", code),
        ("Le code est HAMILTON-BIO101", code),
        ("Code de la classe : HAMILTON-BIO101", code),
        ("Il codice è HAMILTON-BIO101", code),
        ("Sınıf kodu HAMILTON-BIO101", code),
        ("Código: HAMILTON-BIO101", code),
        ("Ваш код: HAMILTON-BIO101", code),
        ("Ваш код HAMILTON-BIO101", code),
        ("班级代码 HAMILTON-BIO101", code),
        ("رمز الصف: HAMILTON-BIO١٠١", code),
        ("Class code: 7K3M-9PQ2-XW4T", class_code),
        ("My class code is 7k3m 9pq2 xw4t", class_code),
        ("Your words are: abacus zebra", phrase),
        ("The token is abacus zebra.", phrase),
        ("Join Biology on Homeroom: https://join.school.example/c/7K3M9PQ2XW4T (Ms Park)", class_code),
        ("You are invited!\nhttps://join.school.example/t/abacus-zebra\nhttps://school.example 555-010-0199, B-12, until 2026-09-30", phrase),
        ("7K3M-9PQ2-XW4T or https://join.school.example/c/7K3M9PQ2XW4T", class_code),
        ("https://join.school.example/c/7K3M\n9PQ2XW4T", class_code),
    ];
    for (text, expected) in cases {
        let (kind, canonical) = expected;
        assert_eq!(first(text), Some(form(kind, canonical)), "{text:?}");
    }
}

#[test]
fn u12_a_code_of_several_words_is_no_sentence() {
    for (text, form) in [
        ("hamilton bio 101", "HAMILTONBIO101"),
        ("HAMILTON BIO-101", "HAMILTONBIO101"),
        ("HAMILTON-ALGEBRA 2 PERIOD 3", "HAMILTONALGEBRA2PERIOD3"),
        ("hamilton welcome to biology", "HAMILTONWELCOMETOBIOLOGY"),
        ("hamilton code", "HAMILTONCODE"),
        ("IS BIO101", "ISBIO101"),
        ("hamilton code 101", "HAMILTONCODE101"),
        ("SUMMER MY BIO7", "SUMMERMYBIO7"),
        ("TODAY IS 2026", "TODAYIS2026"),
        ("HAMILTON-BIO101 B", "HAMILTONBIO101B"),
        ("MY BIO 101", "MYBIO101"),
        ("b i o 1 0 1 a b c d", "BIO101ABCD"),
        ("HAMILTON-THE-CODE-IS-MY-JOIN-7", "HAMILTONTHECODEISMYJOIN7"),
    ] {
        let found = read(text).unwrap_or_default();
        assert!(
            found.contains(&(EnrollmentCode, form.to_owned())),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn u12_what_is_in_doubt_is_told_and_no_guess() {
    use Malformed::{Character, Form, Link, Sentence, Several, WrappedLink};
    #[rustfmt::skip]
    let cases = [
        ("A", Form),
        ("BIO,101", Character(',')),
        ("BIO_101", Character('_')),
        ("BIO101 | BIO102", Character('|')),
        ("teacher@school.example", Character('@')),
        ("ts4http://", Link),
        ("(join://) BIO101", Link),
        ("BI\u{41e}101", Character('\u{41e}')),
        ("BÍO101", Character('Í')),
        ("\u{202e}BIO101", Character('\u{202e}')),
        ("BIO101\u{7}", Character('\u{7}')),
        ("Code BIO101", Sentence),
        ("class code BIO101", Sentence),
        ("BIO101 please", Sentence),
        ("Biology HAMILTON-BIO101", Sentence),
        ("HAMILTON-BIO101 Biology", Sentence),
        ("HAMILTON-BIO101\nAda Lovelace", Sentence),
        ("HAMILTON-BIO101\nTel: 555-010-0199", Sentence),
        ("HAMILTON-BIO101, valid until: 2026-09-30", Sentence),
        ("HAMILTON-BIO101 Room: B-12", Sentence),
        ("Class code: 7K3M-9PQ2-XW4T Room: 204", Sentence),
        ("Class code: BIO101 Room: B204", Sentence),
        ("Код HAMILTON-BIO101 кабинет 204", Sentence),
        ("コード HAMILTON-BIO101 期限 2026-09-30", Sentence),
        ("Due: 2026-09-30", Sentence),
        ("Your words are: abacus zebra, room 12", Sentence),
        ("Your code is HAMILTON BIO 101", Sentence),
        ("Your code is HAMILTON-BIO101, see you", Sentence),
        ("Please use your school account", Sentence),
        ("I lost my code", Sentence),
        ("I do not have a code", Sentence),
        ("abacus zebra\nSent from my telephone", Sentence),
        ("join with abacus zebra", Sentence),
        ("Bitte mit HAMILTON-BIO101 beitreten", Sentence),
        ("what do we have to do for tomorrow", Sentence),
        ("HAMILTON-BIO101\nHAMILTON-CHEM202", Several),
        ("Biology: HAMILTON-BIO101\nChemistry: HAMILTON-CHEM101", Several),
        ("Use HAMILTON-BIO101, not the old code: HAMILTON-CHEM101", Several),
        ("HAMILTON-BIO101 or HAMILTON-CHEM101", Several),
        ("Biology: 7K3M-9PQ2-XW4T\nChemistry: 8K3M-9PQ2-XW4T", Several),
        ("abacus-zebra or zebra-abacus", Several),
        ("Chemistry: HAMILTON-CHEM101\nBiology: https://join.school.example/c/7K3M9PQ2XW4T", Several),
        ("8K3M-9PQ2-XW4T https://join.school.example/c/7K3M9PQ2XW4T", Several),
        ("HAMILTON-BIO10|", Character('|')),
        ("Bio|HAMILTON-BIO101", Character('|')),
        ("https://join.school.example/c/7K3M9PQ2XW4T https://join.school.example/t/abacus-zebra", Several),
        ("https://join.school.example/c/7K3M", Link),
        ("https://join.school.example", Link),
        ("https://school.example/biology", Link),
        ("school.example/biology", Link),
        ("HAMILTON-BIO101 https://school.example", Link),
        ("https://eur01.safelinks.protection.outlook.com/ap/x-59584e83/?data=05%7C01", WrappedLink),
        ("https://protect-eu.mimecast.com/s/AbCd?domain=join.school.example", WrappedLink),
        ("https://url.emailprotection.link/?bAbCd", WrappedLink),
        ("https://lists.example/?u=https%253A%252F%252Fjoin.school.example%252Fc%252F7K3M9PQ2XW4T", WrappedLink),
        ("https://urldefense.com/v3/__https://school.example/__;!!Abc", WrappedLink),
    ];
    for (text, seen) in cases {
        assert_eq!(Credential::parse(text, &base()).err(), Some(seen), "{text}");
    }
    // The message names what was seen, and says what to do.
    let said = |seen: Malformed| seen.to_string();
    assert!(said(Character('\u{41e}')).contains("U+041E"));
    assert!(said(Character(',')).contains("“,”"));
    assert!(said(WrappedLink).contains("a link wrapped by a mail filter"));
}

#[test]
fn u12_a_link_is_read_out_of_its_wrapping() {
    for text in [
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fjoin.school.example%2Fc%2F7K3M9PQ2XW4T&data=05%7C01%7C&sdata=x%3D&reserved=0",
        "https://gcc02.safelinks.protection.outlook.com/?url=https%3A%2F%2FJOIN.school.example%2Fc%2F7K3M9PQ2XW4T%3Futm_source%3Dx&amp;data=05",
        "https://urldefense.proofpoint.com/v2/url?u=https-3A__join.school.example_c_7K3M9PQ2XW4T&d=DwMFAg&c=x&r=y&m=z&s=s&e=",
        "https://urldefense.com/v3/__https://join.school.example/c/7K3M9PQ2XW4T__;!!Abc!x$",
        "https://www.google.com/url?q=https://join.school.example/c/7K3M9PQ2XW4T&sa=D&source=calendar",
        "https://www.google.com/url?sa=t&url=https%3A%2F%2Fjoin.school.example%2Fc%2F7K3M9PQ2XW4T",
        "https://l.facebook.com/l.php?u=https%3A%2F%2Fjoin.school.example%2Fc%2F7K3M9PQ2XW4T&h=x",
        "https://slack-redir.net/link?url=https%3A%2F%2Fjoin.school.example%2Fc%2F7K3M9PQ2XW4T",
        "https://linkprotect.cudasvc.com/url?a=https%3a%2f%2fjoin.school.example%2fc%2f7K3M9PQ2XW4T&c=E,1,x",
        "https://secure-web.cisco.com/1abc/https%3A%2F%2Fjoin.school.example%2Fc%2F7K3M9PQ2XW4T",
        "https://url.avanan.click/v2/___https://join.school.example/c/7K3M9PQ2XW4T___.YXAx",
        "https://statics.teams.cdn.office.net/evergreen-assets/safelinks/1/atp-safelinks.html?url=https%3A%2F%2Fjoin.school.example%2Fc%2F7K3M9PQ2XW4T&locale=en",
        "https://x.protection.sophos.com/?d=school.example&u=aHR0cHM6Ly9qb2luLnNjaG9vbC5leGFtcGxlL2MvN0szTTlQUTJYVzRU&p=m",
        "Join us: <https://www.google.com/url?q=https%3A%2F%2Fjoin.school.example%2Fc%2F7K3M9PQ2XW4T>.",
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fjoin.\r\nschool.example%2Fc%2F7K3M9PQ2XW4T\r\n&data=05",
        "https://clicktime.symantec.com/3AbC?u=https%3A%2F%2Fjoin.school.example%2Fc%2F7K3M9PQ2XW4T",
        "https://protect2.fireeye.com/url?k=x-y-z&u=https://join.school.example/c/7K3M9PQ2XW4T",
        "<https://join.school.example/c/7K3M9PQ2XW4T|Biology>",
        "[Biology](https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fjoin.school.example%2Fc%2F7K3M9PQ2XW4T&data=05)",
    ] {
        let expected = (ClassCode, "7K3M9PQ2XW4T".to_owned());
        assert_eq!(read(text), Some(vec![expected]), "{text}");
    }
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
        // A class code, a phrase and an organization's token.
        ("HAMILTON-ABCD", None),
        ("abacus zebra", None),
        ("school-0123456789abcdefghjkmnpqrs", None),
        // The same with an error: one character too few or many, or a wrong word.
        ("HAMILTONBIO101", None),
        ("abcdefghjkm", None),
        ("abacus zebro", None),
        ("zebra-bio101", None),
        // No valid prefix, or no code after it.
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
        let policy = Policy::of(credential.candidates()[0].kind);
        assert_eq!(policy.short, short, "{text}");
    }
}

/// Returns characters that no code is written with, because they would be read as others.
fn deceiving() -> impl Strategy<Value = char> {
    prop_oneof![
        // Control characters that are not white space.
        prop::char::range('\0', '\u{8}'),
        prop::char::range('\u{e}', '\u{1f}'),
        prop::char::range('\u{7f}', '\u{84}'),
        prop::char::range('\u{86}', '\u{9f}'),
        Just('\u{202e}'),
        // Letters that look like others.
        prop::char::range('\u{391}', '\u{3a1}'),
        prop::char::range('\u{3a3}', '\u{3c9}'),
        prop::char::range('\u{400}', '\u{481}'),
        prop::char::range('\u{48a}', '\u{52f}'),
        prop::char::range('\u{13a0}', '\u{13f4}'),
    ]
}

/// Returns invisible characters.
fn unseen() -> impl Strategy<Value = char> {
    prop_oneof![
        Just('\u{ad}'),
        Just('\u{61c}'),
        prop::char::range('\u{200b}', '\u{200f}'),
        prop::char::range('\u{202a}', '\u{202d}'),
        prop::char::range('\u{2060}', '\u{206f}'),
        Just('\u{feff}'),
        prop::char::range('\u{e0000}', '\u{e007f}'),
    ]
}

proptest! {
    #[test]
    fn input_a_character_that_deceives_makes_any_text_malformed(
        text in "[A-Z0-9][A-Z0-9-]{0,38}[A-Z0-9]|https://join\\.school\\.example/c/ABCDEFGHJKMN",
        character in deceiving(),
        place: prop::sample::Index,
    ) {
        let mut text = text;
        text.insert(1 + place.index(text.len() - 1), character);
        prop_assert_eq!(read(&text), None, "{:?}", text);
    }

    #[test]
    fn u11_a_character_that_is_not_seen_makes_no_difference(
        text in "[A-Z0-9 -]{1,40}|https://join\\.school\\.example/c/ABCDEFGHJKMN",
        character in unseen(),
        place: prop::sample::Index,
    ) {
        let mut with = text.clone();
        with.insert(place.index(text.len()), character);
        prop_assert_eq!(read(&with), read(&text), "{:?}", with);
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
        let phrase = Phrase::generate(WordCount::new(words).unwrap(), &random).canonical();
        for kind in InvitationKind::ALL.into_iter().filter(|kind| *kind != EnrollmentCode) {
            let way = Way::of(kind);
            let canonical = way.singleton.map_or(phrase.clone(), |made| (made.generate)(&random));
            let url = way.letter.map(|letter| base().at(letter, &canonical));
            let shown = way.display.map(|display| display(&canonical));
            for handed_out in [url, shown].into_iter().flatten() {
                let handed_out = handed_out.expose();
                for text in [handed_out.to_owned(), format!(" {handed_out}. "), handed_out.replace('-', "- ")] {
                    let found = read(&text).unwrap_or_default();
                    let expected = (kind, canonical.expose().to_owned());
                    prop_assert!(found.contains(&expected), "{:?} {:?}", text, found);
                }
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

#[test]
fn u12_a_host_name_or_path_that_looks_like_a_code_is_none() {
    for (base, link) in [
        ("http://web-1a:8080", "http://web-1a:8080"),
        ("http://web-1a:8080", "WEB-1A:8080"),
        ("http://a.example/web-1a:", "http://a.example/web-1a:"),
    ] {
        let base = PublicUrl::parse(base).unwrap();
        let read = Credential::parse(&format!("{link}/c/7K3M9PQ2XW4T"), &base);
        assert_eq!(read.unwrap().candidates().len(), 1, "{link}");
    }
    let base = PublicUrl::parse("http://web-1a:8080").unwrap();
    let text = "8K3M-9PQ2-XW4T http://web-1a:8080/c/7K3M9PQ2XW4T";
    let read = Credential::parse(text, &base);
    assert_eq!(read.err(), Some(Malformed::Several));
}
