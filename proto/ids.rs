//! Identifiers: validated once, at the edge, and carried as types from there.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The shortest chosen organization or class id, in characters.
pub const CHOSEN_ID_MIN_CHARS: usize = 3;
/// The longest chosen organization or class id, in characters.
pub const CHOSEN_ID_MAX_CHARS: usize = 63;
/// The longest user id, in characters.
pub const USER_ID_MAX_CHARS: usize = 128;

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
    /// The platform's id of a person: 1 to 128 printable ASCII characters without `/`.
    UserId,
    |text| {
        (1..=USER_ID_MAX_CHARS).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
    },
    "a user id is 1 to 128 printable ASCII characters without `/` or spaces"
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

#[cfg(test)]
mod tests {
    use super::*;

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
