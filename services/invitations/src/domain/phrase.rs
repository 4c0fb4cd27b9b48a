//! The phrase of a class token: two to four common words (A6). The words come
//! from the EFF's long list, in which no word begins with another, so that a
//! phrase is read alike with spaces, with hyphens or with neither.

use std::sync::LazyLock;

use diceware_wordlists::EFF_LONG_WORDLIST;
use homeroom_kit::random::{self, Randomness};
use homeroom_kit::secret::SecretText;

use super::phrase_exclusions::{HOMOPHONES, OFFENSIVE};

/// The fewest words of a phrase (A6).
pub const MIN_PHRASE_WORDS: u32 = 2;
/// The most words of a phrase (01, Tokens).
pub const MAX_PHRASE_WORDS: u32 = 4;
/// The longest word of the list, in letters.
const MAX_WORD_LETTERS: usize = 9;

/// The words that are issued. Phrases are read from the whole list, so that one
/// issued before its word was excluded still works.
static ISSUED_WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    EFF_LONG_WORDLIST
        .into_iter()
        .filter(|word| {
            word.bytes().all(|byte| byte.is_ascii_lowercase())
                && !OFFENSIVE.contains(word)
                && !HOMOPHONES.contains(word)
        })
        .collect()
});

/// How many words a phrase has: 2 to 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WordCount(u32);

/// A phrase has 2 to 4 words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 2, 3 or 4")]
pub struct WordCountOutOfRange;

impl WordCount {
    /// Two words (A6).
    pub const DEFAULT: Self = Self(MIN_PHRASE_WORDS);

    /// A count of `words`, 2 to 4.
    ///
    /// # Errors
    /// [`WordCountOutOfRange`] outside these bounds.
    pub const fn new(words: u32) -> Result<Self, WordCountOutOfRange> {
        match words {
            MIN_PHRASE_WORDS..=MAX_PHRASE_WORDS => Ok(Self(words)),
            _ => Err(WordCountOutOfRange),
        }
    }
}

impl Default for WordCount {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A phrase of 2 to 4 words of the list. A secret: it has no Debug.
#[derive(Clone, PartialEq, Eq)]
pub struct Phrase(Vec<&'static str>);

impl Phrase {
    /// A new phrase of `count` different words.
    #[must_use]
    pub fn generate(count: WordCount, random: &dyn Randomness) -> Self {
        let issued = &*ISSUED_WORDS;
        let bound = u32::try_from(issued.len()).unwrap_or(u32::MAX);
        let mut words = Vec::new();
        while (words.len() as u64) < u64::from(count.0) {
            let drawn = usize::try_from(random::below(random, bound)).unwrap_or(usize::MAX);
            // A word said twice would be its own reversal.
            if let Some(word) = issued.get(drawn)
                && !words.contains(word)
            {
                words.push(word);
            }
        }
        Self(words)
    }

    /// The phrase that `text` is: case, spaces and hyphens aside, 2 to 4 words,
    /// all of the list (R1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: zeroize::Zeroizing<String> = text
            .chars()
            .filter(|character| !matches!(character, ' ' | '-'))
            .map(|character| character.to_ascii_lowercase())
            .collect::<String>()
            .into();
        let mut rest = letters.as_str();
        let mut words = Vec::new();
        while !rest.is_empty() {
            let word = first_word(rest)?;
            words.push(word);
            rest = rest.get(word.len()..)?;
        }
        let count = u32::try_from(words.len()).ok()?;
        WordCount::new(count).is_ok().then_some(Self(words))
    }

    /// Its canonical form, `happy-panda`: looked up by it, and put in URLs.
    #[must_use]
    pub fn canonical(&self) -> SecretText {
        SecretText::new(self.0.join("-"))
    }

    /// As people are shown it: `happy panda`.
    #[must_use]
    pub fn display(&self) -> SecretText {
        SecretText::new(self.0.join(" "))
    }

    /// The same words, last first: never issued while this one is active.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self(self.0.iter().rev().copied().collect())
    }

    /// How many words it has.
    #[must_use]
    pub fn words(&self) -> usize {
        self.0.len()
    }
}

