//! The enrollment code that its author chooses (B4), and the prefix of the organization before it.
//!
//! A code has 2 to 64 letters and digits. Spaces and hyphens between them are kept for display, as single hyphens, and
//! are otherwise ignored. A prefix has 2 to 16 letters and digits. Both are in capitals. The look-up uses both joined
//! as one string, so that `hamilton bio 101` finds `HAMILTON-BIO101`.

use homeroom_api::ids::CodePrefix;
use homeroom_kit::secret::SecretText;

use crate::domain::{
    crockford::fold,
    strength, typed_text,
    way::{Admits, Policy, Way},
};

/// The way in.
pub(super) const WAY: Way = Way {
    policy: Policy {
        admits: Admits::AtOnce,
        grants_sign_up: true,
        survives_sign_up: true,
        may_be_public: false,
        short: true,
    },
    letter: None,
    linked: |_| None,
    typed: |typed| typed.code.map(SecretText::new),
    display: Some(Clone::clone),
    singleton: None,
};

/// The minimum number of letters and digits of a code (B4).
pub const MIN_CODE_CHARACTERS: usize = 2;
/// The maximum number of letters and digits of a code (B4).
pub const MAX_CODE_CHARACTERS: usize = 64;
/// The maximum length of a text that a code is read from, in bytes.
pub const MAX_CODE_BYTES: usize = 256;
/// The number of bits below which a code is weak.
pub const WEAK_BELOW_BITS: u32 = 50;

/// The error for a text that is no enrollment code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 2 to 64 letters A to Z and digits, with spaces or hyphens between them")]
pub struct CodeMalformed;

/// A code without its prefix. It is a secret, so it has no Debug.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrollmentCode {
    shown: SecretText,
    canonical: SecretText,
}

impl EnrollmentCode {
    /// Reads the text that an author typed.
    ///
    /// # Errors
    /// [`CodeMalformed`] for other characters, or too few or many.
    pub fn parse(text: &str) -> Result<Self, CodeMalformed> {
        if text.len() > MAX_CODE_BYTES {
            return Err(CodeMalformed);
        }
        let typed = typed_text::normalize(text).map_err(|_| CodeMalformed)?;
        let canonical = typed_text::compact(&typed);
        let right = (MIN_CODE_CHARACTERS..=MAX_CODE_CHARACTERS).contains(&canonical.len())
            && canonical.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !right {
            return Err(CodeMalformed);
        }
        let words: Vec<&str> = typed
            .split([' ', '\n', '-'])
            .filter(|word| !word.is_empty())
            .collect();
        Ok(Self {
            shown: SecretText::new(words.join("-").to_ascii_uppercase()),
            canonical: SecretText::new(canonical.as_str()),
        })
    }

    /// Returns the code as staff see it: capitals, with single hyphens in place of spaces or hyphens.
    #[must_use]
    pub const fn shown(&self) -> &SecretText {
        &self.shown
    }

    /// Returns the code that people are given: `HAMILTON-BIO101` (B4).
    #[must_use]
    pub fn full(&self, prefix: &CodePrefix) -> SecretText {
        SecretText::new(format!("{}-{}", prefix.as_str(), self.shown.expose()))
    }

    /// Returns the form for look-ups: prefix and code as one string of capitals and digits. Two codes whose forms are
    /// equal, or equal once [`folded`], are `CODE_TAKEN` (B4).
    #[must_use]
    pub fn full_canonical(&self, prefix: &CodePrefix) -> SecretText {
        join(prefix, self.canonical.expose())
    }

    /// Returns the strength of the code, in bits, against a guesser who knows the prefix.
    #[must_use]
    pub fn strength_bits(&self) -> u32 {
        strength::estimate_bits(self.canonical.expose())
    }

    /// Returns true if the code needs `acknowledge_weak`: it is below [`WEAK_BELOW_BITS`], and no domain rule keeps
    /// strangers out (B15).
    #[must_use]
    pub fn is_weak(&self, has_domain_rule: bool) -> bool {
        !has_domain_rule && self.strength_bits() < WEAK_BELOW_BITS
    }
}

