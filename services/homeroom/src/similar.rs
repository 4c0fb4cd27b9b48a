//! Names to choose from, told to somebody who wrote another.

use strsim::jaro;

/// The most names that are told.
const NAMES_TOLD_MAX: usize = 60;
/// The least similarity of a name that may have been meant.
const SIMILARITY_MIN: f64 = 0.7;

/// Returns the known names in their order, after those that may have been meant: the nearest is the first.
pub(crate) fn choices(written: &str, known: &[&str]) -> String {
    let nearness = |name: &str| match jaro(written, name) {
        near if near >= SIMILARITY_MIN => near,
        _ => 0.0,
    };
    let mut names = known.to_vec();
    names.sort_by(|one, other| nearness(other).total_cmp(&nearness(one)));
    let more = names.len().saturating_sub(NAMES_TOLD_MAX);
    names.truncate(NAMES_TOLD_MAX);
    let told = names.join(", ");
    if more == 0 {
        told
    } else {
        format!("{told} and {more} more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told_first_and_the_others_in_their_order() {
        let known = ["parent", "organizationId", "organization", "admin"];
        assert_eq!(
            choices("organisation", &known),
            "organization, organizationId, parent, admin"
        );
        assert_eq!(choices("x", &known), known.join(", "));
    }

    #[test]
    fn at_most_60_names_are_told() {
        let names: Vec<String> = (0..=NAMES_TOLD_MAX).map(|one| one.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(choices("x", &names[..NAMES_TOLD_MAX]).ends_with(", 59"));
        assert!(choices("x", &names).ends_with(", 59 and 1 more"));
    }
}
