//! Finds the credential in a message that somebody pasted whole (R1): "Your code is HAMILTON-BIO101".
//!
//! A code of several words may be typed with spaces (B4), so not every text of several words is a message. What could be
//! either is refused, so that it counts as no guess.

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::typed_text::{compact, letters_and_digits, trim_punctuation};
use super::ways::class_code::{self, GROUP_CHARACTERS};
use super::ways::phrase::Phrase;

/// Words that introduce a code, in capitals without accents, sorted. None is a word of a phrase.
#[rustfmt::skip]
const INTRODUCING: [&str; 24] = [
    "BITTE", "CODE", "CODES", "CODICE", "CODIGO", "CODUL", "ENTER", "HERE", "INVITATION", "INVITE", "JOIN", "KOD",
    "KODE", "KODEN", "KODU", "KOODI", "LAUTET", "LINK", "PLEASE", "THANKS", "THANKYOU", "THIS",
    "TOKEN", "USE",
];
/// More such words, which may as well be an organization's prefix if they come first.
const INTRODUCING_WITHIN: [&str; 8] = ["ER", "ES", "ESTE", "EST", "IS", "IST", "MY", "YOUR"];
/// Words that begin a message if one of the others follows.
const BEGINNING: [&str; 6] = ["CLASS", "COURSE", "MY", "THE", "THIS", "YOUR"];
/// Words that end a message.
const ENDING: [&str; 9] = [
    "DANKE", "GRACIAS", "MERCI", "PLEASE", "PLS", "THANKS", "THX", "TNX", "TY",
];
/// The number of words that introduce a code without a colon, so that one word without a hyphen is that code.
const INTRODUCING_WORDS_MIN: usize = 3;
/// The maximum number of words in a typed code, one of which introduces codes.
const CODE_WORDS_MAX: usize = 4;
/// The number of characters from which a word beside a complete code says something of its own.
const WORD_CHARACTERS_MIN: usize = 3;

/// Why no credential can be told from the rest of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It is unclear which part is the credential.
    Sentence,
    /// Several parts are.
    Several,
}

/// One word of a text.
#[derive(Clone, Copy)]
struct Word<'text> {
    /// The word without the punctuation around it.
    text: &'text str,
    /// True if a colon and white space follow the word.
    is_label: bool,
    /// The rest of the text.
    after: &'text str,
}

/// Returns the part of `text` that is the credential: all of it, unless it is a message.
///
/// # Errors
/// [`Doubt`] if the text is a message, and it is unclear which part is the credential.
pub(super) fn credential(text: &str) -> Result<&str, Doubt> {
    let words = words(text);
    if words.len() < 2 || is_in_groups(text) {
        return Ok(text);
    }
    let mut complete = words.iter().filter(|word| is_complete_code(word.text));
    let Some(code) = complete.next() else {
        return introduced(text, &words);
    };
    if complete.any(|other| compact(other.text) != compact(code.text)) {
        return Err(Doubt::Several);
    }
    let is_code = |word: &Word<'_>| is_complete_code(word.text);
    let first = words.iter().position(is_code).unwrap_or_default();
    let last = words.iter().rposition(is_code).unwrap_or_default();
    let says_nothing = |index: usize| {
        words.get(index).is_some_and(is_code) || introduces(&words, index) || ends(&words, index)
    };
    let is_introduced = first > 0 && introduces(&words, first - 1);
    if (is_introduced || (0..first).all(says_nothing)) && (first..words.len()).all(says_nothing) {
        return Ok(code.text);
    }
    let is_short =
        |word: &Word<'_>| is_code(word) || word.text.chars().count() < WORD_CHARACTERS_MIN;
    if first == last && words.iter().all(is_short) {
        return Ok(text);
    }
    Err(Doubt::Sentence)
}

/// Returns true if a complete code other than the `canonical` form stands in a message beside a link.
pub(super) fn holds_another_code(text: &str, canonical: &str) -> bool {
    let mut codes = text
        .split([' ', '\n', ':'])
        .map(trim_punctuation)
        .filter(|word| is_complete_code(word) && word.contains(|one: char| one.is_ascii_digit()));
    codes.any(|code| {
        let class_code = class_code::canonical(code);
        class_code.is_none_or(|class_code| class_code.expose() != canonical)
    })
}

/// Returns true for a word that only a whole credential looks like: a class code in groups, a phrase with hyphens, or a
/// code with hyphens and a digit, the last part of which holds more than digits unless there are three.
fn is_complete_code(word: &str) -> bool {
    let Some((_, last)) = word.rsplit_once('-') else {
        return false;
    };
    if !word
        .chars()
        .all(|one| one.is_ascii_alphanumeric() || one == '-')
    {
        return false;
    }
    let has_digit = word.contains(|one: char| one.is_ascii_digit());
    let has_letter = |text: &str| text.contains(|one: char| one.is_ascii_alphabetic());
    let is_code = has_digit
        && has_letter(word)
        && ((has_letter(last) && last.contains(|one: char| one.is_ascii_digit()))
            || word.split('-').count() > 2);
    is_code || is_in_groups(word) || Phrase::parse(&letters_and_digits(word)).is_some()
}

/// Returns `text` with an I for each bar, which many fonts print like one; `None` if a bar may divide two parts.
pub(super) fn with_bars_read(text: &str) -> Option<Zeroizing<String>> {
    let read = Zeroizing::new(text.replace('|', "I"));
    let divides =
        text.contains("| ") || text.contains(" |") || text.split('|').any(is_complete_code);
    (is_in_groups(&read) || !divides).then_some(read)
}

