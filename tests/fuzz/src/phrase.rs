//! The words of a class token: `Phrase::parse`, and `Phrase::generate` seeded by the first bytes.

use crate::domain::ways::phrase::{MAX_PHRASE_WORDS, MIN_PHRASE_WORDS, Phrase, WordCount};
use homeroom_kit::random::SeededRandomness;

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    if let Some((seed, rest)) = data.split_first_chunk() {
        let words = rest.first().map_or(0, |byte| u32::from(byte % 6));
        check_generated(u64::from_le_bytes(*seed), words);
    }
    let text = crate::text(data);
    let Some(phrase) = Phrase::parse(&text) else {
        return;
    };
    check_phrase(&phrase);
    // Only letters count.
    let letters = |text: &str| -> String {
        text.chars()
            .filter(|letter| !matches!(letter, ' ' | '-'))
            .map(|letter| letter.to_ascii_lowercase())
            .collect()
    };
    assert_eq!(letters(&text), letters(phrase.canonical().expose()));
    for spelled in [
        letters(&text),
        text.to_ascii_uppercase(),
        format!("- {text} -"),
    ] {
        assert!(Phrase::parse(&spelled).is_some_and(|again| again == phrase));
    }
}

fn check_phrase(phrase: &Phrase) {
    let words = phrase.words();
    assert!((MIN_PHRASE_WORDS as usize..=MAX_PHRASE_WORDS as usize).contains(&words));
    let canonical = phrase.canonical();
    assert_eq!(canonical.expose().split('-').count(), words);
    assert!(
        canonical
            .expose()
            .split('-')
            .all(|word| (3..=9).contains(&word.len())
                && word.bytes().all(|byte| byte.is_ascii_lowercase()))
    );
    for shown in [phrase.canonical(), phrase.display()] {
        assert!(Phrase::parse(shown.expose()).is_some_and(|again| again == *phrase));
    }
    let reversed = phrase.reversed();
    assert!(reversed.reversed() == *phrase);
    assert!(Phrase::parse(reversed.canonical().expose()).is_some_and(|again| again == reversed));
}

fn check_generated(seed: u64, words: u32) {
    let Ok(count) = WordCount::new(words) else {
        assert!(!(MIN_PHRASE_WORDS..=MAX_PHRASE_WORDS).contains(&words));
        return;
    };
    let phrase = Phrase::generate(count, &SeededRandomness::new(seed));
    assert_eq!(phrase.words(), words as usize);
    check_phrase(&phrase);
    let canonical = phrase.canonical();
    let mut said: Vec<&str> = canonical.expose().split('-').collect();
    said.sort_unstable();
    said.dedup();
    assert_eq!(said.len(), phrase.words(), "a word is said twice");
    assert!(phrase.reversed() != phrase);
}
