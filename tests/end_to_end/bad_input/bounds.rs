//! Every bound on a request's content is tested: by a row of the table of bad input, one past the
//! bound, or by the test that takes it to its edge.

use std::{collections::BTreeSet, fs, path::Path};

use super::table::{PASSED, RULES};

/// The places where bounds on requests are declared, relative to the root of the repository.
#[rustfmt::skip]
const SOURCES: [&str; 12] = [
    "proto/ids.rs", "services/kit/src/email.rs", "services/kit/src/filter.rs", "services/kit/src/paging.rs",
    "services/kit/src/person.rs", "services/kit/src/validation.rs", "services/membership/src/domain",
    "services/membership/src/grpc", "services/invitations/src/domain", "services/invitations/src/domain/ways",
    "services/invitations/src/grpc", "services/invitations/src/redemption/request.rs",
];

/// Bounds for which no request can be refused, or that need more than one field to exceed.
#[rustfmt::skip]
const ELSEWHERE: [(&str, &str); 16] = [
    ("PERSON_NAME_CHARS_MAX", "a longer name is cut to it"),
    ("PAGE_SIZE_MAX", "a larger page is lowered to it"),
    ("MEMBERS_REMOVED_MAX", "the next call removes the others: provenance.rs"),
    ("REPLACED_TOLD_MAX", "of answers: roster_service.rs"),
    ("VIOLATIONS_MAX", "of answers: validation.rs"),
    ("MESSAGE_FIELDS_MAX", "of answers: validation.rs"),
    ("TIMESTAMP_SECONDS_MIN", "no JSON writes such a time: validation.rs"),
    ("TIMESTAMP_SECONDS_MAX", "no JSON writes such a time: validation.rs"),
    ("MAX_TYPED_WORDS", "what has more is a sentence: credential.rs"),
    ("MAX_NORMAL_BYTES", "is MAX_PASTED_BYTES: credential.rs"),
    ("CODE_WORDS_MAX", "what has more is a sentence: message.rs"),
    ("INTRODUCING_WORDS_MIN", "of a sentence: message.rs"),
    ("WORD_CHARACTERS_MIN", "of a sentence: message.rs"),
    ("MAX_WORD_LETTERS", "of the word list: phrase.rs"),
    ("MIN_RUN_CHARACTERS", "of the estimate: strength.rs"),
    ("MAX_WORD_CHARACTERS", "of the estimate: strength.rs"),
];

#[test]
fn every_bound_on_a_request_is_in_the_table_or_said_to_be_elsewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut declared = BTreeSet::new();
    for source in SOURCES {
        let path = root.join(source);
        let files = match fs::read_dir(&path) {
            Ok(folder) => folder.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => vec![path],
        };
        for file in files.iter().filter(|path| path.is_file()) {
            declared.extend(bounds(&fs::read_to_string(file).unwrap()));
        }
    }
    let passed = PASSED.iter().flat_map(|(_, bounds)| *bounds).copied();
    let elsewhere = ELSEWHERE.iter().map(|(bound, _)| *bound);
    let known = passed.chain(elsewhere).map(str::to_owned).collect();
    let wrong: Vec<_> = declared.symmetric_difference(&known).collect();
    assert!(wrong.is_empty(), "without a row, or gone: {wrong:?}");
    for (rule, _) in PASSED {
        assert!(RULES.contains(rule), "{rule}");
    }
}

/// Returns the constants of a file whose names are those of bounds.
fn bounds(source: &str) -> impl Iterator<Item = String> {
    source.lines().filter_map(|line| {
        let declared = line.trim_start().split_once("const ")?;
        let (name, kind) = declared.1.split_once(": ")?;
        let visible = declared.0.is_empty() || declared.0.starts_with("pub");
        let number = ["usize", "u32", "i64", "u64"]
            .iter()
            .any(|number| kind.starts_with(number));
        let bound = name.split('_').any(|word| word == "MAX" || word == "MIN");
        (visible && number && bound).then(|| name.to_owned())
    })
}
