//! Checks that callers may do what they ask: membership knows who has a permission. Whatever reads an invitation needs
//! `READ_INVITATIONS`, and whatever changes one `MANAGE_INVITATIONS`, in its organization or class. Redeem and preview
//! need none: the invitation is the right.

use async_trait::async_trait;
use homeroom_api::{common::v1::ErrorReason, membership::v1::Permission, names::Place};
use homeroom_kit::{
    Error, Result,
    auth::{Caller, Scope},
    events::Authorize,
    rpc::place_not_found,
};

use super::App;
use crate::{membership::Access, store::OrganizationProfile};

/// Returns the error that names the missing role, for the caller to ask for.
fn role_required(place: &Place, permission: Permission) -> Error {
    let role = match (place, permission) {
        (Place::Class(_), Permission::ReadInvitations) => "CO_TEACHER",
        (Place::Class(_), _) => "OWNER",
        (Place::Organization(_), _) => "ADMIN",
    };
    Error::new(
        ErrorReason::RoleRequired,
        format!("Ask for the role {role} in {place}: yours does not allow this."),
    )
    .metadata("role", role)
    .resource("homeroom/Place", place.to_string())
}

impl App {
    /// Checks that the caller's acting user has the permission in `place`. Otherwise it fails: with
    /// `ORGANIZATION_NOT_FOUND` or `CLASS_NOT_FOUND` if the user may not see the place, with `ROLE_REQUIRED` if they
    /// may. Stores membership's data about the organization.
    pub async fn authorize(
        &self,
        caller: &Caller,
        place: &Place,
        permission: Permission,
    ) -> Result<Access> {
        if !caller.may_reach(place.organization()) {
            return Err(place_not_found(place));
        }
        let access = self
            .membership
            .check_access(&caller.user, place, permission, caller.deadline)
            .await?;
        if !access.visible {
            return Err(place_not_found(place));
        }
        self.keep_profile(place, &access).await?;
        if !access.allowed {
            return Err(role_required(place, permission));
        }
        Ok(access)
    }

    /// Checks that the caller may read a list of `place`, as [`App::authorize`] does. None stands for all
    /// organizations: that needs the scope `homeroom.platform` in a token that is not limited to organizations,
    /// otherwise it fails with `SCOPE_MISSING`.
    pub async fn authorize_list(
        &self,
        caller: &Caller,
        place: Option<&Place>,
        permission: Permission,
    ) -> Result<()> {
        if let Some(place) = place {
            return self.authorize(caller, place, permission).await.map(|_| ());
        }
        if caller.has(Scope::Platform) && caller.organizations.is_none() {
            return Ok(());
        }
        Err(Error::new(
            ErrorReason::ScopeMissing,
            "Name an organization, or use an access token with the scope homeroom.platform that is not bound to organizations.",
        )
        .metadata("scope", Scope::Platform.as_str()))
    }

    /// Stores membership's data about the organization if it has changed.
    async fn keep_profile(&self, place: &Place, access: &Access) -> Result<()> {
        let said = OrganizationProfile {
            organization: place.organization().clone(),
            code_prefix: access.code_prefix.clone(),
            display_name: access.organization_display_name.clone(),
            seat_limit: access.seat_limit,
        };
        let mut repository = self.store.read().await?;
        let known = repository.get_profile(place.organization()).await?;
        if known.as_ref() == Some(&said) {
            return Ok(());
        }
        drop(repository);
        let now = self.clock.now();
        let store = self.store.clone();
        self.writes
            .run(async move {
                let mut repository = store.write().await?;
                let organizations = std::slice::from_ref(&said.organization);
                repository.lock_organizations(organizations, now).await?;
                repository.save_profile(&said, now).await?;
                repository.commit("profile").await?;
                Ok(())
            })
            .await
    }
}

/// Authorizes the readers of the feed (R11).
#[async_trait]
impl Authorize for App {
    async fn authorize(&self, caller: &Caller, place: &Place) -> Result<()> {
        let read = Permission::ReadInvitations;
        Self::authorize(self, caller, place, read).await.map(|_| ())
    }
}
