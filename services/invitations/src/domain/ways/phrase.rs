//! The phrase of a class token: two to four common words (A6). The words come from the EFF's long list, in which no
//! word begins with another one, so that a phrase reads the same with spaces, with hyphens or with neither.

use std::sync::LazyLock;

use diceware_wordlists::EFF_LONG_WORDLIST;
use homeroom_kit::random::{self, Randomness};
use homeroom_kit::secret::SecretText;

use super::phrase_exclusions::{HARD_TO_SPELL, HOMOPHONES, NAMES, OFFENSIVE};
use crate::domain::way::{Admits, Policy, Way};

/// The way in.
pub(super) const WAY: Way = Way {
    policy: Policy {
        admits: Admits::AtOnce,
        grants_sign_up: true,
        survives_sign_up: true,
        may_be_public: false,
        short: true,
    },
    letter: Some("t"),
    linked: |key| Phrase::parse(key).map(|phrase| phrase.canonical()),
    typed: |typed| Phrase::parse(typed.letters).map(|phrase| phrase.canonical()),
    display: Some(|secret| {
        Phrase::parse(secret.expose()).map_or_else(|| secret.clone(), |phrase| phrase.display())
    }),
    singleton: None,
};

/// The minimum number of words in a phrase (A6).
pub const MIN_PHRASE_WORDS: u32 = 2;
/// The maximum number of words in a phrase (A6).
pub const MAX_PHRASE_WORDS: u32 = 4;
/// The length of the longest word in the list, in letters.
const MAX_WORD_LETTERS: usize = 9;

/// The words that are used in new phrases. Phrases are read with the whole list, so that a phrase that was issued
/// before one of its words was excluded still works.
static ISSUED_WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    EFF_LONG_WORDLIST
        .into_iter()
        .filter(|word| {
            word.bytes().all(|byte| byte.is_ascii_lowercase())
                && !excluded_words().any(|excluded| excluded == word)
        })
        .collect()
});

/// Returns the words that are never issued.
fn excluded_words() -> impl Iterator<Item = &'static &'static str> {
    [&OFFENSIVE[..], &NAMES, &HOMOPHONES, &HARD_TO_SPELL]
        .into_iter()
        .flatten()
}

/// The number of words in a phrase: 2 to 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WordCount(u32);

/// The error for a phrase without 2 to 4 words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 2, 3 or 4")]
pub struct WordCountOutOfRange;

impl WordCount {
    /// Two words (A6).
    pub const DEFAULT: Self = Self(MIN_PHRASE_WORDS);

    /// Returns a count of `words`, 2 to 4.
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

/// A phrase of 2 to 4 words of the list. It is a secret, so it has no Debug.
#[derive(Clone, PartialEq, Eq)]
pub struct Phrase(Vec<&'static str>);

impl Phrase {
    /// Returns a new phrase of `count` different words.
    #[must_use]
    pub fn generate(count: WordCount, random: &dyn Randomness) -> Self {
        let issued = &*ISSUED_WORDS;
        let bound = u32::try_from(issued.len()).unwrap_or(u32::MAX);
        let mut words = Vec::new();
        while (words.len() as u64) < u64::from(count.0) {
            let drawn = usize::try_from(random::below(random, bound)).unwrap_or(usize::MAX);
            // A repeated word would make the phrase its own reversal.
            if let Some(word) = issued.get(drawn)
                && !words.contains(word)
            {
                words.push(word);
            }
        }
        Self(words)
    }

    /// Returns the phrase that `text` is: 2 to 4 words, all of the list; case, spaces and hyphens make no difference
    /// (R1).
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

    /// Returns the canonical form, `happy-panda`, for look-ups and URLs.
    #[must_use]
    pub fn canonical(&self) -> SecretText {
        SecretText::new(self.0.join("-"))
    }

    /// Returns the display form: `happy panda`.
    #[must_use]
    pub fn display(&self) -> SecretText {
        SecretText::new(self.0.join(" "))
    }

    /// Returns the same words in reverse order: that phrase is never issued while this one is active.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self(self.0.iter().rev().copied().collect())
    }

    /// Returns the number of words.
    #[must_use]
    pub fn words(&self) -> usize {
        self.0.len()
    }
}

/// Returns the one word of the list that `text`, in small letters, begins with.
fn first_word(text: &str) -> Option<&'static str> {
    (1..=MAX_WORD_LETTERS)
        .filter_map(|letters| text.get(..letters))
        .find_map(listed_word)
}

/// Returns `text` as a word of the list, if it is one.
pub(in crate::domain) fn listed_word(text: &str) -> Option<&'static str> {
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
        // docs/security.md states the cost of guessing them.
        assert_eq!(
            (ISSUED_WORDS.len(), EFF_LONG_WORDLIST.len()),
            (7_013, 7_776)
        );
    }

    #[test]
    fn a6_every_excluded_word_stands_in_the_list() {
        for word in excluded_words() {
            assert!(listed_word(word).is_some(), "{word}");
            assert!(!ISSUED_WORDS.contains(word), "{word}");
        }
    }

    #[test]
    fn a6_a_phrase_with_a_word_that_was_excluded_later_is_still_read() {
        for word in excluded_words() {
            let phrase = Phrase::parse(&format!("zebra {word}"));
            let canonical = phrase.map(|phrase| phrase.canonical().expose().to_owned());
            assert_eq!(canonical, Some(format!("zebra-{word}")));
        }
    }

    #[test]
    fn a6_the_list_is_sorted_and_no_word_begins_with_another() {
        for pair in EFF_LONG_WORDLIST.windows(2) {
            // The list is sorted, so a word that begins another would stand right before it.
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