/// The one word of the list that `text`, in small letters, begins with.
fn first_word(text: &str) -> Option<&'static str> {
    (1..=MAX_WORD_LETTERS)
        .filter_map(|letters| text.get(..letters))
        .find_map(listed_word)
}

/// `text` as a word of the list, if it is one.
pub(super) fn listed_word(text: &str) -> Option<&'static str> {
    let index = EFF_LONG_WORDLIST.binary_search(&text).ok()?;
    EFF_LONG_WORDLIST.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeroom_kit::random::SeededRandomness;
    use proptest::prelude::*;

    #[test]
    fn a6_phrases_come_from_at_least_7000_words() {
        assert!(ISSUED_WORDS.len() >= 7_000, "{}", ISSUED_WORDS.len());
        // docs/security.md says what guessing them costs.
        assert_eq!(
            (ISSUED_WORDS.len(), EFF_LONG_WORDLIST.len()),
            (7_522, 7_776)
        );
    }

    #[test]
    fn a6_every_excluded_word_stands_in_the_list() {
        for word in OFFENSIVE.iter().chain(&HOMOPHONES) {
            assert!(listed_word(word).is_some(), "{word}");
            assert!(!ISSUED_WORDS.contains(word), "{word}");
        }
    }

    #[test]
    fn a6_the_list_is_sorted_and_no_word_begins_with_another() {
        for pair in EFF_LONG_WORDLIST.windows(2) {
            // Sorted, so a beginning would stand right before.
            assert!(
                pair[0] < pair[1] && !pair[1].starts_with(pair[0]),
                "{pair:?}"
            );
        }
        for word in EFF_LONG_WORDLIST {
            assert!((3..=MAX_WORD_LETTERS).contains(&word.len()), "{word}");
        }
    }

    #[test]
    fn a6_a_phrase_has_2_to_4_words() {
        for (words, right) in [(0, false), (1, false), (2, true), (4, true), (5, false)] {
            assert_eq!(WordCount::new(words).is_ok(), right, "{words}");
        }
        assert_eq!(WordCount::default(), WordCount::new(2).unwrap());
        for (text, right) in [
            ("zebra", false),
            ("zebra abacus", true),
            ("zebra abacus zebra abacus", true),
            ("zebra abacus zebra abacus zebra", false),
        ] {
            assert_eq!(Phrase::parse(text).is_some(), right, "{text}");
        }
    }

    #[test]
    fn r1_a_phrase_is_read_with_or_without_its_spaces() {
        let right = Phrase::parse("abacus zebra").unwrap();
        for text in [
            "Abacus-Zebra",
            "ABACUSZEBRA",
            "  abacus   zebra ",
            "aba cus-zebra",
        ] {
            assert!(Phrase::parse(text) == Some(right.clone()), "{text}");
        }
        for text in [
            "",
            "abacus",
            "abacus zebr",
            "abacus zebras",
            "abacus, zebra",
            "drop-down zebra",
        ] {
            assert!(Phrase::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a6_reversed_words_are_another_phrase() {
        let phrase = Phrase::parse("abacus zebra").unwrap();
        assert_eq!(phrase.reversed().canonical().expose(), "zebra-abacus");
        assert!(phrase.reversed().reversed() == phrase);
    }

    proptest! {
        #[test]
        fn r1_a_shown_phrase_is_found_again(seed: u64, words in 2_u32..=4) {
            let phrase = Phrase::generate(WordCount::new(words).unwrap(), &SeededRandomness::new(seed));
            prop_assert_eq!(phrase.words() as u64, u64::from(words));
            prop_assert!(phrase.reversed() != phrase);
            for text in [phrase.canonical(), phrase.display()] {
                prop_assert!(Phrase::parse(text.expose()) == Some(phrase.clone()));
            }
        }

        #[test]
        fn r1_any_text_is_read_without_a_panic(text in ".{0,80}") {
            if let Some(phrase) = Phrase::parse(&text) {
                let canonical = phrase.canonical();
                prop_assert!(Phrase::parse(canonical.expose()) == Some(phrase));
            }
        }
    }
}
