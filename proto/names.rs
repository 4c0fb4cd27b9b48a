//! Resource names (AIP-122): parsed once, at the edge.

use std::{fmt, str::FromStr};

use uuid::Uuid;

pub use crate::invitation_name::{InvitationKind, InvitationName};

use crate::ids::{ClassId, InvalidId, OrganizationId, UserId};

/// An organization or one of its classes: the place of members, the target of invitations, and the parent of codes,
/// requests and members.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// `organizations/{organization}`.
    Organization(OrganizationId),
    /// `organizations/{organization}/classes/{class}`.
    Class(ClassName),
}

/// `organizations/{organization}/classes/{class}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassName {
    /// The organization.
    pub organization: OrganizationId,
    /// The class within it.
    pub class: ClassId,
}

impl Place {
    /// Makes a place from an organization and, if there is one, a class of it.
    #[must_use]
    pub fn new(organization: OrganizationId, class: Option<ClassId>) -> Self {
        match class {
            Some(class) => Self::Class(ClassName {
                organization,
                class,
            }),
            None => Self::Organization(organization),
        }
    }

    /// Parses the resource name of an organization or a class.
    pub fn parse(name: &str) -> Result<Self, InvalidId> {
        match segments(name).as_slice() {
            ["organizations", organization] => {
                Ok(Self::Organization(OrganizationId::parse(organization)?))
            }
            ["organizations", organization, "classes", class] => Ok(Self::Class(ClassName {
                organization: OrganizationId::parse(organization)?,
                class: ClassId::parse(class)?,
            })),
            _ => Err(InvalidId(
                "must be `organizations/{organization}` or `organizations/{organization}/classes/{class}`",
            )),
        }
    }

    /// Returns the organization, which for a class is its parent.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        match self {
            Self::Organization(organization) => organization,
            Self::Class(name) => &name.organization,
        }
    }

    /// Returns the resource name of the class; empty for an organization.
    #[must_use]
    pub fn class_name(&self) -> String {
        match self {
            Self::Organization(_) => String::new(),
            Self::Class(class) => class.to_string(),
        }
    }

    /// Returns the class, if the place is one.
    #[must_use]
    pub fn class(&self) -> Option<&ClassId> {
        match self {
            Self::Organization(_) => None,
            Self::Class(name) => Some(&name.class),
        }
    }
}

impl ClassName {
    /// Parses the resource name of a class.
    pub fn parse(name: &str) -> Result<Self, InvalidId> {
        Place::parse(name)?.try_into()
    }
}

impl TryFrom<Place> for ClassName {
    type Error = InvalidId;

    fn try_from(place: Place) -> Result<Self, InvalidId> {
        match place {
            Place::Class(name) => Ok(name),
            Place::Organization(_) => Err(InvalidId(
                "must be `organizations/{organization}/classes/{class}`",
            )),
        }
    }
}

/// `organizations/{organization}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganizationName(pub OrganizationId);

impl OrganizationName {
    /// Parses the resource name of an organization.
    pub fn parse(name: &str) -> Result<Self, InvalidId> {
        match segments(name).as_slice() {
            ["organizations", organization] => Ok(Self(OrganizationId::parse(organization)?)),
            _ => Err(InvalidId("must be `organizations/{organization}`")),
        }
    }
}

/// `users/{user}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(pub UserId);

impl UserName {
    /// Parses the resource name of one person. It refuses the system, pseudonyms and `users/me`.
    pub fn parse(name: &str) -> Result<Self, InvalidId> {
        match segments(name).as_slice() {
            ["users", user] => Ok(Self(UserId::parse_person(user)?)),
            _ => Err(InvalidId("must be `users/{user}`")),
        }
    }
}

/// `{place}/members/{user}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberName {
    /// The place of which the person is a member.
    pub place: Place,
    /// The person.
    pub user: UserId,
}

