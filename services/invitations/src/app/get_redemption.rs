//! `GetRedemption`: the state of a redemption, checked with membership while it can still change (P10).

use std::sync::Arc;

use homeroom_api::{
    common::v1::ErrorReason, ids::SYSTEM_ACTOR, membership::v1::Permission, names::RedemptionName,
};
use homeroom_kit::{Error, Result, auth::Caller};

use super::App;
use crate::redemption::{
    ledger::{Redemption, Settlement},
    reply::not_known_yet,
};

impl App {
    /// Reads a redemption, for the person and for staff. Fails with `REDEMPTION_NOT_FOUND` for anyone else. Membership
    /// is asked first about one that is RESERVED or QUEUED; if it does not answer, the call fails with
    /// `MEMBERSHIP_UNAVAILABLE`.
    pub async fn get_redemption(
        self: &Arc<Self>,
        caller: &Caller,
        name: RedemptionName,
    ) -> Result<Redemption> {
        let name = &name;
        let redemption = self
            .read_redemption(name)
            .await?
            .filter(|_| caller.may_reach(name.place.organization()))
            .ok_or_else(|| not_found(name))?;
        if redemption.person.user != caller.user {
            self.authorize(caller, &redemption.place, Permission::ReadInvitations)
                .await
                .map_err(|error| match error.reason() {
                    ErrorReason::OrganizationNotFound
                    | ErrorReason::ClassNotFound
                    | ErrorReason::RoleRequired => not_found(name),
                    _ => error,
                })?;
        }
        if redemption.state.is_final() {
            return Ok(redemption);
        }
        let admission = self
            .membership
            .get_admission(name, caller.deadline)
            .await
            .map_err(|_| not_known_yet())?;
        let Some(admission) = admission else {
            return Ok(redemption);
        };
        let redemptions = Arc::clone(&self.redemptions);
        let settlement = Settlement::of(&redemption, &admission, SYSTEM_ACTOR);
        let failed = self
            .writes
            .run(async move { redemptions.settle_now(&[settlement]).await })
            .await;
        if let Some(error) = failed.into_values().next() {
            return Err(error);
        }
        Ok(self.read_redemption(name).await?.unwrap_or(redemption))
    }

    async fn read_redemption(&self, name: &RedemptionName) -> Result<Option<Redemption>> {
        let found = self.redemptions.ledger.get(name.id).await?;
        Ok(found.filter(|redemption| redemption.name() == *name))
    }
}

fn not_found(name: &RedemptionName) -> Error {
    Error::new(
        ErrorReason::RedemptionNotFound,
        "There is no such redemption that you may see; check its name.",
    )
    .resource("homeroom/Redemption", name.to_string())
}
