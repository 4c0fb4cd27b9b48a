//! The reading of the one input field: a typed or pasted text, and the kinds of invitation that it may be (R1).

use homeroom_api::ids::{CODE_PREFIX_CHARS_MAX, CODE_PREFIX_CHARS_MIN, CodePrefix};
use homeroom_kit::secret::SecretText;
use zeroize::Zeroizing;

use super::invitation::InvitationKind;
use super::message::Doubt;
use super::public_url::{PublicUrl, is_wrapped, unwrapped};
use super::way::{Typed, Way};
use super::ways::PRECEDENCE;
use super::ways::enrollment_code::{self, MAX_CODE_CHARACTERS, MIN_CODE_CHARACTERS};
use super::ways::phrase::listed_word;
use super::{message, typed_text, ways::class_code};

/// The maximum length of a credential, in bytes: as typed, or as contained in a link.
pub const MAX_CREDENTIAL_BYTES: usize = 512;
/// The maximum length of a text that a link is read from, in bytes: a mail filter can make a link many times as long.
pub const MAX_PASTED_BYTES: usize = typed_text::MAX_NORMAL_BYTES;
/// The maximum number of words with more than one character in a typed code; a longer text is a sentence.
const MAX_TYPED_WORDS: usize = 6;

/// The reason why a text is no credential (`CODE_MALFORMED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The text has the form of no kind of invitation.
    #[error("is not of the form of any token, code or URL; check what was typed")]
    Form,
    /// The text is longer than [`MAX_CREDENTIAL_BYTES`], or as a link longer than [`MAX_PASTED_BYTES`].
    #[error(
        "is longer than {} bytes, or {} where it is a link",
        MAX_CREDENTIAL_BYTES,
        MAX_PASTED_BYTES
    )]
    TooLong,
    /// The text holds a character that no token or code has.
    #[error("holds {}, which is in no token or code; type it with the letters A to Z and digits", shown(*.0))]
    Character(char),
    /// The text is a sentence, and it is unclear which part of it is the credential.
    #[error(
        "looks like a sentence; enter the token, code or URL alone, and a code of several words with hyphens between them"
    )]
    Sentence,
    /// The text holds several credentials.
    #[error("holds more than one token, code or URL; enter one of them")]
    Several,
    /// The text is a link that is not of this service.
    #[error(
        "looks like a link, but is none that was handed out here; paste that one whole, or enter the code"
    )]
    Link,
    /// The text is a link that leads through another one, and does not show where.
    #[error(
        "looks like a link wrapped by a mail filter; open it and copy the address that it leads to, or enter the code"
    )]
    WrappedLink,
}

impl From<Doubt> for Malformed {
    fn from(doubt: Doubt) -> Self {
        match doubt {
            Doubt::Sentence => Self::Sentence,
            Doubt::Several => Self::Several,
        }
    }
}

/// Returns a character as an error names it.
fn shown(character: char) -> String {
    if character.is_ascii_graphic() {
        format!("\u{201c}{character}\u{201d}")
    } else {
        format!("the character U+{:04X}", u32::from(character))
    }
}

/// One possible reading of the text, to be looked up by the kind's tag and this form.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The kind of the invitation.
    pub kind: InvitationKind,
    /// The canonical form, unique for the kind.
    pub canonical: SecretText,
}

impl Candidate {
    const fn new(kind: InvitationKind, canonical: SecretText) -> Self {
        Self { kind, canonical }
    }
}

/// A typed or pasted text, parsed. It is a secret, so it has no Debug.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    candidates: Vec<Candidate>,
    /// The number of letters and digits before the first space or hyphen of typed text; 0 for a URL.
    first_word_characters: usize,
}

impl Credential {
    /// Reads `input`. The path of a URL under the configured base says what the URL is, also within a sentence or if a
    /// mail filter has wrapped it once. For typed text, every kind that it can be is a candidate, in the order of
    /// precedence: organization token, class code, phrase, enrollment code. The first one that exists is meant (R1).
    /// Nothing is fetched.
    ///
    /// # Errors
    /// [`Malformed`] says what was seen instead.
    pub fn parse(input: &str, base: &PublicUrl) -> Result<Self, Malformed> {
        if input.len() > MAX_PASTED_BYTES {
            return Err(Malformed::TooLong);
        }
        let normal = typed_text::normalize(input).map_err(Malformed::Character)?;
        if normal.len() > MAX_PASTED_BYTES {
            return Err(Malformed::TooLong);
        }
        let text = typed_text::trim_punctuation(&normal);
        if let Some(candidate) = pasted(text, base)? {
            let rest = base.beside_links(text);
            if message::holds_another_code(&rest, candidate.canonical.expose()) {
                return Err(Malformed::Several);
            }
            return Ok(Self {
                candidates: vec![candidate],
                first_word_characters: 0,
            });
        }
        if normal.contains("://") {
            return Err(Malformed::Link);
        }
        if text.len() > MAX_CREDENTIAL_BYTES {
            return Err(Malformed::TooLong);
        }
        let meant = message::credential(text)?;
        Ok(Self {
            candidates: typed(meant)?,
            first_word_characters: typed_text::first_word(meant).len(),
        })
    }

    /// Returns the candidates in the order of precedence; never empty.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Adds one more candidate, the last: a code that was typed without its prefix, of the organization that the
    /// request names (B4).
    #[must_use]
    pub fn of_organization(mut self, prefix: &CodePrefix) -> Self {
        let bare = self
            .enrollment_code()
            .filter(|code| code.len() <= MAX_CODE_CHARACTERS);
        if let Some(code) = bare {
            let full = enrollment_code::join(prefix, code);
            self.candidates
                .push(Candidate::new(InvitationKind::EnrollmentCode, full));
        }
        self
    }

