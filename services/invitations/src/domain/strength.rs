//! The strength of a typed code against guessing. It is a lower estimate, because people type words, years and
//! sequences.

use super::ways::phrase::listed_word;

/// The unit of all costs: hundredths of a bit.
const HUNDREDTHS_PER_BIT: u32 = 100;
const DIGIT_COST: u32 = 332;
const LETTER_COST: u32 = 470;
const LETTER_OR_DIGIT_COST: u32 = 517;
/// The cost of one of the words that every guesser tries first.
const SCHOOL_WORD_COST: u32 = 700;
/// The cost of one of the 7,776 words of the list.
const LISTED_WORD_COST: u32 = 1_292;
/// The cost of one of 200 years.
const YEAR_COST: u32 = 764;
/// The cost of a start, a direction and a length.
const SEQUENCE_COST: u32 = 800;
/// The cost of a character and a length.
const REPETITION_COST: u32 = 717;
/// The cost of the number of repetitions of the whole.
const SAID_AGAIN_COST: u32 = 200;
/// The minimum length of a run that is a pattern, in characters.
const MIN_RUN_CHARACTERS: usize = 3;
/// The maximum length of a word that is looked for, in characters.
const MAX_WORD_CHARACTERS: usize = 12;

const YEARS: std::ops::RangeInclusive<u32> = 1900..=2099;

/// Words that people at schools use as names.
#[rustfmt::skip]
const SCHOOL_WORDS: [&str; 64] = [
    "ACADEMY", "ALGEBRA", "ART", "ARTS", "AUTUMN", "BIO", "BIOLOGY", "CHEM", "CHEMISTRY", "CLASS",
    "CLUB", "CODE", "CODING", "COLLEGE", "COURSE", "DEMO", "DRAMA", "ENGLISH", "ENROLL", "FALL",
    "FRENCH", "GEOGRAPHY", "GEOMETRY", "GERMAN", "GRADE", "GROUP", "GUEST", "HELLO", "HIGH",
    "HISTORY", "HOMEROOM", "INVITE", "JOIN", "KIDS", "LATIN", "LEARN", "LESSON", "MATH", "MATHS",
    "MUSIC", "PASSWORD", "PERIOD", "PHYSICS", "PUPIL", "READING", "ROOM", "SCHOOL", "SCIENCE",
    "SECRET", "SEMESTER", "SPANISH", "SPORTS", "SPRING", "STUDENT", "STUDENTS", "SUMMER",
    "TEACHER", "TEAM", "TERM", "TEST", "WELCOME", "WINTER", "WRITING", "YEAR",
];

/// Neighbors in the alphabet, the digits and the keyboard, in both directions.
const SEQUENCES: [&str; 5] = [
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "01234567890",
    "QWERTYUIOP",
    "ASDFGHJKL",
    "ZXCVBNM",
];

/// Returns the strength of a canonical code (capitals and digits), in whole bits: the cheapest composition of
/// characters, words, years, sequences and repetitions.
#[must_use]
pub fn estimate_bits(code: &str) -> u32 {
    cost(code) / HUNDREDTHS_PER_BIT
}

fn cost(code: &str) -> u32 {
    let whole = cheapest_parts(code);
    match repeated_part(code) {
        Some(part) => whole.min(cheapest_parts(part).saturating_add(SAID_AGAIN_COST)),
        None => whole,
    }
}

/// Returns the cheapest cost of `code` as a sequence of parts.
fn cheapest_parts(code: &str) -> u32 {
    let has_digit = code.bytes().any(|byte| byte.is_ascii_digit());
    let has_letter = code.bytes().any(|byte| !byte.is_ascii_digit());
    let character_cost = match (has_digit, has_letter) {
        (true, false) => DIGIT_COST,
        (false, _) => LETTER_COST,
        (true, true) => LETTER_OR_DIGIT_COST,
    };
    // The cheapest cost of the text before each position; the last is that of the whole.
    let mut costs: Vec<u32> = vec![0];
    let mut ends: Vec<usize> = vec![0];
    for (start, character) in code.char_indices() {
        let end = start + character.len_utf8();
        let mut cheapest = u32::MAX;
        for (&before, &from) in costs.iter().zip(&ends) {
            let Some(part) = code.get(from..end) else {
                continue;
            };
            let part_cost = pattern_cost(part).unwrap_or_else(|| {
                let characters = u32::try_from(part.chars().count()).unwrap_or(u32::MAX);
                characters.saturating_mul(character_cost)
            });
            cheapest = cheapest.min(before.saturating_add(part_cost));
        }
        costs.push(cheapest);
        ends.push(end);
    }
    costs.last().copied().unwrap_or(0)
}

