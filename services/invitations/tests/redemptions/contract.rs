//! The comments of the contract.

use std::fs;

/// The counts of uses, and the list of redemptions.
const LAGGING: usize = 5 + 1;

#[test]
fn p10_lists_of_redemptions_and_every_count_of_uses_say_that_they_may_lag() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../proto/homeroom/invitations/v1"
    );
    let mut lagging = 0;
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let mut comment = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(words) = line.strip_prefix("//") {
                comment.push_str(words);
                continue;
            }
            if line.starts_with("rpc ListRedemptions(") || line.contains(" use_count = ") {
                lagging += 1;
                let said = comment.to_lowercase();
                assert!(said.contains("may lag by seconds"), "{line}: {comment}");
            }
            comment.clear();
        }
    }
    assert_eq!(lagging, LAGGING);
}
