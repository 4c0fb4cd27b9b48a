//! What the callers of a sequence have learnt so far.

use std::collections::BTreeMap;

/// What opened something once.
#[derive(Debug, Clone)]
pub struct Credential {
    /// What a person types or pastes.
    pub text: String,
    /// Resource name of the invitation that it belongs to.
    pub invitation: String,
    /// It was reset, revoked, switched off, deleted or changed, and the caller has been told so.
    pub dead: bool,
    /// It may have been brought back to life, by a call whose end nobody knows: not judged any more.
    pub uncertain: bool,
}

/// An answer to a redemption that a caller holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its resource name.
    pub redemption: String,
    /// `ADMITTED`, `PENDING_APPROVAL` or `ALREADY_MEMBER`.
    pub outcome: &'static str,
    /// The organization or class.
    pub place: String,
    /// Whom it is for, as far as the caller knows.
    pub user: String,
}

/// All of it.
#[derive(Debug)]
pub struct World {
    /// Every id begins with it, so that sequences never meet.
    pub tag: String,
    /// Ids of the people: an administrator, two teachers, and students.
    pub people: Vec<String>,
    /// Names of organizations, also of those that are deleted.
    pub organizations: Vec<String>,
    /// Names of classes, likewise.
    pub classes: Vec<String>,
    /// Names of class tokens.
    pub tokens: Vec<String>,
    /// Names of enrolment codes.
    pub enrollment_codes: Vec<String>,
    /// Names of join requests.
    pub join_requests: Vec<String>,
    /// What was ever handed out.
    pub credentials: Vec<Credential>,
    /// What callers were told of redemptions.
    pub acknowledged: Vec<Acknowledged>,
    /// Ids of the people whose erasure was asked for.
    pub erased: Vec<String>,
    /// The last etag of each resource.
    pub etags: BTreeMap<String, String>,
    /// The last page token of each list.
    pub page_tokens: BTreeMap<String, String>,
}

/// Of the people, the administrator.
pub const ADMIN: usize = 0;
/// Of the people, the teacher who owns classes.
pub const TEACHER: usize = 1;
/// Of the people, the teacher who helps.
pub const CO_TEACHER: usize = 2;
/// Of the people, the first student.
pub const FIRST_STUDENT: usize = 3;
/// Students of a sequence.
pub const STUDENTS: usize = 6;

impl World {
    /// Of a sequence that has not begun.
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
        }
    }

    /// Notes a credential that was handed out.
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

    /// The texts by which an invitation is known now.
    #[must_use]
    pub fn texts_of(&self, invitation: &str) -> Vec<String> {
        self.credentials
            .iter()
            .filter(|known| known.invitation == invitation)
            .map(|known| known.text.clone())
            .collect()
    }

    /// Their end has been acknowledged.
    pub fn bury(&mut self, texts: &[String]) {
        for known in &mut self.credentials {
            known.dead |= texts.contains(&known.text);
        }
    }

    /// Those of these invitations, and those that end in these codes, may live again.
    pub fn revive(&mut self, of: &[String]) {
        for known in &mut self.credentials {
            known.uncertain |= of
                .iter()
                .any(|one| known.invitation == *one || known.text.ends_with(one.as_str()));
        }
    }

    /// Whether nobody gets in by it: the caller has been told of its end, and nothing brought it back.
    #[must_use]
    pub fn is_dead(&self, text: &str) -> bool {
        self.credentials
            .iter()
            .any(|known| known.text == text && known.dead && !known.uncertain)
    }

    /// Notes a name, once.
    pub fn note(list: &mut Vec<String>, name: &str) {
        if !name.is_empty() && !list.iter().any(|known| known == name) {
            list.push(name.to_owned());
        }
    }
}
