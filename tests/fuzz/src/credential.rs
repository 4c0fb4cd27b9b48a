//! The parser of text that a person typed or pasted: `Credential::parse`.

use std::sync::LazyLock;

use homeroom_api::ids::{CODE_PREFIX_CHARS_MAX, CODE_PREFIX_CHARS_MIN, CodePrefix};

use crate::domain::{
    credential::{Candidate, Credential, MAX_CREDENTIAL_BYTES, MAX_PASTED_BYTES},
    invitation::InvitationKind,
    public_url::PublicUrl,
    way::Way,
    ways::enrollment_code::{MAX_CODE_CHARACTERS, MIN_CODE_CHARACTERS},
};

use InvitationKind::{ClassCode, ClassToken, EnrollmentCode, OrganizationToken};

/// The order of the candidates (R1).
const ORDER: [InvitationKind; 4] = [OrganizationToken, ClassCode, ClassToken, EnrollmentCode];

static BASES: LazyLock<[PublicUrl; 2]> = LazyLock::new(|| {
    ["https://join.school.example", "http://127.0.0.1:8080/enter"]
        .map(|base| PublicUrl::parse(base).unwrap())
});

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    let text = crate::text(data);
    for base in BASES.iter() {
        check_under(&text, base);
    }
}

/// Checks every property of a text pasted where `base` is configured.
pub(crate) fn check_under(text: &str, base: &PublicUrl) {
    let read = Credential::parse(text, base);
    let Ok(credential) = read else { return };

    assert!(text.len() <= MAX_PASTED_BYTES);
    assert!(!text.chars().any(deceives));
    let candidates = credential.candidates();
    assert!(!candidates.is_empty());
    if candidates.len() > 1 {
        let places: Vec<_> = candidates
            .iter()
            .map(|candidate| ORDER.iter().position(|kind| *kind == candidate.kind))
            .collect();
        assert!(places.is_sorted() && places.iter().all(Option::is_some));
        assert!(places.windows(2).all(|pair| pair[0] != pair[1]));
    }
    for candidate in candidates {
        check_candidate(candidate, base);
    }

    for quoted in [
        format!(" (“{text}”). "),
        format!("*{text}*"),
        format!("\u{2068}{text}\u{2069}。"),
    ] {
        if quoted.len() <= MAX_PASTED_BYTES {
            assert!(Credential::parse(&quoted, base).is_ok_and(|again| again == credential));
        }
    }
    // Outside of ASCII a mark may combine with a lower-case letter into one character, but not with a capital.
    if text.is_ascii() && !text.contains('/') {
        for spelled in [text.to_ascii_uppercase(), text.to_ascii_lowercase()] {
            assert!(Credential::parse(&spelled, base).is_ok_and(|again| again == credential));
        }
    }
    check_prefixes(&credential);
}

/// Returns true for a character that makes a text unreadable: a control character that is not white space, or one that
/// changes the direction of the text.
fn deceives(character: char) -> bool {
    (character.is_control() && !character.is_whitespace()) || character == '\u{202e}'
}

/// Checks that the canonical form has the form of its kind, and that every shown form parses to it.
fn check_candidate(candidate: &Candidate, base: &PublicUrl) {
    let canonical = &candidate.canonical;
    let form = canonical.expose();
    let way = Way::of(candidate.kind);
    let lengths = MIN_CODE_CHARACTERS..=CODE_PREFIX_CHARS_MAX + MAX_CODE_CHARACTERS;
    assert!(lengths.contains(&form.len()));
    let is_in = |bytes: &[u8]| form.bytes().all(|byte| bytes.contains(&byte));
    match candidate.kind {
        ClassToken => assert!(is_in(b"abcdefghijklmnopqrstuvwxyz-")),
        EnrollmentCode => assert!(is_in(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")),
        _ => assert!(is_in(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")),
    }
    let shown = way.display.map(|display| display(canonical));
    let url = way.letter.map(|letter| base.at(letter, canonical));
    let shown = [shown, url].into_iter().flatten();
    let shown: Vec<String> = shown.map(|shown| shown.expose().to_owned()).collect();
    for shown in shown
        .iter()
        .filter(|shown| shown.len() <= MAX_CREDENTIAL_BYTES)
    {
        let again = Credential::parse(shown, base);
        assert!(again.is_ok_and(|again| again.candidates().contains(candidate)));
    }
}

/// Checks that each possible prefix begins the code, the longest first.
fn check_prefixes(credential: &Credential) {
    let code = credential
        .candidates()
        .iter()
        .find(|candidate| candidate.kind == EnrollmentCode)
        .map(|candidate| candidate.canonical.expose().to_owned())
        .unwrap_or_default();
    let mut longest = CODE_PREFIX_CHARS_MAX + 1;
    for prefix in credential.possible_prefixes() {
        let length = prefix.as_str().len();
        assert!((CODE_PREFIX_CHARS_MIN..longest).contains(&length));
        assert!(code.starts_with(prefix.as_str()));
        assert!(code.len() - length >= MIN_CODE_CHARACTERS);
        longest = length;
    }
    let prefix = CodePrefix::parse("HAMILTON").unwrap();
    let before = credential.candidates().len();
    let named = credential.clone().of_organization(&prefix);
    let bare = !code.is_empty() && code.len() <= MAX_CODE_CHARACTERS;
    assert_eq!(named.candidates().len(), before + usize::from(bare));
    if bare {
        let last = named.candidates().last().unwrap();
        assert_eq!(last.canonical.expose(), format!("HAMILTON{code}"));
    }
}
