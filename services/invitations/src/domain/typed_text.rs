//! The normalization of typed or pasted text, before it is interpreted.

use homeroom_kit::person::is_ignorable;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// The zeros of other scripts; the nine other digits of each follow its zero.
#[rustfmt::skip]
const ZEROS: [char; 39] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}', '\u{c66}',
    '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{1090}', '\u{17e0}', '\u{1810}',
    '\u{1946}', '\u{19d0}', '\u{1a80}', '\u{1a90}', '\u{1b50}', '\u{1bb0}', '\u{1c40}', '\u{1c50}', '\u{a620}',
    '\u{a8d0}', '\u{a900}', '\u{a9d0}', '\u{a9f0}', '\u{aa50}', '\u{abf0}', '\u{10d30}', '\u{11136}', '\u{16a60}',
    '\u{1e950}',
];
/// The number of digits of a script.
const DIGITS: u32 = 10;
/// The right-to-left override: the text after it is not displayed in its order.
const RIGHT_TO_LEFT_OVERRIDE: char = '\u{202e}';
/// The length of normalized text after which nothing more is read, in bytes: NFKC makes up to 18 characters of one.
pub(super) const MAX_NORMAL_BYTES: usize = 4_096;
/// An accent that is typed for an apostrophe; NFKC would turn it into a space.
const ACUTE_ACCENT: char = '\u{b4}';

/// Normalizes `text` to what is visible: NFKC without invisible characters, digits of every script as ASCII digits,
/// dashes as `-`, and white space as spaces and line breaks. White space after a dash, where mailers break a line, and
/// a space before a colon are removed. All other characters stay. Of a text that becomes longer than
/// [`MAX_NORMAL_BYTES`], at least so much is returned.
///
/// # Errors
/// The character that makes the text differ from what is visible: a control character, or one that changes the
/// direction.
pub(super) fn normalize(text: &str) -> Result<Zeroizing<String>, char> {
    let seen = text.chars().filter(|character| !is_unseen(*character));
    let composed = seen
        .map(|character| match character {
            ACUTE_ACCENT => '\'',
            other => other,
        })
        .nfkc();
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    for character in composed {
        if plain.len() > MAX_NORMAL_BYTES {
            break;
        }
        let character = plain_character(character)?;
        if character == ':' && plain.ends_with(' ') {
            // French puts a space before a colon.
            plain.pop();
        }
        if !(character.is_whitespace() && plain.ends_with('-')) {
            plain.push(character);
        }
    }
    Ok(plain)
}

/// Returns the text without everything around its first and last letter or digit: quotation marks and brackets, the
/// marks for bold or code in a chat, and the punctuation of a sentence that it ended, in any language. A bar at one end
/// alone stays, because it may be an I.
pub(super) fn trim_punctuation(text: &str) -> &str {
    let is_around = |character: char| !character.is_alphanumeric();
    let mut start = text.len() - text.trim_start_matches(is_around).len();
    let mut end = text.trim_end_matches(is_around).len().max(start);
    let (before, after) = (&text[..start], &text[end..]);
    match (before.ends_with('|'), after.starts_with('|')) {
        (true, false) => start -= 1,
        (false, true) => end += 1,
        _ => {}
    }
    &text[start..end]
}

/// Returns the letters and digits of `text`.
pub(super) fn letters_and_digits(text: &str) -> Zeroizing<String> {
    let letters = text.chars().filter(char::is_ascii_alphanumeric);
    Zeroizing::new(letters.collect())
}

/// Returns `text` in capitals, without white space and hyphens.
pub(super) fn compact(text: &str) -> Zeroizing<String> {
    text.chars()
        .filter(|character| !matches!(character, ' ' | '\n' | '-'))
        .map(|character| character.to_ascii_uppercase())
        .collect::<String>()
        .into()
}

/// Returns the part before the first space or hyphen, after any at the beginning.
pub(super) fn first_word(text: &str) -> &str {
    let mut words = text.split([' ', '\n', '-']);
    words.find(|word| !word.is_empty()).unwrap_or_default()
}

fn plain_character(character: char) -> Result<char, char> {
    Ok(match character {
        ' '..='~' => character,
        '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
        // Hyphens, dashes and the sign that Japanese keyboards have for them.
        '\u{58a}'
        | '\u{5be}'
        | '\u{1806}'
        | '\u{2010}'..='\u{2015}'
        | '\u{2043}'
        | '\u{2212}'
        | '\u{2e17}'
        | '\u{2e3a}'
        | '\u{2e3b}'
        | '\u{301c}'
        | '\u{3030}'
        | '\u{30fc}' => '-',
        // The letter I of Turkish keyboards.
        '\u{130}' | '\u{131}' => 'I',
        _ if character.is_whitespace() => ' ',
        _ if character.is_control() || character == RIGHT_TO_LEFT_OVERRIDE => {
            return Err(character);
        }
        _ => digit(character).unwrap_or(character),
    })
}

