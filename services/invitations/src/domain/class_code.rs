//! The class code: 12 characters of Crockford's base 32, 60 bits (C1, 03 Arithmetic).

use homeroom_kit::secret::SecretText;

/// How long a class code is, in characters of five bits.
pub const CLASS_CODE_CHARACTERS: usize = 12;

/// It is shown in groups of this many characters.
const GROUP_CHARACTERS: usize = 4;

super::crockford::secret_of!(CLASS_CODE_CHARACTERS);

/// The code as people are shown it: `ABCD-EFGH-JKMN`.
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
}