impl MemberName {
    /// Parses the resource name of a member of an organization or of a class.
    pub fn parse(name: &str) -> Result<Self, InvalidId> {
        let (place, user) = child(
            name,
            "members",
            "must be `organizations/{organization}/members/{user}` or `organizations/{organization}/classes/{class}/members/{user}`",
        )?;
        Ok(Self {
            place,
            user: UserId::parse(user)?,
        })
    }
}

macro_rules! child_name {
    ($(#[$doc:meta])* $name:ident, $collection:literal, $fits:expr, $message:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The parent.
            pub place: Place,
            /// The id of the resource itself.
            pub id: Uuid,
        }

        impl $name {
            /// Parses the resource name.
            pub fn parse(name: &str) -> Result<Self, InvalidId> {
                let fits: fn(&Place) -> bool = $fits;
                let (place, id) = child(name, $collection, $message)?;
                let id = server_made(id)?;
                if fits(&place) {
                    Ok(Self { place, id })
                } else {
                    Err(InvalidId($message))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!("{}/", $collection, "/{}"), self.place, self.id)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(name: &str) -> Result<Self, InvalidId> {
                Self::parse(name)
            }
        }
    };
}

child_name!(
    /// `{place}/joinRequests/{join_request}`.
    JoinRequestName,
    "joinRequests",
    |_| true,
    "must be `organizations/{organization}/joinRequests/{join_request}` or `organizations/{organization}/classes/{class}/joinRequests/{join_request}`"
);

child_name!(
    /// `organizations/{organization}/redemptions/{redemption}`.
    RedemptionName,
    "redemptions",
    |place| place.class().is_none(),
    "must be `organizations/{organization}/redemptions/{redemption}`"
);

/// `organizations/{organization}/seatUsage`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatUsageName(pub OrganizationId);

impl SeatUsageName {
    /// Parses the resource name.
    pub fn parse(name: &str) -> Result<Self, InvalidId> {
        let organization = name.strip_suffix("/seatUsage");
        let organization = organization.and_then(|name| OrganizationName::parse(name).ok());
        organization.map(|name| Self(name.0)).ok_or(InvalidId(
            "must be `organizations/{organization}/seatUsage`",
        ))
    }
}

impl fmt::Display for SeatUsageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "organizations/{}/seatUsage", self.0)
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

impl From<OrganizationId> for Place {
    fn from(organization: OrganizationId) -> Self {
        Self::Organization(organization)
    }
}

impl From<ClassName> for Place {
    fn from(name: ClassName) -> Self {
        Self::Class(name)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization(organization) => write!(formatter, "organizations/{organization}"),
            Self::Class(name) => write!(formatter, "{name}"),
        }
    }
}

impl FromStr for Place {
    type Err = InvalidId;

    fn from_str(name: &str) -> Result<Self, InvalidId> {
        Self::parse(name)
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "organizations/{}/classes/{}",
            self.organization, self.class
        )
    }
}

impl fmt::Display for OrganizationName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "organizations/{}", self.0)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "users/{}", self.0)
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/members/{}", self.place, self.user)
    }
}

fn segments(name: &str) -> Vec<&str> {
    name.split('/').collect()
}

/// Splits `{place}/{collection}/{id}`.
fn child<'name>(
    name: &'name str,
    collection: &str,
    message: &'static str,
) -> Result<(Place, &'name str), InvalidId> {
    let (parent, id) = name.rsplit_once('/').ok_or(InvalidId(message))?;
    let place = parent
        .strip_suffix(collection)
        .and_then(|parent| parent.strip_suffix('/'))
        .ok_or(InvalidId(message))?;
    Ok((Place::parse(place).map_err(|_| InvalidId(message))?, id))
}

pub(crate) fn server_made(id: &str) -> Result<Uuid, InvalidId> {
    const MESSAGE: InvalidId = InvalidId("its last part must be the id that the server made");
    let uuid = Uuid::parse_str(id).map_err(|_| MESSAGE)?;
    if uuid.to_string() == id {
        Ok(uuid)
    } else {
        Err(MESSAGE)
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
