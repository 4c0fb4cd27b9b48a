//! A row of the authorization table: an RPC, the kind of place that it concerns, and what grants
//! access.

/// The least role that a row requires in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Least {
    /// A member of the organization or class, or anyone else who may see it.
    Member,
    /// A co-teacher or the owner of the class.
    CoTeacher,
    /// The owner of the class.
    Owner,
    /// A teacher of the organization.
    Teacher,
    /// An administrator of the organization, who may do everything that other roles may.
    Admin,
}

/// The person whom a request concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concerned {
    /// Nobody in particular.
    Nobody,
    /// The student of the class.
    Student,
    /// The person who filed the join request.
    Asker,
}

/// The kind of place that a request concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// No place in particular.
    Nothing,
    Organization,
    Class,
}

/// The condition for access to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opens {
    /// The caller is authenticated.
    Anyone,
    /// Nobody has access: the resource is absent for everybody.
    Nothing,
    /// The caller has a scope, whatever the role.
    Scope,
    /// The caller sees the place.
    Sight,
    /// The caller has the role, or one of the row's scopes.
    Role(Least),
    /// The caller is the person concerned, whatever the role.
    Person,
    /// The call sets the license: an administrator lacks the scope, everybody else the role.
    License,
}

/// The answer to a token whose `organizations` claim does not include the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The place is absent.
    Hides,
    /// The token is refused.
    Refuses,
    /// The token is refused whatever organizations it names, because the call concerns no single
    /// one.
    RefusesAny,
    /// The call is answered: it concerns no organization, or the answer is that there is none.
    Answers,
}

/// A part of an answer that is shown only to callers with the role or a scope of the row, and to
/// the person concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shows {
    /// The placeholder, as in a body.
    pub(crate) what: &'static str,
    pub(crate) about: About,
    pub(crate) least: Least,
}

/// One row. `$…` in the body stands for a resource of the school. An allowed body never changes
/// anything that other rows need: it carries a stale etag, or creates what already exists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) method: &'static str,
    pub(crate) about: About,
    pub(crate) opens: Opens,
    pub(crate) scopes: &'static [&'static str],
    pub(crate) concerned: Concerned,
    /// True if the person concerned has access, whatever their role.
    pub(crate) own: bool,
    /// True if the resource is absent for callers without access, even if they see the place,
    /// because the name does not reveal the class.
    pub(crate) hides: bool,
    pub(crate) bound: Bound,
    /// The part of an answer that only some callers see.
    pub(crate) shows: Option<Shows>,
    pub(crate) body: &'static str,
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

    /// Also grants access to the person concerned.
    pub(super) const fn or(self, concerned: Concerned) -> Self {
        Self {
            concerned,
            own: true,
            ..self
        }
    }

    /// Refuses the person concerned, who may know that the resource exists.
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
