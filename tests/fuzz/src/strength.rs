//! The estimate of how hard a typed code is to guess. It is computed once for each input, since it compares every part
//! of the code with every pattern.

use crate::domain::{
    ways::enrollment_code::{EnrollmentCode, MAX_CODE_CHARACTERS, WEAK_BELOW_BITS},
    strength::estimate_bits,
};

/// `is_weak` is also compared with the estimate for codes whose length is a multiple of this.
const WEAK_CHECKED_EVERY_CHARACTERS: usize = 5;

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    let text = crate::text(data);
    let Ok(code) = EnrollmentCode::parse(&text) else {
        // The estimate exists for any text.
        let any: String = text.chars().take(MAX_CODE_CHARACTERS).collect();
        let _ = estimate_bits(&any);
        return;
    };
    // The estimate is a lower one: never above that of as many random characters.
    let bits = code.strength_bits();
    let characters = code.shown().expose().replace('-', "").len();
    assert!(u64::from(bits) * 100 <= characters as u64 * 517);
    // With a domain rule, which is checked first, no code is weak.
    assert!(!code.is_weak(true));
    // This estimates again, so it is done for some inputs only.
    if characters.is_multiple_of(WEAK_CHECKED_EVERY_CHARACTERS) {
        assert_eq!(code.is_weak(false), bits < WEAK_BELOW_BITS);
    }
}
