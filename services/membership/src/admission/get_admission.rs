//! `GetAdmission`: the stored answer to a redemption, and what has become of it since (P10).

use homeroom_api::{common::v1::ErrorReason, names::RedemptionName};
use homeroom_kit::{Error, Result, auth::Caller};

use super::plan::{Admission, Plan};
use crate::{app::App, store::Wanted};

impl App {
    /// Returns the stored answer with its member or request as it is now. Fails with `REDEMPTION_NOT_FOUND` if
    /// membership has no such redemption.
    pub async fn get_admission(&self, caller: &Caller, name: &RedemptionName) -> Result<Admission> {
        let mut repository = self.store.read().await?;
        let admissions = repository.admissions(&[name.id]).await?;
        let stored = admissions
            .first()
            .filter(|stored| stored.place.organization() == name.place.organization())
            .filter(|stored| caller.may_reach(stored.place.organization()))
            .cloned()
            .ok_or_else(|| not_found(name))?;
        let person = (stored.place.clone(), stored.user.clone());
        let wanted = Wanted {
            person: person.clone(),
            redemption: Some((stored.redemption, stored.invitation)),
        };
        let known = repository.facts(&[wanted]).await?;
        let plan = Plan::new(known, self.clock.now());
        Ok(Admission {
            answered_before: true,
            ..plan.admission_of(
                name.to_string(),
                &person,
                stored.outcome,
                stored.join_request,
            )
        })
    }
}

fn not_found(name: &RedemptionName) -> Error {
    Error::new(
        ErrorReason::RedemptionNotFound,
        "Admit the redemption first: nothing has been answered to it.",
    )
    .resource("homeroom/Redemption", name.to_string())
}
