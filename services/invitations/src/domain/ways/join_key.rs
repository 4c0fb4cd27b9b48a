//! The key in a class's join URL, which makes an address that nobody finds by chance: 26 characters, 130 bits. It never
//! changes (C12), and is accepted only within a URL.

use crate::domain::way::{Admits, Policy, Singleton, Way};

/// The way in.
pub(super) const WAY: Way = Way {
    policy: Policy {
        admits: Admits::AlwaysQueue,
        grants_sign_up: false,
        survives_sign_up: true,
        may_be_public: true,
        short: false,
    },
    letter: Some("j"),
    linked: canonical,
    typed: |_| None,
    display: None,
    singleton: Some(Singleton {
        generate,
        event: "join_url",
    }),
};

/// The length of a join key, in characters of five bits.
pub const JOIN_KEY_CHARACTERS: usize = 26;

crate::domain::crockford::secret_of!(JOIN_KEY_CHARACTERS);

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
