//! The rules for the particulars of a person, shared by all methods of both services.
//!
//! A name or a note decides nothing, so it is cleaned and never keeps a person out. An id or an address decides only if
//! an invitation asks for it, so elsewhere one that cannot be stored is left out; staff who enter one get an error.

use icu_properties::{
    CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint},
};

use crate::email::{EmailAddress, EmailMalformed};

/// The longest display name of a person, in characters; a longer one is cut.
pub const PERSON_NAME_CHARS_MAX: usize = 200;
/// The longest id of a person or class in the school's own system, in characters.
pub const EXTERNAL_ID_CHARS_MAX: usize = 255;

/// The error for a text that cannot be stored as an external id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExternalIdMalformed {
    /// It has more than [`EXTERNAL_ID_CHARS_MAX`] characters.
    #[error("is longer than {EXTERNAL_ID_CHARS_MAX} characters")]
    TooLong,
    /// It contains a control character, or one that changes the direction of the text around it.
    #[error("holds a control character")]
    ControlCharacter,
}

/// Returns the name of a person in its stored form: [`clean`], and cut to [`PERSON_NAME_CHARS_MAX`] characters.
#[must_use]
pub fn display_name(text: &str) -> String {
    let clean = clean(text);
    clean.chars().take(PERSON_NAME_CHARS_MAX).collect()
}

/// Returns the external id without blanks at its ends, and otherwise unchanged; an empty one means none.
///
/// # Errors
/// [`ExternalIdMalformed`] if it cannot be stored.
pub fn external_id(text: &str) -> Result<String, ExternalIdMalformed> {
    let id = text.trim_matches(is_blank);
    if id.chars().count() > EXTERNAL_ID_CHARS_MAX {
        Err(ExternalIdMalformed::TooLong)
    } else if id.chars().all(is_printable) {
        Ok(id.to_owned())
    } else {
        Err(ExternalIdMalformed::ControlCharacter)
    }
}

/// Parses an address without blanks at its ends; None if nothing is left.
///
/// # Errors
/// [`EmailMalformed`] if it is not an address.
pub fn email(text: &str) -> Result<Option<EmailAddress>, EmailMalformed> {
    match text.trim_matches(is_blank) {
        "" => Ok(None),
        address => EmailAddress::parse(address).map(Some),
    }
}

/// Returns the canonical form of an address that is only shown to staff; empty if it is not an address.
#[must_use]
pub fn shown_email(text: &str) -> String {
    let address = email(text).ok().flatten();
    address.map_or_else(String::new, |address| address.canonical())
}

/// Returns the text on one line: tabs and line ends become blanks; other control characters, and those that change the
/// direction of the text around them, are left out. A text of blanks becomes empty.
#[must_use]
pub fn clean(text: &str) -> String {
    let one_line = text.chars().map(|character| match character {
        '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        other => other,
    });
    unless_blank(one_line.filter(|character| is_printable(*character)))
}

/// Returns the text as [`clean`] does, with its tabs and line breaks kept.
#[must_use]
pub fn clean_lines(text: &str) -> String {
    let kept = |character: &char| is_printable(*character) || matches!(character, '\n' | '\t');
    unless_blank(text.chars().filter(kept))
}

fn unless_blank(characters: impl Iterator<Item = char>) -> String {
    let text: String = characters.collect();
    if text.chars().all(is_blank) {
        String::new()
    } else {
        text
    }
}

/// Returns true if the character is invisible and may be left out at the ends of a text: white space, a joiner or a
/// filler.
fn is_blank(character: char) -> bool {
    // The Braille pattern without dots.
    character.is_whitespace()
        || character == '\u{2800}'
        || (is_ignorable(character) && is_printable(character))
}

