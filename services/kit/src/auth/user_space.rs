//! The user ids of each issuer's people: two issuers may use one `sub` for two people.

/// The most characters of a name space.
const NAMESPACE_CHARS_MAX: usize = 32;
/// The violation of a call that names a user of another issuer.
pub const OTHERS_USER: &str = "must be a user id in the name space of the access token's issuer";
/// The character between a name space and the rest of a user id.
const SEPARATOR: char = ':';
/// The codes that stand for other characters in user ids, after `%`.
const CODES: [&str; 3] = ["20", "25", "2F"];

/// The name space of an issuer's people: 1 to 32 small letters, digits and hyphens, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// Reads a name space.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let valid = (1..=NAMESPACE_CHARS_MAX).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 32 small letters, digits and hyphens, beginning with a letter")
        }
    }

    fn prefix(&self) -> String {
        format!("{}{SEPARATOR}", self.0)
    }
}

/// The user ids of an issuer's people, and those for whom its services may act: in a name space its own people alone;
/// without one, which is the platform's place, everyone.
#[derive(Debug, Clone, Default)]
pub struct UserSpace {
    own: String,
    others: Vec<String>,
}

impl UserSpace {
    /// Returns the user ids of an issuer beside others. No two have the same name space.
    pub fn new<'other>(
        own: Option<&Namespace>,
        others: impl Iterator<Item = &'other Namespace>,
    ) -> Self {
        Self {
            own: own.map(Namespace::prefix).unwrap_or_default(),
            others: others.map(Namespace::prefix).collect(),
        }
    }

    /// Returns the user id of a token's subject: its name space, and the subject with each `/` as `%2F` and each space
    /// as `%20`. A `%` that would read as one of these codes or as its own becomes `%25`, so no two subjects have one
    /// user id. Other characters stay as they are.
    #[must_use]
    pub fn user_of(&self, subject: &str) -> String {
        let mut user = self.own.clone();
        for (place, character) in subject.char_indices() {
            let rest = subject.get(place + 1..).unwrap_or_default();
            match character {
                '/' => user.push_str("%2F"),
                ' ' => user.push_str("%20"),
                '%' if CODES.iter().any(|code| rest.starts_with(code)) => user.push_str("%25"),
                other => user.push(other),
            }
        }
        user
    }

    /// Returns true if the user id of a token's subject would be in the name space of another issuer.
    pub(super) fn is_of_another(&self, subject: &str) -> bool {
        self.own.is_empty() && self.others.iter().any(|other| subject.starts_with(other))
    }

    /// Returns true if the issuer's services may act for this user.
    #[must_use]
    pub fn reaches(&self, user: &str) -> bool {
        user.starts_with(&self.own)
    }
}

#[cfg(test)]
mod tests {
    use homeroom_api::ids::{USER_ID_MAX_CHARS, UserId};
    use proptest::prelude::*;

    use super::*;
    use crate::auth::refusals::SUBJECT_BYTES_MAX;

    fn spaces() -> [UserSpace; 3] {
        let [lms, sis] = ["lms", "lms-2"].map(|name| Namespace::parse(name).unwrap());
        [
            UserSpace::new(None, [&lms, &sis].into_iter()),
            UserSpace::new(Some(&lms), [&sis].into_iter()),
            UserSpace::new(Some(&sis), [&lms].into_iter()),
        ]
    }

    #[test]
    fn a_name_space_has_1_to_32_characters_and_no_colon() {
        for right in ["a", "lms-2", &"a".repeat(NAMESPACE_CHARS_MAX)] {
            assert!(Namespace::parse(right).is_ok(), "{right}");
        }
        let long = "a".repeat(NAMESPACE_CHARS_MAX + 1);
        for wrong in ["", "2", "-a", "A", "a:", "a b", "ä", &long] {
            assert!(Namespace::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_subject_of_two_issuers_is_two_users_and_the_platform_alone_reaches_both() {
        let users = spaces().map(|space| space.user_of("ada"));
        assert_eq!(users, ["ada", "lms:ada", "lms-2:ada"]);
        let [platform, others @ ..] = spaces();
        for user in &users {
            assert!(platform.reaches(user));
            for (space, own) in others.iter().zip(&users[1..]) {
                assert_eq!(space.reaches(user), user == own, "{user}");
            }
        }
        for (space, is_of_another) in spaces().iter().zip([true, false, false]) {
            assert_eq!(space.is_of_another("lms:ada"), is_of_another);
            assert!(!space.is_of_another("lms"));
        }
    }

    #[test]
    fn a_subject_is_a_user_id_with_codes_for_what_user_ids_do_not_hold() {
        for (subject, user) in [
            ("auth0|5f7c8ec7", "auth0|5f7c8ec7"),
            ("a/b c", "a%2Fb%20c"),
            ("100%", "100%"),
            ("a%2Fb", "a%252Fb"),
            ("%2525", "%252525"),
            ("%2f%41%/", "%2f%41%%2F"),
        ] {
            assert_eq!(UserSpace::default().user_of(subject), user);
        }
        let [_, lms, _] = spaces();
        let longest = Namespace("n".repeat(NAMESPACE_CHARS_MAX));
        let longest = UserSpace::new(Some(&longest), [].into_iter());
        let user = longest.user_of(&"/".repeat(SUBJECT_BYTES_MAX));
        assert!(user.len() <= USER_ID_MAX_CHARS && UserId::parse_person(&user).is_ok());
        // Words that stand for nobody are people in a name space.
        assert!(UserId::parse_person(&lms.user_of("system")).is_ok());
    }

    proptest! {
        #[test]
        fn a_printable_subject_is_one_user_id_and_is_read_back_from_it(subject in "([ -~]|%2[05F]){1,85}") {
            let user = UserSpace::default().user_of(&subject);
            let mut read = String::new();
            let mut rest = user.as_str();
            while let Some(next) = rest.chars().next() {
                let code = [("%2F", '/'), ("%20", ' '), ("%25", '%')].into_iter().find(|(code, _)| rest.starts_with(code));
                let (taken, meant) = code.map_or((1, next), |(code, meant)| (code.len(), meant));
                read.push(meant);
                rest = &rest[taken..];
            }
            prop_assert_eq!(&read, &subject);
            prop_assert!(UserId::parse(&user).is_ok());
        }
    }
}
