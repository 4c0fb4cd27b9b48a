//! The errors for refused changes, in the words that callers read.

use homeroom_api::{
    common::v1::ErrorReason,
    names::{ClassName, MemberName, Place},
};
use homeroom_kit::Error;

use crate::domain::seat::Seats;

/// `NO_SEATS`: every licensed seat of the organization is taken (B14).
#[must_use]
pub fn no_seats(place: &Place, seats: &Seats) -> Error {
    let organization = Place::Organization(place.organization().clone()).to_string();
    Error::new(
        ErrorReason::NoSeats,
        "Remove a student from the organization or have its license raised: every seat is taken.",
    )
    .metadata("seat_limit", seats.limit.to_string())
    .metadata("seats_used", seats.used.to_string())
    .precondition("SEATS", organization, "every licensed seat is taken")
}

/// `CLASS_ARCHIVED`.
#[must_use]
pub fn class_archived(class: &ClassName) -> Error {
    Error::new(
        ErrorReason::ClassArchived,
        "Unarchive the class first: nobody joins an archived class.",
    )
    .precondition("STATE", class.to_string(), "the class is archived")
}

/// `LAST_OWNER`, with the classes that the person owns: a class has exactly one owner.
#[must_use]
pub fn last_owner(classes: &[ClassName]) -> Error {
    let error = Error::new(
        ErrorReason::LastOwner,
        "Transfer the ownership of the person's classes first: a class has exactly one owner.",
    );
    classes.iter().fold(error, |error, class| {
        error.precondition("OWNER", class.to_string(), "is owned by the person")
    })
}

/// `MEMBER_NOT_FOUND`.
#[must_use]
pub fn member_not_found(member: &MemberName) -> Error {
    Error::new(
        ErrorReason::MemberNotFound,
        "Check the member's name: there is no such member that you may see.",
    )
    .resource("homeroom/Member", member.to_string())
}

/// `MEMBER_NOT_FOUND` for the memberships of another user.
#[must_use]
pub fn memberships_not_found() -> Error {
    Error::new(
        ErrorReason::MemberNotFound,
        "List only your own memberships (users/me); read those of others in their organizations.",
    )
}

/// `MEMBER_EXISTS`.
#[must_use]
pub fn member_exists(member: &MemberName) -> Error {
    Error::new(
        ErrorReason::MemberExists,
        "The user is already a member; use the existing membership.",
    )
    .resource("homeroom/Member", member.to_string())
}

/// `TOO_MANY_REMOVALS`, with the places from which the import would remove too many, and how many of how many members.
#[must_use]
pub fn too_many_removals(percent_max: i64, removed: &[(&Place, usize, i64)]) -> Error {
    let error = Error::new(
        ErrorReason::TooManyRemovals,
        "Check that the rosters are complete, and only then raise removals_percent_max: the import would remove too many members.",
    )
    .metadata("removals_percent_max", percent_max.to_string());
    removed
        .iter()
        .fold(error, |error, (place, removed, members)| {
            let described = format!("would lose {removed} of {members} members");
            error.precondition("REMOVALS", place.to_string(), described)
        })
}

/// `STALE_PLAN`.
#[must_use]
pub fn stale_plan() -> Error {
    Error::new(
        ErrorReason::StalePlan,
        "Plan the import again: its rows, or what they would change, are not those of the plan.",
    )
}