/// Returns the cost of `part` if it is one of the patterns that people choose.
fn pattern_cost(part: &str) -> Option<u32> {
    if part.len() < MIN_RUN_CHARACTERS {
        return None;
    }
    let year = part.len() == 4 && part.parse().is_ok_and(|year| YEARS.contains(&year));
    if is_repetition(part) {
        Some(REPETITION_COST)
    } else if year {
        Some(YEAR_COST)
    } else if is_sequence(part) {
        Some(SEQUENCE_COST)
    } else if SCHOOL_WORDS.contains(&part) {
        Some(SCHOOL_WORD_COST)
    } else if part.len() <= MAX_WORD_CHARACTERS && listed_word(&part.to_ascii_lowercase()).is_some()
    {
        Some(LISTED_WORD_COST)
    } else {
        None
    }
}

fn is_repetition(part: &str) -> bool {
    let mut characters = part.chars();
    let first = characters.next();
    characters.all(|character| Some(character) == first)
}

fn is_sequence(part: &str) -> bool {
    let backwards: String = part.chars().rev().collect();
    SEQUENCES
        .iter()
        .any(|row| row.contains(part) || row.contains(&backwards))
}

/// Returns the part that `code` repeats, if it consists of one part twice or more.
fn repeated_part(code: &str) -> Option<&str> {
    (1..=code.len() / 2)
        .filter(|length| code.len().is_multiple_of(*length))
        .filter_map(|length| code.get(..length))
        .find(|part| part.repeat(code.len() / part.len()) == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn b4_what_people_choose_is_weak_and_what_machines_choose_is_not() {
        for (code, weak) in [
            ("", true),
            ("BIO101", true),
            ("BIOLOGY2026", true),
            ("SCHOOLYEAR2026", true),
            ("ABCDEFGHIJKLMNOP", true),
            ("QWERTYUIOP", true),
            ("9876543210", true),
            ("AAAAAAAAAAAAAAAAAAAA", true),
            ("X7X7X7X7X7X7X7X7", true),
            ("ABACUSZEBRA", true),
            ("WELCOMESTUDENTS123", true),
            ("83650917", true),
            ("X7KQ9MZ2", true),
            ("X7KQ9MZ2W", true),
            ("X7KQ9MZ2WP", false),
            ("7X3KQ9MZ2W4P", false),
            ("ABACUSZEBRAWAFFLEYODEL", false),
            ("QJXKVBWZMQPH", false),
        ] {
            let bits = estimate_bits(code);
            assert_eq!(bits < 50, weak, "{code}: {bits}");
        }
    }

    #[test]
    fn b4_the_example_of_the_documentation_has_22_bits() {
        assert_eq!(estimate_bits("BIO101"), 22);
    }

    #[test]
    fn b4_patterns_cost_less_than_their_characters() {
        for (pattern, random) in [
            ("BIOLOGY", "BXQLVGY"),
            ("2026", "8136"),
            ("ABCDEF", "AXQDJF"),
            ("777777", "718263"),
            ("AXQAXQAXQ", "AXQFJVWPK"),
        ] {
            assert!(estimate_bits(pattern) < estimate_bits(random), "{pattern}");
        }
    }

    #[test]
    fn b4_school_words_are_sorted_capitals() {
        assert!(SCHOOL_WORDS.is_sorted());
        assert!(
            SCHOOL_WORDS
                .iter()
                .all(|word| word.bytes().all(|byte| byte.is_ascii_uppercase()))
        );
    }

    proptest! {
        #[test]
        fn b4_an_estimate_is_total_and_never_above_its_characters(code in "[A-Z0-9]{0,64}", any in ".{0,64}") {
            let bits = u64::from(estimate_bits(&code));
            prop_assert!(bits * 100 <= code.len() as u64 * u64::from(LETTER_OR_DIGIT_COST));
            let _ = estimate_bits(&any);
        }
    }
}
