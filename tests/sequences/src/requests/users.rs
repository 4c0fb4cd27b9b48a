//! `UserService` of both services. Membership's is called by the invitations service, so sequences
//! only preview with it.

use homeroom_api::{
    invitations::v1::{ClearFailedAttemptsRequest, EraseUserRequest},
    membership::v1::EraseUserRequest as EraseInMembershipRequest,
};

use super::{
    Method,
    composer::{Caller, Composer, Request},
};

pub(super) const METHODS: &[Method] = &[
    Method::new("homeroom.invitations.v1.UserService", "EraseUser", 4, erase),
    Method::new(
        "homeroom.invitations.v1.UserService",
        "ClearFailedAttempts",
        1,
        clear,
    ),
    Method::new("homeroom.membership.v1.UserService", "EraseUser", 1, look),
];

fn erase(composer: &mut Composer<'_>) -> Request {
    // Mostly students are erased: an owner of classes cannot be, and without staff little happens.
    let user = if composer.dice.chance(85) {
        composer.student()
    } else {
        composer.anyone()
    };
    let message = EraseUserRequest {
        name: format!("users/{user}"),
        request_id: composer.request_id(),
    };
    Request {
        erases: Some(user),
        ..Request::new(Caller::Platform, &message)
    }
}

fn clear(composer: &mut Composer<'_>) -> Request {
    let message = ClearFailedAttemptsRequest {
        name: format!("users/{}", composer.anyone()),
    };
    Request::new(Caller::Platform, &message)
}

fn look(composer: &mut Composer<'_>) -> Request {
    let message = EraseInMembershipRequest {
        name: format!("users/{}", composer.anyone()),
        validate_only: true,
        ..EraseInMembershipRequest::default()
    };
    Request::new(Caller::Platform, &message)
}
