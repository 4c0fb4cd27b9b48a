//! Identifiers: validated once, at the edge, and carried as types from there.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The shortest chosen organization or class id, in characters.
pub const CHOSEN_ID_MIN_CHARS: usize = 3;
/// The longest chosen organization or class id, in characters.
pub const CHOSEN_ID_MAX_CHARS: usize = 63;
/// The longest user id, in characters: a token's `sub` of 255 characters, each of which may be written as three, after a
/// name space.
pub const USER_ID_MAX_CHARS: usize = 800;
/// The shortest code prefix, in characters (B4).
pub const CODE_PREFIX_CHARS_MIN: usize = 2;
/// The longest code prefix, in characters (B4).
pub const CODE_PREFIX_CHARS_MAX: usize = 16;

/// The text that precedes a derived prefix that would otherwise be too short.
const FILLER: &str = "ORG";

/// The actor of events and audit entries for changes that the services make by themselves. Nobody acts or joins under
/// it.
pub const SYSTEM_ACTOR: &str = "system";

/// The prefix of every pseudonym of an erased person; a random UUID follows. Nobody acts or joins under a pseudonym.
pub const PSEUDONYM_PREFIX: &str = "erased-";

/// The reason why a text is not an identifier: a sentence for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(pub(crate) &'static str);

fn is_chosen_id(text: &str) -> bool {
    (CHOSEN_ID_MIN_CHARS..=CHOSEN_ID_MAX_CHARS).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Returns true if `text` is a server-made id as this service writes it: hyphenated lower-case hexadecimal.
fn is_canonical_uuid(text: &str) -> bool {
    Uuid::parse_str(text).is_ok_and(|uuid| uuid.to_string() == text)
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $valid:expr, $message:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Validates `text`.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId($message))
                }
            }

            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }
    };
}

text_id!(
    /// An organization's id: chosen, `[a-z][a-z0-9-]{2,62}`, or a UUID made by the server.
    OrganizationId,
    |text| is_chosen_id(text) || is_canonical_uuid(text),
    "an organization id is 3 to 63 lower-case letters, digits and hyphens, beginning with a letter"
);

text_id!(
    /// A class's id within its organization: chosen, `[a-z][a-z0-9-]{2,62}`, or a UUID made by the server.
    ClassId,
    |text| is_chosen_id(text) || is_canonical_uuid(text),
    "a class id is 3 to 63 lower-case letters, digits and hyphens, beginning with a letter"
);

text_id!(
    /// The platform's id of a person: 1 to 800 printable ASCII characters without `/` and spaces.
    UserId,
    |text| {
        (1..=USER_ID_MAX_CHARS).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
    },
    "a user id is 1 to 800 printable ASCII characters; a `/` is written as %2F in it, and a space as %20"
);

impl UserId {
    /// Validates the id of a person who acts or joins. It refuses [`SYSTEM_ACTOR`], pseudonyms, and the words `me` and
    /// `-`, which name no single person in a resource name.
    pub fn parse_person(text: &str) -> Result<Self, InvalidId> {
        if text == SYSTEM_ACTOR {
            return Err(InvalidId(
                "a user id is not `system`: that is who does what happens by itself",
            ));
        }
        if matches!(text, "me" | "-") {
            return Err(InvalidId(
                "a user id is neither `me`, which stands for whoever asks, nor `-`, which stands for everyone",
            ));
        }
        let user = Self::parse(text)?;
        if user.is_pseudonym() {
            return Err(InvalidId(
                "a user id is not `erased-` and a UUID: that stands for who was erased",
            ));
        }
        Ok(user)
    }

    /// Returns true if the id stands for an erased person: [`PSEUDONYM_PREFIX`] and a UUID.
    #[must_use]
    pub fn is_pseudonym(&self) -> bool {
        self.0
            .strip_prefix(PSEUDONYM_PREFIX)
            .is_some_and(|id| Uuid::try_parse(id).is_ok())
    }
}

macro_rules! chosen_id {
    ($name:ident) => {
        impl $name {
            /// Validates an id that a caller chose: `[a-z][a-z0-9-]{2,62}`, never a UUID.
            pub fn parse_chosen(text: &str) -> Result<Self, InvalidId> {
                let id = Self::parse(text)?;
                if is_chosen_id(text) {
                    Ok(id)
                } else {
                    Err(CHOSEN)
                }
            }

            /// Returns the id of a resource for which the caller chose none.
            #[must_use]
            pub fn made(uuid: Uuid) -> Self {
                Self(uuid.to_string())
            }
        }
    };
}

chosen_id!(OrganizationId);
chosen_id!(ClassId);

const CHOSEN: InvalidId = InvalidId(
    "a chosen id is 3 to 63 lower-case letters, digits and hyphens, beginning with a letter",
);

/// The prefix of every enrollment code of an organization, `HAMILTON` in `HAMILTON-BIO101`: in capitals, public, unique,
/// fixed once set (B4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodePrefix(String);

