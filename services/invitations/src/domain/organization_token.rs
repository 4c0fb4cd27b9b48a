//! The organization's invite token: opaque, 32 characters, 160 bits (A2, 03 Arithmetic).

use homeroom_kit::random::Randomness;
use homeroom_kit::secret::SecretText;

use super::crockford;

/// How long an invite token is, in characters of five bits.
pub const ORGANIZATION_TOKEN_CHARACTERS: usize = 32;

/// A new invite token, in canonical form, which is how it is shown too.
#[must_use]
pub fn generate(random: &dyn Randomness) -> SecretText {
    crockford::generate(ORGANIZATION_TOKEN_CHARACTERS, random)
}

/// The canonical form of `text` if it can be an invite token (03 Input).
#[must_use]
pub fn canonical(text: &str) -> Option<SecretText> {
    crockford::canonical(text, ORGANIZATION_TOKEN_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeroom_kit::random::SeededRandomness;

    #[test]
    fn a2_an_invite_token_has_160_bits() {
        let token = generate(&SeededRandomness::new(1));
        assert_eq!(token.expose().len() * 5, 160);
        assert!(canonical(token.expose()) == Some(token));
    }
}
