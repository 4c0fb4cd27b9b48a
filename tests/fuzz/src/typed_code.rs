//! Enrollment codes as their authors type them, in the first line, and prefixes, in the second. The strength of a code
//! has its own target, `strength`.

use std::sync::LazyLock;

use homeroom_api::ids::{CODE_PREFIX_CHARS_MAX, CODE_PREFIX_CHARS_MIN, CodePrefix};

use crate::domain::{
    credential::Credential,
    invitation::InvitationKind,
    public_url::PublicUrl,
    ways::enrollment_code::{
        EnrollmentCode, MAX_CODE_BYTES, MAX_CODE_CHARACTERS, MIN_CODE_CHARACTERS,
    },
};

static BASE: LazyLock<PublicUrl> =
    LazyLock::new(|| PublicUrl::parse("https://join.school.example").unwrap());

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    let text = crate::text(data);
    let (typed, prefix) = crate::two(&text);
    let prefix = CodePrefix::parse(prefix);
    if let Ok(prefix) = &prefix {
        let shown = prefix.as_str();
        assert!((CODE_PREFIX_CHARS_MIN..=CODE_PREFIX_CHARS_MAX).contains(&shown.len()));
        assert!(is_canonical(shown));
        assert_eq!(CodePrefix::parse(shown).as_ref(), Ok(prefix));
        assert_eq!(
            CodePrefix::parse(&shown.to_ascii_lowercase()).as_ref(),
            Ok(prefix)
        );
    }
    let Ok(code) = EnrollmentCode::parse(typed) else {
        return;
    };
    assert!(typed.len() <= MAX_CODE_BYTES);
    let prefix = prefix.unwrap_or_else(|_| CodePrefix::parse("HAMILTON").unwrap());
    check_code(&code, &prefix);
    for spelled in [typed.to_ascii_lowercase(), typed.to_ascii_uppercase()] {
        assert!(EnrollmentCode::parse(&spelled).is_ok_and(|again| again == code));
    }
}

fn check_code(code: &EnrollmentCode, prefix: &CodePrefix) {
    let full = code.full_canonical(prefix);
    let bare = full.expose().strip_prefix(prefix.as_str()).unwrap();
    assert!((MIN_CODE_CHARACTERS..=MAX_CODE_CHARACTERS).contains(&bare.len()));
    assert!(is_canonical(bare));
    let shown = code.shown().expose();
    assert!(!shown.contains("--") && !shown.starts_with('-') && !shown.ends_with('-'));
    assert_eq!(shown.replace('-', ""), bare);
    assert!(EnrollmentCode::parse(shown).is_ok_and(|again| again == *code));

    // The code that is handed out is found with its prefix, and without the prefix if the organization is named.
    let handed_out = code.full(prefix);
    let finds = |credential: &Credential| {
        credential.candidates().iter().any(|candidate| {
            candidate.kind == InvitationKind::EnrollmentCode && candidate.canonical == full
        })
    };
    let pasted = Credential::parse(handed_out.expose(), &BASE).unwrap();
    assert!(finds(&pasted));
    assert!(
        pasted
            .possible_prefixes()
            .any(|possible| possible == *prefix)
    );
    let typed = Credential::parse(shown, &BASE).unwrap();
    assert!(finds(&typed.of_organization(prefix)));
}

fn is_canonical(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
