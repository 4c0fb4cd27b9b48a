//! The class code: 12 characters, 55 bits (C1). All of Crockford's base 32 is accepted when it is read, because older
//! codes were made of it.

use homeroom_kit::{random::Randomness, secret::SecretText};
use zeroize::Zeroizing;

use crate::domain::{
    crockford,
    way::{Admits, Policy, Singleton, Way},
};

/// The way in.
pub(super) const WAY: Way = Way {
    policy: Policy {
        admits: Admits::QueueOnceLocked,
        grants_sign_up: true,
        survives_sign_up: true,
        may_be_public: false,
        short: false,
    },
    letter: Some("c"),
    linked: canonical,
    typed: |typed| canonical(typed.grouped?),
    display: Some(display),
    singleton: Some(Singleton {
        generate,
        event: "class_code",
    }),
};

/// The length of a class code, in characters of 4.58 bits.
pub const CLASS_CODE_CHARACTERS: usize = 12;

/// The characters of a code: Crockford's base 32 without its vowels, without `Y`, without `V`, which reads like `U`,
/// and without the digits that read like vowels. So it spells no word (U20).
const ALPHABET: &[u8] = b"256789BCDFGHJKMNPQRSTWXZ";
/// Offensive words without vowels. `5` reads like `S`, `7` like `T`, `8` like `B`, `6` and `9` like `G`.
const OFFENSIVE: [&str; 12] = [
    "BCH", "CNT", "DCK", "FCK", "FGT", "FKN", "KKK", "NGR", "PRN", "SHT", "SS", "WTF",
];

/// The number of characters in each displayed group.
pub(in crate::domain) const GROUP_CHARACTERS: usize = 4;

/// Returns a new code, in canonical form.
#[must_use]
pub fn generate(random: &dyn Randomness) -> SecretText {
    loop {
        let code = crockford::generate(CLASS_CODE_CHARACTERS, ALPHABET, random);
        if !is_offensive(code.expose()) {
            return code;
        }
    }
}

/// Returns the canonical form of `text` if it can be a code.
#[must_use]
pub fn canonical(text: &str) -> Option<SecretText> {
    crockford::canonical(text, CLASS_CODE_CHARACTERS)
}

fn is_offensive(code: &str) -> bool {
    let letters = code.chars().map(|character| match character {
        '5' => 'S',
        '7' => 'T',
        '8' => 'B',
        '6' | '9' => 'G',
        other => other,
    });
    let letters: Zeroizing<String> = letters.collect::<String>().into();
    OFFENSIVE.iter().any(|word| letters.contains(word))
}

/// Returns the code in its display form: `ABCD-EFGH-JKMN`.
#[must_use]
pub fn display(code: &SecretText) -> SecretText {
    let code = code.expose();
    let mut shown = String::with_capacity(code.len().saturating_mul(2));
    for (index, character) in code.chars().enumerate() {
        if index > 0 && index.is_multiple_of(GROUP_CHARACTERS) {
            shown.push('-');
        }
        shown.push(character);
    }
    SecretText::new(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeroom_kit::random::SeededRandomness;

    #[test]
    fn c1_a_class_code_is_12_characters_shown_in_groups_of_four() {
        let code = generate(&SeededRandomness::new(1));
        assert_eq!(code.expose().len(), 12);
        let shown = display(&code);
        assert_eq!(shown.expose().len(), 14);
        assert_eq!(shown.expose().split('-').count(), 3);
        assert!(canonical(shown.expose()) == Some(code));
        assert_eq!(
            display(&SecretText::new("0123456789AB")).expose(),
            "0123-4567-89AB"
        );
    }

    #[test]
    fn u20_a_class_code_spells_no_word_across_its_hyphens_and_by_its_digits() {
        let random = SeededRandomness::new(20);
        for _ in 0..20_000 {
            let code = generate(&random);
            let code = code.expose();
            // It contains nothing that reads like a vowel, so that it can spell only words without vowels.
            assert!(!code.contains(|one| "AEIOUYV0134".contains(one)), "{code}");
            assert!(!is_offensive(code), "{code}");
        }
        for (code, is) in [
            ("FCKB2B2B2B2B", true),
            ("2B2FCKB2B2B2", true),
            ("2B2B2B2B2BKK", false),
            ("2B2B2B2B2KKK", true),
            ("2B25H7B2B2B2", true),
            ("2B2B2B2B8CHB", true),
            ("2B2B2CN7B2B2", true),
            ("2B2B2N6RB2B2", true),
            ("2B2B2F97B2B2", true),
            ("2B2B2B2B2B55", true),
            ("5B5B5B5B5B5B", false),
        ] {
            assert_eq!(is_offensive(code), is, "{code}");
        }
    }

    #[test]
    fn u20_a_code_of_the_former_alphabet_is_still_read() {
        for code in ["0123-4567-89AB", "CDEF-GHJK-MNPQ", "RSTV-WXYZ-0AEV"] {
            assert!(canonical(code).is_some(), "{code}");
        }
    }
}
