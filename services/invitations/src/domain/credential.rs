//! One box for everything: what a person typed or pasted, and which of the ways
//! in it may be (R1).

use homeroom_kit::secret::SecretText;

use super::enrollment_code::{
    self, CodePrefix, MAX_CODE_CHARACTERS, MAX_PREFIX_CHARACTERS, MIN_CODE_CHARACTERS,
    MIN_PREFIX_CHARACTERS,
};
use super::invitation::InvitationKind;
use super::phrase::{Phrase, listed_word};
use super::public_url::{Pasted, Path, PublicUrl};
use super::{class_code, join_key, organization_token, typed_text};

/// The longest text that is read, in bytes (02, `RedeemRequest`).
pub const MAX_CREDENTIAL_BYTES: usize = 512;

/// The text cannot be any of the ways in (`CODE_MALFORMED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not of the form of any token, code or URL")]
pub struct Malformed;

/// One thing that the text may be: look it up by the kind's tag and this form.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which way in it would be.
    pub kind: InvitationKind,
    /// The canonical form, unique for the kind (03 Input).
    pub canonical: SecretText,
}

impl Candidate {
    const fn new(kind: InvitationKind, canonical: SecretText) -> Self {
        Self { kind, canonical }
    }
}

/// What a person typed or pasted, read. A secret: it has no Debug.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    candidates: Vec<Candidate>,
    /// Letters and digits before the first space or hyphen of typed text; 0 of a URL.
    first_word_characters: usize,
}

impl Credential {
    /// Reads `input`. A URL of the configured base says by its path what it is;
    /// of typed text every kind that it can be is a candidate, in this order:
    /// organization token, class code, phrase, enrolment code. The first that is
    /// found is the one meant (R1).
    ///
    /// # Errors
    /// [`Malformed`] if it is none of them, longer than
    /// [`MAX_CREDENTIAL_BYTES`], a URL of another place, or holds control,
    /// bidirectional, invisible or look-alike characters.
    pub fn parse(input: &str, base: &PublicUrl) -> Result<Self, Malformed> {
        if input.len() > MAX_CREDENTIAL_BYTES {
            return Err(Malformed);
        }
        let normal = typed_text::normalize(input).ok_or(Malformed)?;
        let text = typed_text::trim_punctuation(&normal);
        let (candidates, first_word_characters) = match base.pasted(text) {
            Pasted::Ours(letter, key) => (vec![linked(letter, key).ok_or(Malformed)?], 0),
            Pasted::Foreign => return Err(Malformed),
            Pasted::Text => (typed(text), typed_text::first_word(text).len()),
        };
        if candidates.is_empty() {
            return Err(Malformed);
        }
        Ok(Self {
            candidates,
            first_word_characters,
        })
    }

    /// What it may be, in the order of precedence; never empty.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// With one more candidate, the last: a code typed without its prefix, of
    /// the organization that the request names (B4).
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

    /// The prefixes that it may begin with, longest first: a guess that names an
    /// organization by its prefix counts against that organization (03, the limiter).
    pub fn possible_prefixes(&self) -> impl Iterator<Item = CodePrefix> + '_ {
        let code = self.enrollment_code().unwrap_or_default();
        (MIN_PREFIX_CHARACTERS..=MAX_PREFIX_CHARACTERS)
            .rev()
            // A code follows the prefix.
            .filter(move |length| code.len() >= length + MIN_CODE_CHARACTERS)
            .filter_map(move |length| CodePrefix::parse(code.get(..length)?).ok())
    }

    /// The prefix of the code that this can only be, whoever made it: what stands before the first space or
    /// hyphen, of a text that has no other reading. `None` if it may as well be meant for another organization:
    /// a class code or phrase with a slip in it reads as a code, and begins with somebody's prefix (I8).
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

    /// The first reading as an enrolment code.
    fn enrollment_code(&self) -> Option<&str> {
        self.candidates
            .iter()
            .find(|candidate| candidate.kind == InvitationKind::EnrollmentCode)
            .map(|candidate| candidate.canonical.expose())
    }
}

/// What the path of one of this service's URLs says.
fn linked(letter: &str, key: &str) -> Option<Candidate> {
    let (kind, canonical) = match Path::from_letter(&letter.to_ascii_lowercase())? {
        Path::JoinUrl => (InvitationKind::JoinUrl, join_key::canonical(key)),
        Path::ClassCode => (InvitationKind::ClassCode, class_code::canonical(key)),
        Path::OrganizationToken => (
            InvitationKind::OrganizationToken,
            organization_token::canonical(key),
        ),
        Path::ClassToken => (
            InvitationKind::ClassToken,
            Phrase::parse(key).map(|phrase| phrase.canonical()),
        ),
    };
    canonical.map(|canonical| Candidate::new(kind, canonical))
}

/// Everything that typed text can be.
fn typed(text: &str) -> Vec<Candidate> {
    let code = typed_text::compact(text);
    let lengths = MIN_CODE_CHARACTERS..=MAX_PREFIX_CHARACTERS + MAX_CODE_CHARACTERS;
    let is_code =
        lengths.contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    [
        (
            InvitationKind::OrganizationToken,
            organization_token::canonical(&code),
        ),
        (InvitationKind::ClassCode, class_code::canonical(&code)),
        (
            InvitationKind::ClassToken,
            Phrase::parse(&code).map(|phrase| phrase.canonical()),
        ),
        (
            InvitationKind::EnrollmentCode,
            is_code.then(|| SecretText::new(code.as_str())),
        ),
    ]
    .into_iter()
    .filter_map(|(kind, canonical)| Some(Candidate::new(kind, canonical?)))
    .collect()
}

#[cfg(test)]
#[path = "credential_tests.rs"]
mod tests;
