//! The rules for what is said of a person, in one place for every door of both services.
//!
//! A name or a note decides nothing, so it is cleaned and never keeps a person out. An id or an assigned
//! address decides, so it is kept exactly as it was given or refused by name.

use crate::email::EmailAddress;

/// The longest display name of a person, in characters; a longer one is cut.
pub const PERSON_NAME_CHARS_MAX: usize = 200;
/// The longest id of a person in the school's own system, in characters.
pub const EXTERNAL_ID_CHARS_MAX: usize = 128;

/// The text cannot be kept as an external id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExternalIdMalformed {
    /// It has more than [`EXTERNAL_ID_CHARS_MAX`] characters.
    #[error("is longer than {EXTERNAL_ID_CHARS_MAX} characters")]
    TooLong,
    /// It holds a control character, or one that turns the direction of the text around it.
    #[error("holds a control character")]
    ControlCharacter,
}

/// Returns the name of a person as it is kept: [`clean`], and cut to [`PERSON_NAME_CHARS_MAX`] characters.
#[must_use]
pub fn display_name(text: &str) -> String {
    let clean = clean(text);
    clean.chars().take(PERSON_NAME_CHARS_MAX).collect()
}

/// Returns the external id exactly as it was given; an empty one stands for none.
///
/// # Errors
/// [`ExternalIdMalformed`] if it cannot be kept.
pub fn external_id(text: &str) -> Result<String, ExternalIdMalformed> {
    if text.chars().count() > EXTERNAL_ID_CHARS_MAX {
        Err(ExternalIdMalformed::TooLong)
    } else if text.chars().all(is_printable) {
        Ok(text.to_owned())
    } else {
        Err(ExternalIdMalformed::ControlCharacter)
    }
}

/// Returns the canonical form of an address that is only shown to staff; empty if it is no address.
#[must_use]
pub fn shown_email(text: &str) -> String {
    EmailAddress::parse(text.trim()).map_or_else(|_| String::new(), |address| address.canonical())
}

/// Returns the text on one line: tabs and whatever ends a line become blanks; other control
/// characters, and those that turn the direction of the text around them, are left out.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
            other => other,
        })
        .filter(|character| is_printable(*character))
        .collect()
}

/// Returns the text as [`clean`] does, with its tabs and line breaks kept.
#[must_use]
pub fn clean_lines(text: &str) -> String {
    text.chars()
        .filter(|character| is_printable(*character) || matches!(character, '\n' | '\t'))
        .collect()
}

/// Returns true unless the character is a control character or one of Unicode's `Bidi_Control`, which make
/// a name read as another where staff see it.
pub(crate) fn is_printable(character: char) -> bool {
    let turns_direction = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !character.is_control() && !turns_direction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unicode's `Bidi_Control`, all of it.
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
            ("a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f", "a b c d e f"),
            // A joiner is part of how Persian and emoji are spelled.
            (
                "\u{645}\u{6cc}\u{200c}\u{62e}",
                "\u{645}\u{6cc}\u{200c}\u{62e}",
            ),
        ] {
            assert_eq!(display_name(text), kept, "{text:?}");
        }
        assert_eq!(
            display_name(&"\u{e9}".repeat(201)),
            "\u{e9}".repeat(PERSON_NAME_CHARS_MAX)
        );
        for turning in TURNING {
            assert_eq!(display_name(&format!("a{turning}b")), "ab");
        }
    }

    #[test]
    fn input_an_external_id_is_kept_exactly_or_refused() {
        for text in ["", " s-1 ", "\u{e9}\u{5d0}"] {
            assert_eq!(external_id(text).as_deref(), Ok(text));
        }
        let longest = "\u{e9}".repeat(EXTERNAL_ID_CHARS_MAX);
        assert_eq!(external_id(&longest).as_ref(), Ok(&longest));
        assert_eq!(
            external_id(&format!("{longest}x")),
            Err(ExternalIdMalformed::TooLong)
        );
        for control in TURNING
            .into_iter()
            .chain(['\0', '\n', '\t', '\u{7f}', '\u{85}'])
        {
            let refused = external_id(&format!("s{control}1"));
            assert_eq!(
                refused,
                Err(ExternalIdMalformed::ControlCharacter),
                "{control:?}"
            );
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
