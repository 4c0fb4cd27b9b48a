//! Finds a secret in any form in which it could be written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// The shortest form that is searched for; shorter ones would be found by chance.
const FORM_BYTES_MIN: usize = 8;

/// The bytes that were written, by place.
pub(crate) type Evidence = BTreeMap<String, Vec<u8>>;

/// A search for secrets in every form, in upper and lower case.
pub(crate) struct Search {
    automaton: AhoCorasick,
    /// The name of the secret behind each form; never the secret.
    names: Vec<String>,
}

impl Search {
    /// Returns a search for these secrets, keyed by name.
    pub(crate) fn of(secrets: &BTreeMap<String, String>) -> Self {
        let forms = secrets.iter().flat_map(|(name, secret)| {
            let forms = text_forms(secret).into_iter().chain(base64_forms(secret));
            forms.map(move |form| (name.clone(), form))
        });
        let (names, forms): (Vec<_>, Vec<_>) = forms.unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(forms);
        Self {
            automaton: automaton.unwrap(),
            names,
        }
    }

    /// Returns the names of the secrets that it finds, with their places.
    pub(crate) fn find(&self, evidence: &Evidence) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for (place, bytes) in evidence {
            let hits = self.automaton.find_overlapping_iter(bytes);
            found.extend(hits.map(|hit| {
                let name = &self.names[hit.pattern().as_usize()];
                (place.clone(), name.clone())
            }));
        }
        found
    }
}

/// Returns the secret as it is shown, as it is looked up, and with the separators that people type.
fn spellings(secret: &str) -> BTreeSet<String> {
    let parts: Vec<&str> = secret.split([' ', '-']).collect();
    ["", " ", "-", "_", "+", "%20", "%2D"]
        .iter()
        .map(|between| parts.join(between))
        .chain([secret.to_owned()])
        .filter(|text| text.len() >= FORM_BYTES_MIN)
        .collect()
}

/// Returns the text in upper and lower case, percent-encoded and in hexadecimal.
fn text_forms(secret: &str) -> BTreeSet<String> {
    let mut forms = spellings(secret);
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    forms.insert(encoded);
    for text in cased(secret) {
        forms.insert(hex(&text));
    }
    forms
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Returns the base64 forms for each offset at which the secret can begin.
fn base64_forms(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    for text in cased(secret) {
        for before in 0..3 {
            let bytes = [vec![0; before], text.as_bytes().to_vec()].concat();
            // The first and last characters also hold bits of their neighbors.
            let first = [0, 2, 3][before];
            let last = bytes.len() * 8 / 6;
            for encoded in [
                STANDARD_NO_PAD.encode(&bytes),
                URL_SAFE_NO_PAD.encode(&bytes),
            ] {
                forms.insert(encoded[first..last].to_owned());
            }
        }
    }
    forms
}

/// Returns its spellings unchanged, in upper case and in lower case.
fn cased(secret: &str) -> BTreeSet<String> {
    let spellings = spellings(secret).into_iter();
    spellings
        .flat_map(|text| [text.to_uppercase(), text.to_lowercase(), text])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(planted: &str) -> bool {
        let secrets = BTreeMap::from([("code".to_owned(), "ABCD-EFGH-JKMN".to_owned())]);
        let evidence = Evidence::from([("log".to_owned(), format!("x {planted} y").into_bytes())]);
        !Search::of(&secrets).find(&evidence).is_empty()
    }

    #[test]
    fn a_secret_is_found_in_every_form_and_nothing_else_is() {
        let encoded = |text: &str| STANDARD_NO_PAD.encode(text);
        for form in [
            "ABCD-EFGH-JKMN",
            "abcdefghjkmn",
            "Abcd efgh jkmn",
            "abcd%20efgh%20jkmn",
            "414243442d454647482d4a4b4d4e",
            "6162636465666768",
            "/c/ABCD-EFGH-JKMN\"",
            &encoded("ABCD-EFGH-JKMN"),
            &encoded("code: abcdefghjkmn."),
            &encoded("the code: abcdefghjkmn."),
            &encoded("one code: abcdefghjkmn;"),
        ] {
            // A part of the hexadecimal form alone is no match.
            assert_eq!(finds(form), form != "6162636465666768", "{form}");
        }
        assert!(!finds("ABCD-EFGH-JKMP"));
        assert!(!finds("ABCD EFGH, JKMN"));
    }
}
