//! The types of the events of both services. No other is written: [`Session::append`](crate::store::Session::append)
//! checks it in every test.

/// The nouns, each with its verbs.
const VERBS: [(&str, &str); 12] = [
    ("organization", "created updated deleted"),
    (
        "class",
        "created updated ownership_transferred archived unarchived deleted",
    ),
    ("member", "joined updated left removed"),
    ("user", "erased moved"),
    (
        "join_request",
        "created updated approved denied withdrawn expired closed",
    ),
    ("invite_token", "created updated reset"),
    ("token", "created updated revoked"),
    ("enrollment_code", "created updated deleted"),
    ("class_code", "created updated locked unlocked reset"),
    ("join_url", "created updated"),
    ("redemption", "queued committed released refused"),
    ("guess_guard", "closed"),
];

/// Returns every type, as `noun.verb`.
pub fn all() -> impl Iterator<Item = String> {
    let types = |(noun, verbs): (&'static str, &'static str)| {
        let verbs = verbs.split(' ');
        verbs.map(move |verb| format!("{noun}.{verb}"))
    };
    VERBS.into_iter().flat_map(types)
}

/// Returns true if there are events of this type.
pub(super) fn has(event_type: &str) -> bool {
    all().any(|one| one == event_type)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Returns the types in the tables of a document: the names in the first cell of each row, where `.verb` has the
    /// noun of the name before it.
    fn documented(document: &str) -> BTreeSet<String> {
        let (_, feed) = document.split_once("### Membership's events").unwrap();
        let (feed, _) = feed.split_once("## Webhooks").unwrap();
        let mut types = BTreeSet::new();
        for row in feed.lines().filter(|line| line.starts_with("| `")) {
            let cell = row.split('|').nth(1).unwrap();
            let mut noun = "";
            for name in cell.split('`').skip(1).step_by(2) {
                let (before, verb) = name.split_once('.').unwrap();
                noun = if before.is_empty() { noun } else { before };
                types.insert(format!("{noun}.{verb}"));
            }
        }
        types
    }

    #[test]
    fn the_types_are_those_of_the_document() {
        let document = include_str!("../../../../docs/integrating.md");
        let all: Vec<String> = all().collect();
        let once: BTreeSet<String> = all.iter().cloned().collect();
        assert_eq!(once, documented(document));
        assert_eq!(all.len(), once.len());
    }
}
