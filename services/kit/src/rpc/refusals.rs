//! Errors that both services return in the same words.

use homeroom_api::{common::v1::ErrorReason, names::Place};

use crate::{
    auth::Caller,
    status::{Error, Result},
};

/// Returns `ORGANIZATION_NOT_FOUND` or `CLASS_NOT_FOUND`: absent and hidden places get the same
/// answer.
#[must_use]
pub fn place_not_found(place: &Place) -> Error {
    let (reason, kind, message) = match place {
        Place::Organization(_) => (
            ErrorReason::OrganizationNotFound,
            "homeroom/Organization",
            "There is no such organization that you may see; check its name.",
        ),
        Place::Class(_) => (
            ErrorReason::ClassNotFound,
            "homeroom/Class",
            "There is no such class that you may see; check its name.",
        ),
    };
    Error::new(reason, message).resource(kind, place.to_string())
}

/// Returns the etag of a resource's revision, which every change of it raises (AIP-154).
#[must_use]
pub fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// Fails with `ETAG_MISMATCH` if a caller's etag is not of the current revision; an empty etag is
/// not checked.
pub fn check_etag(given: &str, revision: i64) -> Result<()> {
    if given.is_empty() || given == etag(revision) {
        return Ok(());
    }
    Err(Error::new(
        ErrorReason::EtagMismatch,
        "The resource has changed. Read it again and repeat the change on its current state.",
    ))
}

/// Fails with `SCOPE_MISSING` for a token that is limited to organizations: data on a whole person
/// does not belong to a single organization.
pub fn require_unbound(caller: &Caller) -> Result<()> {
    if caller.organizations.is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorReason::ScopeMissing,
        "Use an access token that is not bound to organizations.",
    )
    .metadata("claim", "organizations"))
}

#[cfg(test)]
mod tests {
    use homeroom_api::ids::{OrganizationId, UserId};

    use super::*;

    #[test]
    fn an_etag_guards_by_the_current_revision_and_an_empty_one_guards_nothing() {
        assert!(check_etag("", 3).is_ok());
        assert!(check_etag("\"3\"", 3).is_ok());
        for other in ["\"2\"", "3", "\"03\"", "*", "W/\"3\""] {
            let refused = check_etag(other, 3).unwrap_err();
            assert_eq!(refused.reason(), ErrorReason::EtagMismatch, "{other}");
        }
    }

    #[test]
    fn r13_only_a_token_that_is_bound_to_no_organization_erases() {
        let caller = Caller::for_user(UserId::parse("platform").unwrap());
        assert!(require_unbound(&caller).is_ok());
        let bound = Caller {
            organizations: Some(vec![OrganizationId::parse("hamilton").unwrap()]),
            ..caller
        };
        let refused = require_unbound(&bound).unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::ScopeMissing);
    }
}
