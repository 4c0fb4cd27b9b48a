//! A row of the authorization table: an RPC, the kind of place that it is about, and what opens it.

/// The least role that a row asks for in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Least {
    /// A member of the organization or class: whoever may see it.
    Member,
    /// A co-teacher or the owner of the class.
    CoTeacher,
    /// The owner of the class.
    Owner,
    /// A teacher of the organization.
    Teacher,
    /// An administrator of the organization, who may do what every other role may.
    Admin,
}

/// The person whom a request concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concerned {
    /// Nobody in particular.
    Nobody,
    /// The student of the class.
    Student,
    /// The person whose join request it is.
    Asker,
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// No place in particular.
    Nothing,
    /// The organization.
    Organization,
    /// The class.
    Class,
}

/// What opens a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    /// Being authenticated.
    Anyone,
    /// Nothing at all: for everybody it is absent.
    Nothing,
    /// A scope alone, whatever the role.
    Scope,
    /// Seeing the place.
    Sight,
    /// The role, or one of the row's scopes.
    Role(Least),
    /// Being the person concerned, and no role.
    Person,
    /// The licence: an administrator lacks the scope, everybody else the role.
    Licence,
}

/// What a token learns whose `organizations` claim leaves the organization out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// That it is absent.
    Hides,
    /// That the token may not.
    Refuses,
    /// The same, whatever organization it is bound to: no single one is meant.
    RefusesAny,
    /// Nothing: the answer is about no organization, or says that there is none.
    Answers,
}

/// A part of an answer, and who is shown it: who has the role, a scope of the row, or is the person concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shows {
    /// As in a body.
    pub(super) what: &'static str,
    pub(super) about: About,
    pub(super) least: Least,
}

/// One row. `$…` in the body stands for what the school has; a body never changes anything where it is
/// allowed, but for what nobody else needs: it carries a stale etag, or makes what exists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) about: About,
    pub(super) opens: Opens,
    pub(super) scopes: &'static [&'static str],
    pub(super) concerned: Concerned,
    /// The person concerned may, whatever their role.
    pub(super) own: bool,
    /// Absent for whoever may not, also where they see the place: the name tells nothing of the class.
    pub(super) hides: bool,
    pub(super) bound: Bound,
    /// What an answer shows to some of those who get one, and to no other.
    pub(super) shows: Option<Shows>,
    pub(super) body: &'static str,
}

pub(super) const PLATFORM: &str = "homeroom.platform";
pub(super) const ADMIT: &str = "homeroom.admit";
pub(super) const ACT_AS: &str = "homeroom.act_as";

impl Row {
    pub(super) const fn new(
        method: &'static str,
        about: About,
        opens: Opens,
        body: &'static str,
    ) -> Self {
        Self {
            method,
            about,
            opens,
            scopes: &[],
            concerned: Concerned::Nobody,
            own: false,
            hides: false,
            bound: if matches!(about, About::Nothing) {
                Bound::Answers
            } else {
                Bound::Hides
            },
            shows: None,
            body,
        }
    }

    pub(super) const fn showing(self, what: &'static str, about: About, least: Least) -> Self {
        let shows = Shows { what, about, least };
        Self {
            shows: Some(shows),
            ..self
        }
    }

    pub(super) const fn or_scopes(self, scopes: &'static [&'static str]) -> Self {
        Self { scopes, ..self }
    }

    /// And the person concerned.
    pub(super) const fn or(self, concerned: Concerned) -> Self {
        Self {
            concerned,
            own: true,
            ..self
        }
    }

    /// The person concerned may not, but knows that it exists.
    pub(super) const fn known_to(self, concerned: Concerned) -> Self {
        Self { concerned, ..self }
    }

    pub(super) const fn hiding(self) -> Self {
        Self {
            hides: true,
            ..self
        }
    }

    pub(super) const fn bound(self, bound: Bound) -> Self {
        Self { bound, ..self }
    }
}

pub(super) const fn anyone(method: &'static str, body: &'static str) -> Row {
    Row::new(method, About::Nothing, Opens::Anyone, body)
}

pub(super) const fn scoped(
    method: &'static str,
    about: About,
    scopes: &'static [&'static str],
    body: &'static str,
) -> Row {
    Row::new(method, about, Opens::Scope, body).or_scopes(scopes)
}

pub(super) const fn organization(method: &'static str, least: Least, body: &'static str) -> Row {
    Row::new(method, About::Organization, Opens::Role(least), body)
}

pub(super) const fn class(method: &'static str, least: Least, body: &'static str) -> Row {
    Row::new(method, About::Class, Opens::Role(least), body)
}

pub(super) const UNDER_CLASS: &str = r#"{"parent":"$class"}"#;
pub(super) const UNDER_ORGANIZATION: &str = r#"{"parent":"$organization"}"#;
pub(super) const EVERYWHERE: &str = r#"{"parent":"organizations/-"}"#;
