//! Lets callers through who may do what they ask (02, Callers): membership knows the roles,
//! [`super::rules`] what each method needs.

use chrono::{DateTime, Utc};
use homeroom_api::{common::v1::ErrorReason, membership::v1::Permission, names::Place};
use homeroom_kit::{
    Error, Result,
    auth::{Caller, Scope},
    rpc::place_not_found,
};

use super::{App, rules::Rule};
use crate::{
    membership::Access,
    store::{OrganizationProfile, Repository},
};

/// The role that is missing, for the caller to ask for.
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
    /// Lets the caller through if its acting user may do in `place` what `rule` asks:
    /// else `ORGANIZATION_NOT_FOUND` or `CLASS_NOT_FOUND` where the place is not
    /// to be seen, `ROLE_REQUIRED` where it is. Keeps what membership says of the organization.
    pub async fn authorize(&self, caller: &Caller, place: &Place, rule: Rule) -> Result<Access> {
        if !caller.may_reach(place.organization()) {
            return Err(place_not_found(place));
        }
        let access = self
            .membership
            .check_access(&caller.user, place, rule.permission, caller.deadline)
            .await?;
        if !access.visible {
            return Err(place_not_found(place));
        }
        self.keep_profile(place, &access).await?;
        if !access.allowed {
            return Err(role_required(place, rule.permission));
        }
        Ok(access)
    }

    /// Lets the caller read a list of `place` as [`App::authorize`] does, or with None one of every
    /// organization: that takes the scope `homeroom.platform` in a token that is not bound to
    /// organizations, else `SCOPE_MISSING`.
    pub async fn authorize_list(
        &self,
        caller: &Caller,
        place: Option<&Place>,
        rule: Rule,
    ) -> Result<()> {
        if let Some(place) = place {
            return self.authorize(caller, place, rule).await.map(|_| ());
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

    /// Writes what membership says of the organization, if that is news.
    async fn keep_profile(&self, place: &Place, access: &Access) -> Result<()> {
        let said = profile(place, access);
        let known = self
            .store
            .read()
            .await?
            .get_profile(place.organization())
            .await?;
        if known.as_ref() == Some(&said) {
            return Ok(());
        }
        let now = self.clock.now();
        let store = self.store.clone();
        self.writes
            .run(async move {
                let mut repository = store.write().await?;
                save(repository.as_mut(), &said, now).await?;
                repository.commit("profile").await?;
                Ok(())
            })
            .await
    }
}

async fn save(
    repository: &mut dyn Repository,
    profile: &OrganizationProfile,
    now: DateTime<Utc>,
) -> Result<()> {
    repository
        .lock_organizations(std::slice::from_ref(&profile.organization), now)
        .await?;
    repository.save_profile(profile, now).await?;
    Ok(())
}

fn profile(place: &Place, access: &Access) -> OrganizationProfile {
    OrganizationProfile {
        organization: place.organization().clone(),
        code_prefix: access.code_prefix.clone(),
        display_name: access.organization_display_name.clone(),
        seat_limit: access.seat_limit,
    }
}
