//! The answers that redemptions would get now (R4).

use chrono::{DateTime, Utc};
use homeroom_kit::Result;

use super::{
    admit::{AdmitRequest, Admitted, answer, decide_one, load},
    plan::{Admission, Plan},
};
use crate::{app::App, domain::admission::Outcome};

impl App {
    /// Returns the answer that each redemption would get now, independently of the others. Takes no locks and writes
    /// nothing (R4).
    pub async fn preview(&self, requests: &[AdmitRequest]) -> Result<Admitted> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let mut repository = self.store.read().await?;
        let now = self.clock.now();
        let wanted = requests.iter().map(AdmitRequest::wanted).collect();
        let plan = load(&mut repository, wanted, now).await?;
        let previews = requests
            .iter()
            .map(|request| preview_one(&plan, request, now));
        Ok(previews.collect())
    }
}

fn preview_one(plan: &Plan, request: &AdmitRequest, now: DateTime<Utc>) -> Result<Admission> {
    let decision = decide_one(plan, request, now)?;
    let mut preview = answer(plan, request, decision);
    if preview.outcome == Outcome::AlreadyPending && preview.join_request.is_none() {
        preview.join_request = plan.waiting(&request.person()).cloned();
    }
    Ok(preview)
}