/// Returns true for a class code as it is shown, in groups with spaces or hyphens between them.
fn is_in_groups(text: &str) -> bool {
    let mut groups = text.split([' ', '\n', '-']);
    groups.all(|group| group.len() == GROUP_CHARACTERS)
        && class_code::canonical(&letters_and_digits(text)).is_some()
}

/// Returns what `words` introduce, if they do, where no word is a complete code.
fn introduced<'text>(text: &'text str, words: &[Word<'text>]) -> Result<&'text str, Doubt> {
    let introducing: Vec<usize> = (0..words.len())
        .filter(|index| introduces(words, *index))
        .collect();
    let Some(last) = introducing
        .last()
        .and_then(|last| Some((*last, words.get(*last)?)))
    else {
        let is_ended = ends(words, words.len() - 1);
        return if is_ended {
            Err(Doubt::Sentence)
        } else {
            Ok(text)
        };
    };
    let (index, word) = last;
    let is_certain = word.is_label || !word.text.is_ascii();
    let rest = trim_punctuation(word.after);
    let has_digit = |text: &str| text.contains(|one: char| one.is_ascii_digit());
    let is_system_made = (has_digit(rest) && class_code::canonical(rest).is_some())
        || Phrase::parse(&letters_and_digits(rest)).is_some();
    if is_system_made && (is_certain || words.len() > 2) {
        return Ok(rest);
    }
    let begins = words.first().is_some_and(|first| {
        BEGINNING.contains(&capitals(first.text).as_str()) && !introducing.contains(&0)
    });
    let count = introducing.len() + usize::from(begins);
    let is_word = index + 2 == words.len()
        && rest.contains(|one: char| one.is_ascii_alphabetic())
        && (has_digit(rest) || rest.contains('-'))
        && !words.iter().take(index).any(|word| has_digit(word.text));
    if is_word && (is_certain || count >= INTRODUCING_WORDS_MIN) {
        return Ok(rest);
    }
    // One such word may as well be a word of the code.
    let is_short = words.len() <= CODE_WORDS_MAX;
    if count == 1 && index > 0 && is_short && !is_certain && !ends(words, words.len() - 1) {
        return Ok(text);
    }
    Err(Doubt::Sentence)
}

/// Returns true if the word at `index` introduces a code and is no part of one.
fn introduces(words: &[Word<'_>], index: usize) -> bool {
    let Some(word) = words.get(index) else {
        return false;
    };
    let capitals = capitals(word.text);
    let is_within = index > 0 && words.len() > 2;
    word.is_label
        || is_foreign(word.text)
        || ((index == 0 || is_within) && INTRODUCING.contains(&capitals.as_str()))
        || (is_within && INTRODUCING_WITHIN.contains(&capitals.as_str()))
}

/// Returns true if the word at `index` is the polite end of a message.
fn ends(words: &[Word<'_>], index: usize) -> bool {
    index > 0
        && words
            .get(index)
            .is_some_and(|word| ENDING.contains(&capitals(word.text).as_str()))
}

/// Returns true if no letter or digit of the word is one of a code.
fn is_foreign(word: &str) -> bool {
    !word.contains(|one: char| one.is_ascii_alphanumeric())
}

/// Returns the word in capitals, without accents.
fn capitals(word: &str) -> String {
    let letters = word.nfd().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_uppercase()).collect()
}

/// Returns the words of `text`. White space and colons divide them, and so does the change from a script without capitals,
/// which needs no space before a code.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut before = None;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        let divides = before.is_some_and(|before: char| {
            matches!(before, ' ' | '\n' | ':')
                || (is_of_code(before) && is_without_capitals(character))
                || (is_without_capitals(before) && is_of_code(character))
        });
        if divides || at == text.len() {
            let (Some(word), Some(after)) = (text.get(start..at), text.get(at..)) else {
                continue;
            };
            let trimmed = trim_punctuation(word);
            if !trimmed.is_empty() {
                words.push(Word {
                    text: trimmed,
                    is_label: word.ends_with(':') && after.starts_with(char::is_whitespace),
                    after,
                });
            }
            start = at;
        }
        before = Some(character);
    }
    words
}

const fn is_of_code(character: char) -> bool {
    character.is_ascii_alphanumeric()
}

fn is_without_capitals(character: char) -> bool {
    !character.is_ascii()
        && character.is_alphabetic()
        && !character.is_uppercase()
        && !character.is_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ways::phrase::listed_word;

    #[test]
    fn r1_no_word_of_a_message_is_a_word_of_a_phrase() {
        for list in [&INTRODUCING[..], &INTRODUCING_WITHIN, &ENDING] {
            for word in list {
                assert!(listed_word(&word.to_ascii_lowercase()).is_none(), "{word}");
            }
        }
    }

    #[test]
    fn r1_only_a_whole_credential_is_a_complete_code() {
        for (word, is_complete) in [
            ("HAMILTON-BIO101", true),
            ("hamilton-bio-101", true),
            ("HAMILTON-2026-A", true),
            ("7K3M-9PQ2-XW4T", true),
            ("abacus-zebra", true),
            ("HAMILTONBIO101", false),
            ("BIO-101", false),
            ("B-12", false),
            ("HAMILTON-BIOLOGY", false),
            ("555-010-0199", false),
            ("2026-09-30", false),
            ("HAMILTON-BIO,101", false),
            ("co-teacher", false),
        ] {
            assert_eq!(is_complete_code(word), is_complete, "{word}");
        }
    }
}
