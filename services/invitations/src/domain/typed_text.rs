//! What people type or paste, before anything is read into it (03 Input).

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// Printable ASCII: NFKC, trimmed, with the dashes and quotation marks that word
/// processors put in made plain. `None` for whatever else is left: controls,
/// bidirectional and invisible characters, and letters that only look right.
pub(super) fn normalize(text: &str) -> Option<Zeroizing<String>> {
    let composed: Zeroizing<String> = text.nfkc().collect::<String>().into();
    let plain: Option<String> = composed.trim().chars().map(plain_character).collect();
    plain.map(Zeroizing::new)
}

/// Without the quotation marks and brackets around it, and without the
/// punctuation of the sentence that it ended.
pub(super) fn trim_punctuation(text: &str) -> &str {
    text.trim_start_matches([' ', '\'', '"', '(', '[', '{', '<'])
        .trim_end_matches([
            ' ', '\'', '"', ')', ']', '}', '>', '.', ',', ';', ':', '!', '?',
        ])
}

/// `text` in capitals, spaces and hyphens aside.
pub(super) fn compact(text: &str) -> Zeroizing<String> {
    text.chars()
        .filter(|character| !matches!(character, ' ' | '-'))
        .map(|character| character.to_ascii_uppercase())
        .collect::<String>()
        .into()
}

/// What stands before the first space or hyphen that is no first character.
pub(super) fn first_word(text: &str) -> &str {
    let mut words = text.split([' ', '-']);
    words.find(|word| !word.is_empty()).unwrap_or_default()
}

fn plain_character(character: char) -> Option<char> {
    match character {
        ' '..='~' => Some(character),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{2018}' | '\u{2019}' => Some('\''),
        '\u{201c}' | '\u{201d}' => Some('"'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn input_strange_characters_are_refused_and_plain_ones_made_plainer() {
        for (text, plain) in [
            (" a b\r\n", Some("a b")),
            ("ＡＢ\u{a0}Ｃ", Some("AB C")),
            ("a\u{2011}b\u{2013}c\u{2212}d", Some("a-b-c-d")),
            ("\u{201c}a\u{201d}", Some("\"a\"")),
            ("\u{1d400}\u{1d401}", Some("AB")),
            ("a\u{0}b", None),
            ("a\tb", None),
            ("a\u{7f}", None),
            ("a\u{ad}b", None),
            ("a\u{200b}b", None),
            ("a\u{200d}b", None),
            ("\u{feff}ab", None),
            ("\u{202e}ab", None),
            ("\u{2066}ab\u{2069}", None),
            ("\u{e0061}ab", None),
            ("ABC\u{410}", None),
            ("ABC\u{391}", None),
            ("é", None),
        ] {
            let read = normalize(text);
            assert_eq!(read.as_ref().map(|read| read.as_str()), plain, "{text:?}");
        }
    }

    #[test]
    fn r1_the_sentence_around_a_code_is_not_part_of_it() {
        for text in ["AB-C.", "\"AB-C\"", "(AB-C)!", "<AB-C>", " AB-C ?! "] {
            assert_eq!(trim_punctuation(text), "AB-C", "{text}");
        }
        assert_eq!(trim_punctuation("..."), "");
    }

    proptest! {
        #[test]
        fn input_normalizing_is_idempotent_and_total(text in "\\PC{0,40}|.{0,40}") {
            if let Some(once) = normalize(&text) {
                prop_assert_eq!(normalize(&once), Some(once.clone()));
                let trimmed = trim_punctuation(&once);
                prop_assert_eq!(trim_punctuation(trimmed), trimmed);
            }
        }
    }
}
