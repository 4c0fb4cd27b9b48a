//! Crockford's base 32, in which system-made secrets are written. It has no I, L, O or U, so that secrets that are read
//! aloud or copied by hand come out right.

use homeroom_kit::random::{Randomness, below};
use homeroom_kit::secret::SecretText;

/// The alphabet; each character has five bits.
pub(super) const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Reads a letter, in either case, as people do when they copy it by hand: `O` as `0`, `I` and `L` as `1`. All typed
/// credentials use this folding (B4).
pub(super) const fn fold(character: char) -> char {
    match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    }
}

/// Returns a new secret of `length` characters of `alphabet`, each equally likely.
pub(super) fn generate(length: usize, alphabet: &[u8], random: &dyn Randomness) -> SecretText {
    let characters = u32::try_from(alphabet.len()).unwrap_or(u32::MAX);
    let mut text = String::with_capacity(length);
    text.extend(
        (0..length)
            .filter_map(|_| alphabet.get(usize::try_from(below(random, characters)).ok()?))
            .map(|&character| char::from(character)),
    );
    SecretText::new(text)
}

/// Returns the canonical form of `text` if that has `length` characters: capitals, without spaces and hyphens, folded.
pub(super) fn canonical(text: &str, length: usize) -> Option<SecretText> {
    let mut canonical = String::with_capacity(length);
    for character in text.chars() {
        let character = match character {
            ' ' | '-' => continue,
            other => fold(other),
        };
        let known = u8::try_from(character).is_ok_and(|byte| ALPHABET.contains(&byte));
        if !known || canonical.len() == length {
            return None;
        }
        canonical.push(character);
    }
    (canonical.len() == length).then(|| SecretText::new(canonical))
}

/// Defines `generate` and `canonical` for a kind of secret with this many characters.
macro_rules! secret_of {
    ($characters:ident) => {
        /// Returns a new secret, in canonical form.
        #[must_use]
        pub fn generate(
            random: &dyn homeroom_kit::random::Randomness,
        ) -> homeroom_kit::secret::SecretText {
            $crate::domain::crockford::generate(
                $characters,
                $crate::domain::crockford::ALPHABET,
                random,
            )
        }

        /// Returns the canonical form of `text` if it can be one.
        #[must_use]
        pub fn canonical(text: &str) -> Option<homeroom_kit::secret::SecretText> {
            $crate::domain::crockford::canonical(text, $characters)
        }
    };
}
pub(super) use secret_of;

#[cfg(test)]
mod tests {
    use super::*;
    use homeroom_kit::random::SeededRandomness;
    use proptest::prelude::*;

    #[test]
    fn input_what_people_misread_is_read_as_it_was_meant() {
        let read = |text: &str| canonical(text, 6).map(|text| text.expose().to_owned());
        assert_eq!(read("oO iI-lL"), Some("001111".to_owned()));
        assert_eq!(read("abc-def"), Some("ABCDEF".to_owned()));
        for wrong in ["ABCDEU", "ABCDE", "ABCDEFG", "ABCDE.", "ÀBCDEF", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_character_is_drawn_equally_often() {
        let random = SeededRandomness::new(5);
        let text = generate(32_000, ALPHABET, &random);
        for &character in ALPHABET {
            let drawn = text
                .expose()
                .bytes()
                .filter(|&byte| byte == character)
                .count();
            assert!((850..1_150).contains(&drawn), "{character}: {drawn}");
        }
    }

    proptest! {
        #[test]
        fn input_canonical_form_is_idempotent_and_total(text in ".{0,40}", length in 0_usize..40) {
            if let Some(once) = canonical(&text, length) {
                prop_assert!(canonical(once.expose(), length) == Some(once.clone()));
            }
        }

        #[test]
        fn what_is_generated_is_canonical(seed: u64, length in 0_usize..40) {
            let text = generate(length, ALPHABET, &SeededRandomness::new(seed));
            prop_assert!(canonical(text.expose(), length) == Some(text.clone()));
        }
    }
}
