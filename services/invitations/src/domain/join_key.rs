//! The key in a class's join URL: an address that nobody stumbles on, 26
//! characters, 130 bits. It never changes (C12), and is found in a URL only.

use homeroom_kit::random::Randomness;
use homeroom_kit::secret::SecretText;

use super::crockford;

/// How long a join key is, in characters of five bits.
pub const JOIN_KEY_CHARACTERS: usize = 26;

/// A new join key, in canonical form.
#[must_use]
pub fn generate(random: &dyn Randomness) -> SecretText {
    crockford::generate(JOIN_KEY_CHARACTERS, random)
}

/// The canonical form of `text` if it can be a join key (03 Input).
#[must_use]
pub fn canonical(text: &str) -> Option<SecretText> {
    crockford::canonical(text, JOIN_KEY_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeroom_kit::random::SeededRandomness;

    #[test]
    fn c12_a_join_key_has_130_bits() {
        let key = generate(&SeededRandomness::new(1));
        assert_eq!(key.expose().len() * 5, 130);
        assert!(canonical(key.expose()) == Some(key));
    }
}
