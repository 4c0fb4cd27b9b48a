//! Text that must not be logged, printed or serialized.

use zeroize::Zeroizing;

/// A secret, wiped when dropped. It implements neither Debug nor Display nor Serialize, so that no
/// log can contain it.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes ownership of the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Compares in constant time for texts of the same length.
impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes())
            .is_ok()
    }
}

impl Eq for SecretText {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_compare_by_their_text() {
        let same = SecretText::new("ABCD");
        assert!(same == same.clone());
        assert!(same != SecretText::new("ABCE"));
        assert!(same != SecretText::new("ABC"));
        assert_eq!(same.expose(), "ABCD");
    }
}