    /// Returns the prefixes that the text may begin with, longest first: a guess that names an organization by its
    /// prefix counts against that organization (R10).
    pub fn possible_prefixes(&self) -> impl Iterator<Item = CodePrefix> + '_ {
        let code = self.enrollment_code().unwrap_or_default();
        (CODE_PREFIX_CHARS_MIN..=CODE_PREFIX_CHARS_MAX)
            .rev()
            // A code follows the prefix.
            .filter(move |length| code.len() >= length + MIN_CODE_CHARACTERS)
            .filter_map(move |length| CodePrefix::parse(code.get(..length)?).ok())
    }

    /// Returns the prefix of the only code that this can be, whoever made it: the part before the first space or
    /// hyphen, if the text has no other reading. `None` if it may as well be meant for another organization: a class
    /// code or phrase with a typing error reads like a code, and begins with somebody's prefix (I8).
    #[must_use]
    pub fn certain_prefix(&self) -> Option<CodePrefix> {
        let code = self
            .enrollment_code()
            .filter(|_| self.candidates.len() == 1)?;
        let word = code.get(..self.first_word_characters)?;
        let is_followed = code.len() >= word.len().saturating_add(MIN_CODE_CHARACTERS);
        (is_followed && listed_word(&word.to_ascii_lowercase()).is_none())
            .then(|| CodePrefix::parse(word).ok())
            .flatten()
    }

    /// Returns the first reading as an enrollment code.
    fn enrollment_code(&self) -> Option<&str> {
        self.candidates
            .iter()
            .find(|candidate| candidate.kind == InvitationKind::EnrollmentCode)
            .map(|candidate| candidate.canonical.expose())
    }
}

/// Returns the content of the one URL of this service in `text`; None if there is no link in it.
fn pasted(text: &str, base: &PublicUrl) -> Result<Option<Candidate>, Malformed> {
    let mut is_ours = false;
    let mut read = |text: &str| -> Result<Option<Candidate>, Malformed> {
        let links = base.links(text);
        is_ours |= !links.is_empty();
        let mut read = links
            .into_iter()
            .filter_map(|(letter, key)| linked(letter, key));
        let first = read.next();
        if read.any(|other| Some(&other) != first.as_ref()) {
            return Err(Malformed::Several);
        }
        Ok(first)
    };
    // Mailers break long lines, and filters wrap links.
    let in_one_line = Zeroizing::new(text.replace('\n', ""));
    for text in [text, &in_one_line] {
        let read = match read(text)? {
            None => read(&unwrapped(text))?,
            direct => direct,
        };
        if read.is_some() {
            return Ok(read);
        }
    }
    if !is_ours && is_wrapped(text) {
        Err(Malformed::WrappedLink)
    } else if is_ours || (text.contains('/') && text.contains('.')) {
        Err(Malformed::Link)
    } else {
        Ok(None)
    }
}

/// Reads the path of one of this service's URLs.
fn linked(letter: &str, key: &str) -> Option<Candidate> {
    let letter = letter.to_ascii_lowercase();
    let mut kinds = PRECEDENCE.into_iter();
    let kind = kinds.find(|kind| Way::of(*kind).letter == Some(&*letter))?;
    Some(Candidate::new(kind, (Way::of(kind).linked)(key)?))
}

/// Returns all kinds that typed text can be.
fn typed(text: &str) -> Result<Vec<Candidate>, Malformed> {
    if let Some(strange) = text
        .chars()
        .find(|one| one.is_alphanumeric() && !one.is_ascii())
    {
        return Err(Malformed::Character(strange));
    }
    let code = typed_text::compact(text);
    let separator = code.chars().find(|one| !one.is_ascii_alphanumeric());
    if let Some(separator @ ('/' | '\\' | '@' | ':')) = separator {
        return Err(Malformed::Character(separator));
    }
    // Other separators between words make no difference if the form is unambiguous.
    let letters = typed_text::letters_and_digits(&code);
    let mut groups = code.split(|one: char| !one.is_ascii_alphanumeric());
    let is_grouped =
        separator.is_none() || groups.all(|group| group.len() == class_code::GROUP_CHARACTERS);
    let words = text.split([' ', '\n']).filter(|word| word.len() > 1);
    let is_sentence = words.count() > MAX_TYPED_WORDS;
    let lengths = MIN_CODE_CHARACTERS..=CODE_PREFIX_CHARS_MAX + MAX_CODE_CHARACTERS;
    let is_code = separator.is_none() && !is_sentence && lengths.contains(&code.len());
    let typed_text = Typed {
        letters: &letters,
        grouped: is_grouped.then_some(&*letters),
        code: is_code.then_some(&*code),
    };
    let read = |kind| Some(Candidate::new(kind, (Way::of(kind).typed)(&typed_text)?));
    let candidates: Vec<Candidate> = PRECEDENCE.into_iter().filter_map(read).collect();
    let lines = text.split('\n');
    let numbered = lines
        .filter(|line| line.contains(|one: char| one.is_ascii_digit()))
        .count();
    match (candidates.as_slice(), separator) {
        ([], _) if is_sentence => Err(Malformed::Sentence),
        // In many fonts it looks like an I or an l.
        ([], Some('|')) => match message::with_bars_read(text) {
            Some(read) => typed(&read),
            None => Err(Malformed::Character('|')),
        },
        ([], Some(separator)) => Err(Malformed::Character(separator)),
        ([], None) => Err(Malformed::Form),
        ([only], _) if only.kind == InvitationKind::EnrollmentCode && numbered > 1 => {
            Err(Malformed::Several)
        }
        _ => Ok(candidates),
    }
}

#[cfg(test)]
#[path = "credential_tests.rs"]
mod tests;