fn digit(character: char) -> Option<char> {
    if !character.is_numeric() {
        return None;
    }
    ZEROS.into_iter().find_map(|zero| {
        let value = u32::from(character).checked_sub(u32::from(zero))?;
        char::from_digit(value, DIGITS)
    })
}

/// Returns true for invisible characters, and for the frame of a keycap.
fn is_unseen(character: char) -> bool {
    character != RIGHT_TO_LEFT_OVERRIDE && (is_ignorable(character) || character == '\u{20e3}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<String, char> {
        normalize(text).map(|read| read.as_str().to_owned())
    }

    #[test]
    fn u11_a_text_is_read_as_it_is_seen() {
        for (text, plain) in [
            ("ＡＢ\u{a0}Ｃ", "AB C"),
            ("\u{1d400}\u{1d401}", "AB"),
            ("a\tb\u{3000}c", "a b c"),
            ("a\r\nb\u{2028}c", "a\n\nb\nc"),
            // Dashes, and a line break after one.
            (
                "a\u{2011}b\u{2013}c\u{2212}d\u{30fc}e\u{ff0d}f",
                "a-b-c-d-e-f",
            ),
            ("HAMILTON-\r\nBIO101", "HAMILTON-BIO101"),
            ("Le code\u{a0}: AB", "Le code: AB"),
            // Zero width, soft hyphens, marks of direction, tags and keycaps.
            ("a\u{200b}b\u{200c}c\u{200d}d\u{2060}e\u{feff}f", "abcdef"),
            ("\u{2068}a\u{ad}b\u{2069}\u{200e}\u{200f}\u{61c}", "ab"),
            ("\u{202a}ab\u{202c}\u{e0061}\u{3164}\u{fe0f}", "ab"),
            ("1\u{fe0f}\u{20e3}0\u{fe0f}\u{20e3}", "10"),
            // Digits of Arabic, Persian, Hindi, Bengali, Tamil, Thai, Khmer, Burmese and Adlam; full width.
            ("٠١٢٣٤٥٦٧٨٩", "0123456789"),
            ("۰۱۲۳۴۵۶۷۸۹", "0123456789"),
            (
                "१०१ ১০১ ௧௦௧ ๑๐๑ ១០១ ၁၀၁ 𞥑𞥐𞥑 １０１",
                "101 101 101 101 101 101 101 101",
            ),
            ("B\u{130}O", "BIO"),
            ("l\u{b4}AB", "l'AB"),
            // Characters that no code has stay, so that an error can name them.
            ("«AB»。", "«AB»。"),
            ("BI\u{41e}101", "BI\u{41e}101"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(plain), "{text:?}");
        }
        for (text, refused) in [
            ("a\u{0}b", '\0'),
            ("a\u{7f}", '\u{7f}'),
            ("\u{202e}ab", '\u{202e}'),
        ] {
            assert_eq!(read(text), Err(refused), "{text:?}");
        }
    }

    #[test]
    fn u11_every_script_has_ten_digits() {
        for zero in ZEROS {
            for value in 0..DIGITS {
                let script = char::from_u32(u32::from(zero) + value).unwrap();
                assert!(script.is_numeric(), "{script:?}");
                assert_eq!(digit(script), char::from_digit(value, DIGITS));
            }
        }
    }

    #[test]
    fn u11_what_stands_around_a_code_is_not_part_of_it() {
        for text in [
            "AB.",
            "\"AB\"",
            "(AB)!",
            "<AB>",
            " AB ?! ",
            "“AB”",
            "„AB“",
            "«AB»",
            "‹AB›",
            "’AB’",
            "「AB」",
            "『AB』",
            "《AB》",
            "【AB】",
            "″AB″",
            "*AB*",
            "**AB**",
            "_AB_",
            "~~AB~~",
            "`AB`",
            "```AB```",
            "> AB",
            "# AB",
            "• AB",
            "👉 AB 👈",
            "¿AB?",
            "¡AB!",
            "AB。",
            "AB｡",
            "AB۔",
            "AB؟",
            "AB،",
            "AB।",
            "AB॥",
            "AB։",
            "AB።",
            "AB។",
            "AB၊",
            "AB…",
            "AB、",
        ] {
            assert_eq!(trim_punctuation(text), "AB", "{text}");
        }
        assert_eq!(trim_punctuation("(AB-C)"), "AB-C");
        assert_eq!(trim_punctuation("..."), "");
        for (text, trimmed) in [
            ("| AB-C |", "AB-C"),
            ("||AB-C||", "AB-C"),
            ("AB-C|", "AB-C|"),
            ("(|AB-C)", "|AB-C"),
        ] {
            assert_eq!(trim_punctuation(text), trimmed, "{text}");
        }
    }

    proptest! {
        #[test]
        fn input_normalizing_is_idempotent_and_total(text in "\\PC{0,40}|.{0,40}") {
            if let Ok(once) = read(&text) {
                prop_assert_eq!(read(&once), Ok(once.clone()));
                let trimmed = trim_punctuation(&once);
                prop_assert_eq!(trim_punctuation(trimmed), trimmed);
            }
        }
    }
}
