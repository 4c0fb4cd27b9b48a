//! The answers that redemptions would get now (R4).

use chrono::{DateTime, Utc};
use homeroom_kit::Result;
use uuid::Uuid;

use super::{
    admit::{AdmitRequest, Admitted, answer, decide_one, load, new_request},
    plan::{Admission, Plan},
};
use crate::{
    app::App,
    domain::admission::{Decision, Outcome},
};

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
    let answer = answer(plan, request, decision);
    let waiting = match decision {
        Decision::Queue(cause) => Some(new_request(request, Uuid::nil(), cause, now)),
        Decision::Answer(Outcome::AlreadyPending) => plan.waiting(&request.person()).cloned(),
        _ => None,
    };
    Ok(Admission {
        join_request: answer.join_request.or(waiting),
        ..answer
    })
}
