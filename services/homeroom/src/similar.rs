//! Names to choose from, told to somebody who wrote another.

use strsim::jaro;

/// The least similarity of a name that may have been meant.
const SIMILARITY_MIN: f64 = 0.7;

/// Returns the known names in their order, after those that may have been meant: the nearest is the first.
pub(crate) fn by_similarity(written: &str, known: &[&str]) -> String {
    let nearness = |name: &str| match jaro(written, name) {
        near if near >= SIMILARITY_MIN => near,
        _ => 0.0,
    };
    let mut names = known.to_vec();
    names.sort_by(|one, other| nearness(other).total_cmp(&nearness(one)));
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told_first_and_the_others_in_their_order() {
        let known = ["parent", "organizationId", "organization", "admin"];
        assert_eq!(
            by_similarity("organisation", &known),
            "organization, organizationId, parent, admin"
        );
        assert_eq!(by_similarity("x", &known), known.join(", "));
    }
}
