//! Puts another id in place of a user's in stored data: a pseudonym when a person is erased (R13), the person's other
//! account when two become one (R15).

use homeroom_api::ids::{OrganizationId, PSEUDONYM_PREFIX, UserId};
use uuid::Uuid;

use crate::status;

/// Returns the pseudonym of an erasure. It cannot be traced back: nothing records the user.
pub fn pseudonym(id: Uuid) -> status::Result<UserId> {
    UserId::parse(&format!("{PSEUDONYM_PREFIX}{id}")).map_err(status::Error::internal)
}

/// Returns the id of a move of one account to another, which no pseudonym equals.
pub fn move_id(id: Uuid) -> status::Result<UserId> {
    UserId::parse(&format!("{MOVE_PREFIX}{id}")).map_err(status::Error::internal)
}

/// Returns true for the id of a move.
#[must_use]
pub fn is_move_id(id: &UserId) -> bool {
    let uuid = id.as_str().strip_prefix(MOVE_PREFIX);
    uuid.is_some_and(|uuid| Uuid::try_parse(uuid).is_ok())
}

/// The prefix of the id of a move. `EraseUser` takes no such id for a pseudonym: a service of the version before moves
/// cannot mistake one for an erasure.
const MOVE_PREFIX: &str = "moved-";

/// A user and the id that replaces theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The user.
    pub user: UserId,
    /// The pseudonym, or the person's other account.
    pub by: UserId,
}

impl Replacement {
    /// Returns the text with the other id if it is the user's id or a resource name that ends with
    /// it, otherwise `None`.
    #[must_use]
    pub fn text(&self, text: &str) -> Option<String> {
        before_user(text, &self.user).map(|before| format!("{before}{}", self.by))
    }
}

/// Returns what precedes the user's id in a text that is the id or a resource name that ends with it, otherwise `None`.
pub(crate) fn before_user<'text>(text: &'text str, user: &UserId) -> Option<&'text str> {
    let before = text.strip_suffix(user.as_str())?;
    let whole = before.is_empty() || before == "users/" || before.ends_with("/members/");
    whole.then_some(before)
}

/// The fewest bytes of an id by which a stored answer is recognized; shorter ones occur in other
/// people's answers by chance. Answers are deleted after a day in any case (R3).
const MARK_BYTES_MIN: usize = 6;

/// A pair of texts, both of which occur in a stored answer that mentions a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The person's id or an address as a field of a protobuf message, or the end of a membership's
    /// name with the tag of the field after it.
    pub told: Vec<u8>,
    /// An organization's name, since other organizations give the same school id to other people;
    /// otherwise the same as `told`.
    pub within: Vec<u8>,
}

/// Returns the marks of a person, including the address and the school id by which each of these
/// organizations knows them; either may be empty.
#[must_use]
pub fn marks_of<'known>(
    user: &UserId,
    known: impl IntoIterator<Item = (&'known OrganizationId, [&'known str; 2])>,
) -> Vec<Mark> {
    let anywhere = |told: Vec<u8>| Mark {
        within: told.clone(),
        told,
    };
    let id = field(user.as_str()).map(anywhere);
    // The tag of `Member.user` follows the name, so that an id is not found in longer ones.
    let name = anywhere(format!("/members/{user}\u{12}").into_bytes());
    let known = known.into_iter();
    let texts = known.flat_map(|(organization, texts)| texts.map(|text| (organization, text)));
    let particulars = texts.filter_map(|(organization, text)| {
        Some(Mark {
            told: field(text)?,
            within: format!("organizations/{organization}").into_bytes(),
        })
    });
    id.into_iter().chain(particulars).chain([name]).collect()
}

/// Returns the text as a field of a protobuf message, or `None` if it is too short to identify
/// anyone.
fn field(text: &str) -> Option<Vec<u8>> {
    if text.len() < MARK_BYTES_MIN {
        return None;
    }
    let mut field = Vec::new();
    prost::encoding::encode_varint(text.len() as u64, &mut field);
    field.extend_from_slice(text.as_bytes());
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replacement() -> Replacement {
        Replacement {
            user: UserId::parse("ada").unwrap(),
            by: UserId::parse("erased-1").unwrap(),
        }
    }

    #[test]
    fn r13_only_the_whole_id_is_replaced() {
        for (text, replaced) in [
            ("ada", Some("erased-1")),
            ("users/ada", Some("users/erased-1")),
            (
                "organizations/hamilton/members/ada",
                Some("organizations/hamilton/members/erased-1"),
            ),
            ("organizations/hamilton/classes/ada", None),
            ("organizations/ada", None),
            ("nevada", None),
            ("users/nevada", None),
            ("adam", None),
            ("", None),
        ] {
            assert_eq!(replacement().text(text).as_deref(), replaced, "{text}");
        }
    }

    #[test]
    fn r13_a_pseudonym_is_told_from_other_ids() {
        let made = pseudonym(Uuid::from_u128(7)).unwrap();
        assert!(made.is_pseudonym() && !is_move_id(&made));
        let moved = move_id(Uuid::from_u128(7)).unwrap();
        assert!(is_move_id(&moved) && !moved.is_pseudonym());
        for other in [
            "erased-",
            "erased-1",
            "ada",
            "00000000-0000-0000-0000-000000000007",
        ] {
            assert!(!UserId::parse(other).unwrap().is_pseudonym(), "{other}");
        }
    }

    #[test]
    fn r13_an_answer_that_tells_of_the_person_is_known_by_its_fields() {
        let hamilton = OrganizationId::parse("hamilton").unwrap();
        let known = [(&hamilton, ["", "ada@example.org"])];
        let marks = marks_of(&UserId::parse("ada-lo").unwrap(), known);
        let mark = |told: &[u8], within: &[u8]| Mark {
            told: told.to_vec(),
            within: within.to_vec(),
        };
        assert_eq!(
            marks,
            [
                mark(b"\x06ada-lo", b"\x06ada-lo"),
                mark(b"\x0fada@example.org", b"organizations/hamilton"),
                mark(b"/members/ada-lo\x12", b"/members/ada-lo\x12"),
            ]
        );
    }

    #[test]
    fn r13_a_short_id_alone_marks_nobodys_answer() {
        let marks = marks_of(&UserId::parse("1042a").unwrap(), []);
        let told: Vec<_> = marks.into_iter().map(|mark| mark.told).collect();
        assert_eq!(told, [b"/members/1042a\x12".to_vec()]);
    }
}