impl CodePrefix {
    /// Reads a prefix: 2 to 16 ASCII letters and digits, converted to upper case.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let valid = (CODE_PREFIX_CHARS_MIN..=CODE_PREFIX_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if valid {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(InvalidId("must be 2 to 16 letters and digits"))
        }
    }

    /// Returns the prefix derived from an organization's id: its letters and digits in upper case, cut to 16
    /// characters. The first attempt is number 1; later ones begin with their number, for the case that one prefix
    /// begins with the other.
    #[must_use]
    pub fn derived(id: &OrganizationId, attempt: u32) -> Self {
        let mut word: String = id
            .as_str()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_uppercase())
            .collect();
        if word.len() < CODE_PREFIX_CHARS_MIN {
            word.insert_str(0, FILLER);
        }
        let number = if attempt > 1 {
            attempt.to_string()
        } else {
            String::new()
        };
        word.truncate(CODE_PREFIX_CHARS_MAX - number.len());
        Self(number + &word)
    }

    /// Returns the prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CodePrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for CodePrefix {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_a_prefix_has_2_to_16_letters_and_digits_and_is_kept_in_capitals() {
        for (text, kept) in [
            ("hamilton", "HAMILTON"),
            ("P9", "P9"),
            ("abcdefgh12345678", "ABCDEFGH12345678"),
        ] {
            assert_eq!(CodePrefix::parse(text).unwrap().as_str(), kept);
        }
        for text in ["", "A", "abcdefgh123456789", "HAM-ILTON", "HÄM", "A B"] {
            assert!(CodePrefix::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn b4_a_prefix_is_derived_from_the_id_and_numbered_when_taken() {
        for (id, attempt, derived) in [
            ("hamilton", 1, "HAMILTON"),
            ("north-shore-9", 1, "NORTHSHORE9"),
            ("north-shore-9", 2, "2NORTHSHORE9"),
            ("abcdefghijklmnopqrst", 1, "ABCDEFGHIJKLMNOP"),
            ("abcdefghijklmnopqrst", 12, "12ABCDEFGHIJKLMN"),
            ("a--", 1, "ORGA"),
            ("a--", 2, "2ORGA"),
        ] {
            let id = OrganizationId::parse(id).unwrap();
            let prefix = CodePrefix::derived(&id, attempt);
            assert_eq!(prefix.as_str(), derived);
            assert_eq!(CodePrefix::parse(derived), Ok(prefix));
        }
        let longest = OrganizationId::parse("abcdefghijklmnopqrst").unwrap();
        let prefix = CodePrefix::derived(&longest, u32::MAX);
        assert_eq!(prefix.as_str(), "4294967295ABCDEF");
    }

    #[test]
    fn nobody_is_the_system_or_somebody_erased() {
        for nobody in [SYSTEM_ACTOR, "me", "-"] {
            assert!(UserId::parse_person(nobody).is_err(), "{nobody}");
        }
        let pseudonym = format!("{PSEUDONYM_PREFIX}{}", Uuid::from_u128(7));
        assert!(UserId::parse_person(&pseudonym).is_err());
        assert!(UserId::parse(&pseudonym).unwrap().is_pseudonym());
        for person in [
            "System",
            "system2",
            "Me",
            "me2",
            "--",
            "ada",
            "erased-",
            "erased-1",
            "erased-ada",
        ] {
            assert!(UserId::parse_person(person).is_ok(), "{person}");
        }
        // An id that was stored is not judged again when it is read back.
        assert!(UserId::parse(SYSTEM_ACTOR).is_ok());
    }

    #[test]
    fn chosen_ids_are_taken_to_their_edges_and_not_past_them() {
        for valid in ["abc", "a-1", &"a".repeat(CHOSEN_ID_MAX_CHARS)] {
            assert!(OrganizationId::parse_chosen(valid).is_ok(), "{valid}");
            assert!(ClassId::parse_chosen(valid).is_ok(), "{valid}");
        }
        for invalid in [
            "",
            "ab",
            "1ab",
            "-ab",
            "aB1",
            "a_b",
            "a/b",
            "äbc",
            &"a".repeat(CHOSEN_ID_MAX_CHARS + 1),
        ] {
            assert!(OrganizationId::parse(invalid).is_err(), "{invalid}");
            assert!(ClassId::parse(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_server_made_id_is_read_but_cannot_be_chosen() {
        let made = ClassId::made(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_000a));
        assert_eq!(ClassId::parse(made.as_str()), Ok(made.clone()));
        assert!(ClassId::parse_chosen(made.as_str()).is_err());
        assert!(ClassId::parse(&made.as_str().to_uppercase()).is_err());
    }

    #[test]
    fn user_ids_are_printable_ascii_without_slash() {
        for valid in ["u", "a@b.org", "auth0|123", &"u".repeat(USER_ID_MAX_CHARS)] {
            assert!(UserId::parse(valid).is_ok(), "{valid}");
        }
        for invalid in [
            "",
            "a b",
            "a/b",
            "a\n",
            "ä",
            &"u".repeat(USER_ID_MAX_CHARS + 1),
        ] {
            assert!(UserId::parse(invalid).is_err(), "{invalid}");
        }
    }
}
