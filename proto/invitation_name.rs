//! The kinds of invitations and their resource names.

use std::fmt;

use uuid::Uuid;

use crate::{
    ids::InvalidId,
    names::{Place, server_made},
};

/// The kind of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvitationKind {
    /// The organization's one invite token (A2).
    OrganizationToken,
    /// A phrase that leads into one class (A6).
    ClassToken,
    /// A code typed by its author (B4).
    EnrollmentCode,
    /// A class's code, which locks itself (C1, C4).
    ClassCode,
    /// A class's public address, which always queues (C9).
    JoinUrl,
}

/// The names of one kind.
struct Row {
    /// The name in the database and in the MACs of look-ups.
    tag: &'static str,
    /// The name of the method in the provenance of a member.
    method: &'static str,
    /// The part of the resource name after the place.
    segment: &'static str,
    /// True if a place has one, whose name ends with the segment. Otherwise an id follows.
    is_singleton: bool,
    /// Returns true if the place may have one.
    fits: fn(&Place) -> bool,
    /// The error for a text that is no such name.
    must_be: &'static str,
}

const fn of_organization(place: &Place) -> bool {
    matches!(place, Place::Organization(_))
}

const fn of_class(place: &Place) -> bool {
    matches!(place, Place::Class(_))
}

impl InvitationKind {
    /// Every kind, in order.
    pub const ALL: [Self; 5] = [
        Self::OrganizationToken,
        Self::ClassToken,
        Self::EnrollmentCode,
        Self::ClassCode,
        Self::JoinUrl,
    ];

    /// Returns the row of the kind.
    const fn row(self) -> &'static Row {
        match self {
            Self::OrganizationToken => &Row {
                tag: "organization_token",
                method: "ORGANIZATION_TOKEN",
                segment: "/inviteToken",
                is_singleton: true,
                fits: of_organization,
                must_be: "must be `organizations/{organization}/inviteToken`",
            },
            Self::ClassToken => &Row {
                tag: "class_token",
                method: "CLASS_TOKEN",
                segment: "/tokens",
                is_singleton: false,
                fits: of_class,
                must_be: "must be `organizations/{organization}/classes/{class}/tokens/{token}`",
            },
            Self::EnrollmentCode => &Row {
                tag: "enrollment_code",
                method: "ENROLLMENT_CODE",
                segment: "/enrollmentCodes",
                is_singleton: false,
                fits: |_| true,
                must_be: "must be `organizations/{organization}/enrollmentCodes/{enrollment_code}` or `organizations/{organization}/classes/{class}/enrollmentCodes/{enrollment_code}`",
            },
            Self::ClassCode => &Row {
                tag: "class_code",
                method: "CLASS_CODE",
                segment: "/classCode",
                is_singleton: true,
                fits: of_class,
                must_be: "must be `organizations/{organization}/classes/{class}/classCode`",
            },
            Self::JoinUrl => &Row {
                tag: "join_url",
                method: "JOIN_URL",
                segment: "/joinUrl",
                is_singleton: true,
                fits: of_class,
                must_be: "must be `organizations/{organization}/classes/{class}/joinUrl`",
            },
        }
    }

    /// Returns its name in the database and in the MACs of look-ups, which never changes.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        self.row().tag
    }

    /// Returns the part of its resource names after the place, with a slash before it.
    #[must_use]
    pub const fn segment(self) -> &'static str {
        self.row().segment
    }

    /// Returns the name of the method in the provenance of a member, which never changes.
    #[must_use]
    pub const fn method(self) -> &'static str {
        self.row().method
    }

    /// Returns the kind of that tag, or `None` if there is none.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }

    /// Returns true if a place has one invitation of this kind, which is made on first use.
    #[must_use]
    pub const fn is_singleton(self) -> bool {
        self.row().is_singleton
    }
}

/// The resource name of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvitationName {
    /// The kind.
    pub kind: InvitationKind,
    /// The place that it leads to.
    pub place: Place,
    /// The id; `None` for a singleton.
    pub id: Option<Uuid>,
}

impl InvitationName {
    /// Returns the name of the invitation `id` of a place. The id of a singleton is not part of its name.
    #[must_use]
    pub fn new(kind: InvitationKind, place: Place, id: Uuid) -> Self {
        let id = (!kind.is_singleton()).then_some(id);
        Self { kind, place, id }
    }

    /// Parses the resource name of an invitation of this kind.
    pub fn parse_as(kind: InvitationKind, name: &str) -> Result<Self, InvalidId> {
        let row = kind.row();
        let wrong = InvalidId(row.must_be);
        let (parent, id) = if row.is_singleton {
            (name, None)
        } else {
            let (parent, id) = name.rsplit_once('/').ok_or_else(|| wrong.clone())?;
            (parent, Some(id))
        };
        let place = parent.strip_suffix(row.segment);
        let place = place.and_then(|place| Place::parse(place).ok());
        let place = place.filter(row.fits).ok_or(wrong)?;
        let id = id.map(server_made).transpose()?;
        Ok(Self { kind, place, id })
    }

    /// Parses the resource name of an invitation of any kind.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut kinds = InvitationKind::ALL.into_iter();
        kinds.find_map(|kind| Self::parse_as(kind, name).ok())
    }
}

impl fmt::Display for InvitationName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.place, self.kind.row().segment)?;
        match self.id {
            Some(id) => write!(formatter, "/{id}"),
            None => Ok(()),
        }
    }
}

impl From<&InvitationName> for Place {
    fn from(name: &InvitationName) -> Self {
        name.place.clone()
    }
}
