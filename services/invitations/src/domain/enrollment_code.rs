//! The enrolment code that its author types (B4), and the prefix of the
//! organization before it.
//!
//! A code has 2 to 64 letters and digits; spaces and hyphens between them are
//! kept for the eye, as single hyphens, and count for nothing. A prefix has 2 to
//! 16 letters and digits. Both are in capitals. What is looked up is the one
//! string of both, so that `hamilton bio 101` finds `HAMILTON-BIO101`.

use homeroom_kit::secret::SecretText;

use super::{crockford::fold, strength, typed_text};

/// The fewest letters and digits of a code (B4).
pub const MIN_CODE_CHARACTERS: usize = 2;
/// The most letters and digits of a code (B4).
pub const MAX_CODE_CHARACTERS: usize = 64;
/// The longest text that a code is read from, in bytes.
pub const MAX_CODE_BYTES: usize = 256;
/// The fewest letters and digits of a prefix (B4).
pub const MIN_PREFIX_CHARACTERS: usize = 2;
/// The most letters and digits of a prefix (B4).
pub const MAX_PREFIX_CHARACTERS: usize = 16;
/// A code of fewer bits is weak (03 Arithmetic).
pub const WEAK_BELOW_BITS: u32 = 50;

/// The text is no enrolment code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 2 to 64 letters A to Z and digits, with spaces or hyphens between them")]
pub struct CodeMalformed;

/// The text is no code prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 2 to 16 letters A to Z and digits")]
pub struct PrefixMalformed;

/// The short unique word of an organization: public, fixed once set (B4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodePrefix(String);

impl CodePrefix {
    /// Reads a prefix, in either case.
    ///
    /// # Errors
    /// [`PrefixMalformed`] unless it is 2 to 16 letters and digits.
    pub fn parse(text: &str) -> Result<Self, PrefixMalformed> {
        let bounds = MIN_PREFIX_CHARACTERS..=MAX_PREFIX_CHARACTERS;
        let right =
            bounds.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        right
            .then(|| Self(text.to_ascii_uppercase()))
            .ok_or(PrefixMalformed)
    }

    /// The prefix, in capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A code without its prefix. A secret: it has no Debug.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrollmentCode {
    shown: SecretText,
    canonical: SecretText,
}

impl EnrollmentCode {
    /// Reads what an author typed.
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

    /// The code as staff see it: capitals, single hyphens where there were
    /// spaces or hyphens.
    #[must_use]
    pub const fn shown(&self) -> &SecretText {
        &self.shown
    }

    /// What is handed out: `HAMILTON-BIO101` (B4).
    #[must_use]
    pub fn full(&self, prefix: &CodePrefix) -> SecretText {
        SecretText::new(format!("{}-{}", prefix.as_str(), self.shown.expose()))
    }

    /// What is looked up: prefix and code as one string of capitals and digits.
    /// Two that come out equal, or as [`folded`] would, are `CODE_TAKEN` (B4).
    #[must_use]
    pub fn full_canonical(&self, prefix: &CodePrefix) -> SecretText {
        join(prefix, self.canonical.expose())
    }

    /// How hard it is to guess for someone who knows the prefix, in bits.
    #[must_use]
    pub fn strength_bits(&self) -> u32 {
        strength::estimate_bits(self.canonical.expose())
    }

    /// Whether it needs `acknowledge_weak`: below [`WEAK_BELOW_BITS`], and no
    /// domain rule keeps strangers out (B14, 03 Arithmetic).
    #[must_use]
    pub fn is_weak(&self, has_domain_rule: bool) -> bool {
        !has_domain_rule && self.strength_bits() < WEAK_BELOW_BITS
    }
}

/// A canonical code, or a prefix, as it reads: `O` as `0`, `I` and `L` as `1` (B4).
#[must_use]
pub fn folded(canonical: &str) -> SecretText {
    SecretText::new(canonical.chars().map(fold).collect::<String>())
}

/// The canonical full code of `canonical` under `prefix`.
pub(super) fn join(prefix: &CodePrefix, canonical: &str) -> SecretText {
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
    fn b4_a_prefix_has_2_to_16_letters_and_digits_in_capitals() {
        for (text, right) in [
            ("H", false),
            ("Hi", true),
            ("ABCDEFGH12345678", true),
            ("ABCDEFGH123456789", false),
            ("HA-MI", false),
            ("HÀ", false),
            ("", false),
        ] {
            assert_eq!(CodePrefix::parse(text).is_ok(), right, "{text}");
        }
        assert_eq!(CodePrefix::parse("hi1").unwrap().as_str(), "HI1");
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
