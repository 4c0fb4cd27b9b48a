//! The state that the callers of a sequence have learned so far.

use std::collections::BTreeMap;

use serde_json::Value;

/// A credential that worked once.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The text that a person types or pastes.
    pub text: String,
    /// The resource name of its invitation.
    pub invitation: String,
    /// True if it was reset, revoked, switched off, deleted or changed, and the caller has been
    /// told so.
    pub dead: bool,
    /// True if a call with an unknown result may have made it work again, so it is no longer
    /// checked.
    pub uncertain: bool,
}

/// The answer to a redemption that a caller has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its resource name.
    pub redemption: String,
    /// `ADMITTED`, `PENDING_APPROVAL` or `ALREADY_MEMBER`.
    pub outcome: &'static str,
    /// The organization or class.
    pub place: String,
    /// The user, as far as the caller knows.
    pub user: String,
}

/// Everything that the callers know.
#[derive(Debug)]
pub struct World {
    /// The prefix of every id, so that sequences do not share data.
    pub tag: String,
    /// Ids of the people: an administrator, two teachers, and students.
    pub people: Vec<String>,
    /// Names of organizations, including deleted ones.
    pub organizations: Vec<String>,
    /// Names of classes, including deleted ones.
    pub classes: Vec<String>,
    /// Names of class tokens.
    pub tokens: Vec<String>,
    /// Names of enrollment codes.
    pub enrollment_codes: Vec<String>,
    /// Names of join requests.
    pub join_requests: Vec<String>,
    /// Every credential that was returned.
    pub credentials: Vec<Credential>,
    /// The answers to redemptions.
    pub acknowledged: Vec<Acknowledged>,
    /// Ids of the people whose erasure was asked for.
    pub erased: Vec<String>,
    /// The last etag of each resource.
    pub etags: BTreeMap<String, String>,
    /// The last page token of each list.
    pub page_tokens: BTreeMap<String, String>,
    /// The request that carries out the last plan of an import.
    pub planned: Option<Value>,
}

/// The index of the administrator in `people`.
pub const ADMIN: usize = 0;
/// The index of the teacher who owns classes.
pub const TEACHER: usize = 1;
/// The index of the co-teacher.
pub const CO_TEACHER: usize = 2;
/// The index of the first student.
pub const FIRST_STUDENT: usize = 3;
/// The number of students in a sequence.
pub const STUDENTS: usize = 6;

impl World {
    /// Returns the state of a sequence that has not begun.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let tag = format!("s{seed}");
        let staff = ["admin", "teacher", "co-teacher"].map(str::to_owned);
        let students = (0..STUDENTS).map(|number| format!("student-{number}"));
        Self {
            people: staff
                .into_iter()
                .chain(students)
                .map(|person| format!("{tag}-{person}"))
                .collect(),
            organizations: vec![
                format!("organizations/{tag}-a"),
                format!("organizations/{tag}-b"),
            ],
            classes: vec![format!("organizations/{tag}-a/classes/art")],
            tag,
            tokens: Vec::new(),
            enrollment_codes: Vec::new(),
            join_requests: Vec::new(),
            credentials: Vec::new(),
            acknowledged: Vec::new(),
            erased: Vec::new(),
            etags: BTreeMap::new(),
            page_tokens: BTreeMap::new(),
            planned: None,
        }
    }

    /// Records a credential that was returned.
    pub fn hand_out(&mut self, text: &str, invitation: &str) {
        let known = self.credentials.iter().any(|known| known.text == text);
        if !known && !text.is_empty() && !text.contains('•') && !text.contains('*') {
            self.credentials.push(Credential {
                text: text.to_owned(),
                invitation: invitation.to_owned(),
                dead: false,
                uncertain: false,
            });
        }
    }

    /// Returns the current credentials of an invitation.
    #[must_use]
    pub fn texts_of(&self, invitation: &str) -> Vec<String> {
        self.credentials
            .iter()
            .filter(|known| known.invitation == invitation)
            .map(|known| known.text.clone())
            .collect()
    }

    /// Marks credentials as ended, once their end has been answered.
    pub fn bury(&mut self, texts: &[String]) {
        for known in &mut self.credentials {
            known.dead |= texts.contains(&known.text);
        }
    }

    /// Marks the credentials of this invitation, and those that end in this code, as uncertain.
    pub fn revive(&mut self, of: &str) {
        for known in &mut self.credentials {
            known.uncertain |= known.invitation == of || known.text.ends_with(of);
        }
    }

    /// Returns true if the caller has been told of the credential's end, and nothing made it work
    /// again.
    #[must_use]
    pub fn is_dead(&self, text: &str) -> bool {
        self.credentials
            .iter()
            .any(|known| known.text == text && known.dead && !known.uncertain)
    }

    /// Records the name of a place, a token, an enrollment code or a join request once.
    pub fn note(&mut self, name: &str) {
        let parts: Vec<&str> = name.split('/').collect();
        let list = match parts[..] {
            [_, _] => &mut self.organizations,
            [.., "classes", _] => &mut self.classes,
            [.., "tokens", _] => &mut self.tokens,
            [.., "enrollmentCodes", _] => &mut self.enrollment_codes,
            [.., "joinRequests", _] => &mut self.join_requests,
            _ => return,
        };
        if !list.iter().any(|known| known == name) {
            list.push(name.to_owned());
        }
    }
}