/// Returns true if the character is invisible: Unicode's `Default_Ignorable_Code_Point`.
#[must_use]
pub fn is_ignorable(character: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// Returns true unless the character is a control character or one of Unicode's `Bidi_Control`, which make staff read a
/// name as another one.
pub(crate) fn is_printable(character: char) -> bool {
    !character.is_control() && !CodePointSetData::new::<BidiControl>().contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All characters of Unicode's `Bidi_Control`.
    const TURNING: [char; 12] = [
        '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
        '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
    ];

    #[test]
    fn input_a_name_is_cleaned_and_cut_and_never_refused() {
        for (text, kept) in [
            ("", ""),
            ("Ada Lovelace", "Ada Lovelace"),
            (
                "\u{200f}\u{5e0}\u{5d5}\u{5e2}\u{5dd}\u{200f}",
                "\u{5e0}\u{5d5}\u{5e2}\u{5dd}",
            ),
            ("Ada\nLovelace\u{0}", "Ada Lovelace"),
            (" Ada ", " Ada "),
            ("a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f", "a b c d e f"),
            // A joiner is part of the spelling in Persian and emoji.
            (
                "\u{645}\u{6cc}\u{200c}\u{62e}",
                "\u{645}\u{6cc}\u{200c}\u{62e}",
            ),
        ] {
            assert_eq!(display_name(text), kept, "{text:?}");
        }
        let cut = display_name(&"\u{e9}".repeat(201));
        assert_eq!(cut, "\u{e9}".repeat(PERSON_NAME_CHARS_MAX));
        for turning in TURNING {
            assert_eq!(display_name(&format!("a{turning}b")), "ab");
        }
    }

    /// Characters that are invisible: blanks of every width, breaks, joiners, fillers, selectors, tags.
    const BLANKS: &str = " \t\n\r\u{b}\u{85}\u{a0}\u{ad}\u{34f}\u{115f}\u{1680}\u{17b4}\u{180e}\u{2003}\
        \u{200b}\u{200c}\u{200d}\u{2029}\u{202f}\u{2060}\u{2800}\u{3000}\u{3164}\u{fe0f}\u{feff}\u{e0020}";

    #[test]
    fn input_what_shows_nothing_is_empty() {
        let others = TURNING.into_iter().chain(['\0', '\u{7f}']);
        let all: String = BLANKS.chars().chain(others).collect();
        for text in BLANKS.chars().map(String::from).chain([all]) {
            assert_eq!(clean(&text), "", "{text:?}");
            assert_eq!(clean_lines(&text), "", "{text:?}");
            assert_eq!(display_name(&text), "", "{text:?}");
        }
        // Visible text is kept with the joiners in its spelling.
        for text in [
            ".",
            "\u{301}",
            "\u{2764}\u{fe0f}",
            "\u{200b}a\u{200b}",
            "\u{2801}",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn u13_blanks_around_an_id_or_an_address_are_no_part_of_it() {
        for blank in BLANKS.chars() {
            let around = |text: &str| format!("{blank}{text}{blank}{blank}");
            let trimmed = external_id(&around("s 1"));
            assert_eq!(trimmed.as_deref(), Ok("s 1"), "{blank:?}");
            assert_eq!(external_id(&around("")).as_deref(), Ok(""), "{blank:?}");
            assert_eq!(shown_email(&around("a@b.org")), "a@b.org", "{blank:?}");
            assert_eq!(email(&around("")), Ok(None), "{blank:?}");
            let within = email(&format!("a{blank}@b.org"));
            assert_eq!(within, Err(EmailMalformed), "{blank:?}");
        }
        // Blanks at the ends do not count towards its length.
        let longest = "x".repeat(EXTERNAL_ID_CHARS_MAX);
        assert_eq!(external_id(&format!(" {longest} ")), Ok(longest));
    }

    #[test]
    fn input_an_external_id_is_kept_exactly_or_refused() {
        for text in ["", "s 1", "\u{e9}\u{5d0}", "a\u{200b}b"] {
            assert_eq!(external_id(text).as_deref(), Ok(text));
        }
        let longest = "\u{e9}".repeat(EXTERNAL_ID_CHARS_MAX);
        assert_eq!(external_id(&longest).as_ref(), Ok(&longest));
        let longer = external_id(&format!("{longest}x"));
        assert_eq!(longer, Err(ExternalIdMalformed::TooLong));
        let others = ['\0', '\n', '\t', '\u{7f}', '\u{85}'];
        for control in TURNING.into_iter().chain(others) {
            let refused = external_id(&format!("s{control}1"));
            let expected = Err(ExternalIdMalformed::ControlCharacter);
            assert_eq!(refused, expected, "{control:?}");
        }
    }

    #[test]
    fn input_an_address_that_is_only_shown_is_kept_in_canonical_form_or_left_out() {
        assert_eq!(shown_email(" Ada@School.EXAMPLE "), "ada@school.example");
        for text in [
            "",
            "ada",
            "a..b@school.example",
            "\u{202e}ada@school.example",
        ] {
            assert_eq!(shown_email(text), "", "{text:?}");
        }
    }

    #[test]
    fn c11_a_note_keeps_its_lines() {
        assert_eq!(clean_lines("two\n\tlines\u{0}\u{202e}"), "two\n\tlines");
    }
}
