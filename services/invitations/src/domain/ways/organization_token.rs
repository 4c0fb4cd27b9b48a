//! The organization's invite token: opaque, 32 characters, 160 bits (A2).

use crate::domain::way::{Admits, Policy, Singleton, Way};

/// The way in.
pub(super) const WAY: Way = Way {
    policy: Policy {
        admits: Admits::AtOnce,
        grants_sign_up: true,
        survives_sign_up: true,
        may_be_public: true,
        short: false,
    },
    letter: Some("i"),
    linked: canonical,
    typed: |typed| canonical(typed.grouped?),
    display: Some(Clone::clone),
    singleton: Some(Singleton {
        generate,
        event: "invite_token",
    }),
};

/// The length of an invite token, in characters of five bits.
pub const ORGANIZATION_TOKEN_CHARACTERS: usize = 32;

crate::domain::crockford::secret_of!(ORGANIZATION_TOKEN_CHARACTERS);

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
