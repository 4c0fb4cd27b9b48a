//! The caller of a method, as the authentication layer found it.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
};

use super::{Scope, Scopes, UserSpace};
use crate::status::{Error, Result};

/// The metadata that names the acting user.
pub const USER_METADATA: &str = "x-homeroom-user";

/// The caller of a method, the user for whom it acts, and its rights.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user id of the token's `sub`.
    pub subject: String,
    /// The users for whom the token's issuer may act.
    pub users: Arc<UserSpace>,
    /// The acting user: the one named in `x-homeroom-user`, else that of `sub`.
    pub user: UserId,
    /// True if the acting user is not the token's own user.
    pub acting_for_another: bool,
    /// The token's scopes, limited to those that its key may give.
    pub scopes: Scopes,
    /// The organizations that the token is bound to; None for no bound.
    pub organizations: Option<Vec<OrganizationId>>,
    /// The token's own user's email address. None when acting for another.
    pub email: Option<String>,
    /// True if the issuer verified that address.
    pub email_verified: bool,
    /// The token's own user's id in the issuer's records. None when acting for another.
    pub external_id: Option<String>,
    /// The token's own user's name. None when acting for another.
    pub display_name: Option<String>,
    /// The address that the call comes from: that of its connection, or what a trusted proxy says.
    pub client_address: Option<IpAddr>,
    /// The id of the request in the answer and the log.
    pub request_id: String,
    /// The gRPC path: `/package.Service/Method`.
    pub method: String,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// When the token is no longer accepted, with the allowed clock skew included; long calls end then. None for no
    /// end.
    pub token_end: Option<Instant>,
}

impl Caller {
    /// Returns a user who calls for themselves without any scope or claim; the other fields may be set afterwards.
    #[must_use]
    pub fn for_user(user: UserId) -> Self {
        Self {
            subject: user.to_string(),
            users: Arc::default(),
            user,
            acting_for_another: false,
            scopes: Scopes::NONE,
            organizations: None,
            email: None,
            email_verified: false,
            external_id: None,
            display_name: None,
            client_address: None,
            request_id: String::new(),
            method: String::new(),
            deadline: None,
            token_end: None,
        }
    }

    /// Returns the same caller with these scopes.
    #[must_use]
    pub fn with_scopes(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        self.scopes = scopes.into_iter().collect();
        self
    }

    /// Returns the caller of a request that the authentication layer accepted; `ACCESS_TOKEN_INVALID` otherwise.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self> {
        request
            .extensions()
            .get::<Self>()
            .cloned()
            .ok_or_else(unauthenticated)
    }

    /// Returns how much longer the caller waits; None without a deadline.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Returns true if the caller has the scope.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// Fails with `SCOPE_MISSING` unless the caller has the scope.
    pub fn require(&self, scope: Scope) -> Result<()> {
        self.require_any(&[scope])
    }

    /// Fails with `SCOPE_MISSING` unless the caller has one of the scopes.
    pub fn require_any(&self, scopes: &[Scope]) -> Result<()> {
        if scopes.iter().any(|scope| self.has(*scope)) {
            Ok(())
        } else {
            Err(scope_missing(scopes))
        }
    }

    /// Returns true if the token's `organizations` claim, if any, covers the organization.
    #[must_use]
    pub fn may_reach(&self, organization: &OrganizationId) -> bool {
        self.organizations
            .as_ref()
            .is_none_or(|bound| bound.contains(organization))
    }
}

pub(crate) fn scope_missing(scopes: &[Scope]) -> Error {
    let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    Error::new(
        ErrorReason::ScopeMissing,
        format!("Use an access token with the scope {}.", names.join(" or ")),
    )
    .metadata("scope", names.join(" "))
}

pub(crate) fn malformed_user(why: impl Into<String>) -> Error {
    Error::new(
        ErrorReason::InvalidRequest,
        "Correct the metadata x-homeroom-user.",
    )
    .violation(USER_METADATA, why)
}

pub(crate) fn expired() -> Error {
    Error::new(
        ErrorReason::AccessTokenExpired,
        "Get a new access token: this one has expired.",
    )
}

pub(crate) fn unauthenticated() -> Error {
    Error::new(
        ErrorReason::AccessTokenInvalid,
        "Send an access token that this service accepts, as `authorization: Bearer <token>`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller::for_user(UserId::parse("ada").unwrap())
    }

    #[test]
    fn a_missing_scope_is_named() {
        let error = caller().require(Scope::Admit).unwrap_err();
        assert_eq!(error.reason(), ErrorReason::ScopeMissing);
        let status = tonic::Status::from(error);
        let info = tonic_types::StatusExt::get_details_error_info(&status).unwrap();
        assert_eq!(info.metadata["scope"], "homeroom.admit");
        assert!(
            caller()
                .with_scopes([Scope::Admit])
                .require(Scope::Admit)
                .is_ok()
        );
    }

    #[test]
    fn organizations_bound_the_token_and_an_empty_list_reaches_none() {
        let organization = OrganizationId::parse("hamilton").unwrap();
        let mut caller = caller();
        assert!(caller.may_reach(&organization));
        caller.organizations = Some(vec![]);
        assert!(!caller.may_reach(&organization));
        caller.organizations = Some(vec![organization.clone()]);
        assert!(caller.may_reach(&organization));
    }

    #[test]
    fn a_request_that_no_layer_saw_has_no_caller() {
        let error = Caller::of(&tonic::Request::new(())).unwrap_err();
        assert_eq!(error.reason(), ErrorReason::AccessTokenInvalid);
    }
}