/// Returns a canonical code, or a prefix, in folded form: `O` as `0`, `I` and `L` as `1` (B4).
#[must_use]
pub fn folded(canonical: &str) -> SecretText {
    SecretText::new(canonical.chars().map(fold).collect::<String>())
}

/// Returns the canonical full code of `canonical` under `prefix`.
pub(in crate::domain) fn join(prefix: &CodePrefix, canonical: &str) -> SecretText {
    SecretText::new(format!("{}{canonical}", prefix.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(text: &str) -> EnrollmentCode {
        EnrollmentCode::parse(text).unwrap_or_else(|_| panic!("{text:?}"))
    }

    #[test]
    fn b4_what_is_handed_out_is_prefix_and_code() {
        let prefix = CodePrefix::parse("hamilton").unwrap();
        for (typed, shown, canonical) in [
            ("BIO101", "HAMILTON-BIO101", "HAMILTONBIO101"),
            (" bio  101 ", "HAMILTON-BIO-101", "HAMILTONBIO101"),
            ("-Bio--1 01-", "HAMILTON-BIO-1-01", "HAMILTONBIO101"),
            ("ＢＩＯ\u{2013}101", "HAMILTON-BIO-101", "HAMILTONBIO101"),
            ("BIO\u{200b}١٠١", "HAMILTON-BIO101", "HAMILTONBIO101"),
            ("BIO\t101\r\n", "HAMILTON-BIO-101", "HAMILTONBIO101"),
        ] {
            assert_eq!(code(typed).full(&prefix).expose(), shown);
            assert_eq!(code(typed).full_canonical(&prefix).expose(), canonical);
        }
    }

    #[test]
    fn b4_a_code_has_2_to_64_letters_and_digits() {
        for (characters, right) in [(0, false), (1, false), (2, true), (64, true), (65, false)] {
            let text = "A".repeat(characters);
            assert_eq!(EnrollmentCode::parse(&text).is_ok(), right, "{characters}");
        }
        assert!(EnrollmentCode::parse(&format!("AB{}", "-".repeat(MAX_CODE_BYTES - 2))).is_ok());
        assert!(EnrollmentCode::parse(&format!("AB{}", "-".repeat(MAX_CODE_BYTES - 1))).is_err());
        for text in [
            "BIO_101",
            "BIO.101",
            "BIO101!",
            "BÍO101",
            "BI\u{41e}101",
            "\u{202e}BIO101",
            "- -",
        ] {
            assert!(EnrollmentCode::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn u4_codes_that_read_alike_fold_alike() {
        for alike in [
            "BIO101", "BI0101", "BIOIOI", "BlOL0l", "B10I01", "b1o1o1", "bil0li",
        ] {
            let canonical = code(alike).canonical;
            let reads = folded(canonical.expose());
            let expected = if alike == "bil0li" {
                "B11011"
            } else {
                "B10101"
            };
            assert_eq!(reads.expose(), expected, "{alike}");
        }
        for other in ["BIO102", "810101", "BIQ101", "BUO101", "BIOS01"] {
            assert_ne!(
                folded(code(other).canonical.expose()).expose(),
                "B10101",
                "{other}"
            );
        }
    }

    #[test]
    fn b14_a_weak_code_without_a_domain_rule_must_be_acknowledged() {
        assert!(code("BIO101").is_weak(false));
        assert!(!code("BIO101").is_weak(true));
        assert!(!code("7X3K-Q9MZ-2W4P").is_weak(false));
    }

    proptest! {
        #[test]
        fn b4_a_shown_code_reads_as_itself(text in "[a-zA-Z0-9 -]{1,70}") {
            if let Ok(code) = EnrollmentCode::parse(&text) {
                prop_assert!(EnrollmentCode::parse(code.shown().expose()) == Ok(code));
            }
        }

        #[test]
        fn input_any_text_is_read_without_a_panic(text in ".{0,300}") {
            let _ = EnrollmentCode::parse(&text);
            let _ = CodePrefix::parse(&text);
        }
    }
}
