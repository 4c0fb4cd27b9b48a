//! T2 of the redemption protocol: one transaction for however many redemptions there are in hand.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    ids::UserId,
    names::{JoinRequestName, Place, RedemptionName},
};
use homeroom_kit::{Error, Randomness, Result, database, random::new_id_at};

use super::{
    App,
    enrolment::{Admission, Enrolment},
};
use crate::{
    domain::{
        admission::{Attempt, Decision, Outcome, decide},
        join_request::{Cause, JoinRequest, State},
        member::{Method, Particulars, Provenance},
    },
    store::{PersonAt, Repository, StoredAdmission},
};

/// Times that a transaction is tried which met another one (a deadlock, a key that was just taken).
const ATTEMPTS_MAX: u32 = 3;

/// One redemption to admit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmitRequest {
    /// The key (03 P1).
    pub redemption: RedemptionName,
    /// Resource name of the invitation: the fence's key.
    pub invitation: String,
    /// Where to.
    pub place: Place,
    /// Whom.
    pub user: UserId,
    /// As the platform gave them.
    pub particulars: Particulars,
    /// What invitations decided.
    pub attempt: Attempt,
    /// The way in (R6).
    pub method: Method,
}

impl AdmitRequest {
    fn person(&self) -> PersonAt {
        (self.place.clone(), self.user.clone())
    }
}

/// What each redemption is answered, in their order.
pub type Admitted = Vec<Result<Admission>>;

impl App {
    /// Admits or queues the person of each redemption, and stores what it answers (03 P1). The
    /// transaction ends though the caller has gone (03 P12).
    ///
    /// A row fails by itself with `INVALID_REQUEST` where its redemption was another person's or place's.
    pub async fn admit(&self, requests: Vec<AdmitRequest>) -> Result<Admitted> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let app = self.clone();
        self.writes
            .run(async move {
                let mut attempt = 1;
                loop {
                    match app.admit_in_transaction(&requests).await {
                        Err(database::Error::Conflict(_)) if attempt < ATTEMPTS_MAX => attempt += 1,
                        done => return Ok(done?),
                    }
                }
            })
            .await
    }

    async fn admit_in_transaction(
        &self,
        requests: &[AdmitRequest],
    ) -> std::result::Result<Admitted, database::Error> {
        let mut repository = self.store.write().await?;
        let now = self.clock.now();
        match admit_and_save(repository.as_mut(), requests, now, self.random.as_ref()).await {
            Ok(admitted) => {
                repository.commit().await?;
                self.store.committed().notify();
                Ok(admitted)
            }
            Err(error) => {
                // The connection is given back clean; if that fails the pool drops it.
                let _ = repository.rollback().await;
                Err(error)
            }
        }
    }

    /// What each redemption would be answered now, each for itself: no locks, nothing written (R4).
    pub async fn preview(&self, requests: &[AdmitRequest]) -> Result<Admitted> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let mut repository = self.store.read().await?;
        let now = self.clock.now();
        let fences = repository.fences(&invitations(requests)).await?;
        let mut previews = Vec::with_capacity(requests.len());
        for request in requests {
            let alone = std::slice::from_ref(request);
            let enrolment = load(repository.as_mut(), alone, now).await?;
            previews.push(preview_one(&enrolment, request, &fences, now));
        }
        Ok(previews)
    }
}

async fn admit_and_save(
    repository: &mut dyn Repository,
    requests: &[AdmitRequest],
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> std::result::Result<Admitted, database::Error> {
    // P6: fences shared, then the organizations, each in sorted order; decided in later statements.
    let fences = repository.share_fences(&invitations(requests), now).await?;
    let organizations = requests
        .iter()
        .map(|request| request.place.organization().clone());
    repository
        .lock_organizations(&organizations.collect())
        .await?;
    let mut enrolment = load(repository, requests, now).await?;
    let decided: Vec<Result<Outcome>> = requests
        .iter()
        .map(|request| admit_one(&mut enrolment, request, &fences, now, random))
        .collect();
    let answers = requests
        .iter()
        .zip(decided)
        .map(|(request, outcome)| outcome.map(|outcome| answer(&enrolment, request, outcome)))
        .collect();
    let mut staff = BTreeMap::new();
    for place in enrolment.places_with_new_requests() {
        let told = repository.staff(&place).await?;
        staff.insert(place, told);
    }
    let (effects, events) = enrolment.finish(&staff);
    repository.append_events(&events, now, random).await?;
    repository.save(&effects).await?;
    Ok(answers)
}

fn invitations(requests: &[AdmitRequest]) -> BTreeSet<String> {
    requests
        .iter()
        .map(|request| request.invitation.clone())
        .collect()
}

async fn load(
    repository: &mut dyn Repository,
    requests: &[AdmitRequest],
    now: DateTime<Utc>,
) -> std::result::Result<Enrolment, database::Error> {
    let redemptions: Vec<_> = requests
        .iter()
        .map(|request| request.redemption.id)
        .collect();
    let admissions = repository.admissions(&redemptions).await?;
    let names = request_names(&admissions);
    let join_requests = if names.is_empty() {
        Vec::new()
    } else {
        repository.join_requests(&names).await?
    };
    let persons = requests.iter().map(AdmitRequest::person).collect();
    let known = repository.known(&persons).await?;
    Ok(Enrolment::new(known, now).with_admissions(admissions, join_requests))
}

/// The names of the join requests that these redemptions led to.
pub(crate) fn request_names(admissions: &[StoredAdmission]) -> Vec<JoinRequestName> {
    let named = admissions.iter().filter_map(|stored| {
        stored.join_request.map(|id| JoinRequestName {
            place: stored.place.clone(),
            id,
        })
    });
    named.collect()
}

fn decide_one(
    enrolment: &Enrolment,
    request: &AdmitRequest,
    fences: &BTreeMap<String, i64>,
    now: DateTime<Utc>,
) -> Result<Decision> {
    let stored = enrolment.admission(request.redemption.id);
    if stored.is_some_and(|stored| stored.place != request.place || stored.user != request.user) {
        return Err(another_redemption());
    }
    let fence = fences.get(&request.invitation).copied().unwrap_or(0);
    let facts = enrolment.facts(&request.person(), fence, request.redemption.id);
    Ok(decide(&facts, &request.attempt, now))
}

/// The key stands for one person and one place.
fn another_redemption() -> Error {
    let wrong = "was used for another person or place";
    Error::new(
        ErrorReason::InvalidRequest,
        "Correct the field redemption: it was used for another person or place.",
    )
    .violation("redemption", wrong)
}

fn admit_one(
    enrolment: &mut Enrolment,
    request: &AdmitRequest,
    fences: &BTreeMap<String, i64>,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> Result<Outcome> {
    let decision = decide_one(enrolment, request, fences, now)?;
    let outcome = decision.outcome();
    let join_request = match decision {
        Decision::Stored(_) => return Ok(outcome),
        Decision::Admit => {
            let provenance = Provenance {
                invitation: request.invitation.clone(),
                redemption: request.redemption.to_string(),
                approved_by: String::new(),
                method: request.method,
            };
            enrolment
                .admit(
                    &request.person(),
                    &request.particulars,
                    &provenance,
                    request.user.as_str(),
                )
                .map_err(Error::internal)?;
            None
        }
        Decision::Queue(cause) => {
            let filed = new_request(request, cause, now, random);
            let id = filed.id;
            enrolment.file(filed);
            Some(id)
        }
        Decision::Answer(Outcome::AlreadyPending) => enrolment
            .waiting(&request.person())
            .map(|waiting| waiting.id),
        Decision::Answer(_) => None,
    };
    enrolment.answer(StoredAdmission {
        redemption: request.redemption.id,
        place: request.place.clone(),
        user: request.user.clone(),
        invitation: request.invitation.clone(),
        epoch: request.attempt.epoch,
        outcome,
        join_request,
        create_time: now,
    });
    Ok(outcome)
}

fn new_request(
    request: &AdmitRequest,
    cause: Cause,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> JoinRequest {
    JoinRequest {
        place: request.place.clone(),
        id: new_id_at(now, random),
        user: request.user.clone(),
        particulars: request.particulars.clone(),
        state: State::Pending,
        cause,
        invitation: request.invitation.clone(),
        redemption: request.redemption.to_string(),
        method: request.method,
        decide_note: String::new(),
        decided_by: String::new(),
        create_time: now,
        decide_time: None,
        expire_time: JoinRequest::expiry(now),
    }
}

fn answer(enrolment: &Enrolment, request: &AdmitRequest, outcome: Outcome) -> Admission {
    let stored = enrolment.admission(request.redemption.id);
    enrolment.admission_of(
        request.redemption.to_string(),
        &request.person(),
        outcome,
        stored.and_then(|stored| stored.join_request),
    )
}

fn preview_one(
    enrolment: &Enrolment,
    request: &AdmitRequest,
    fences: &BTreeMap<String, i64>,
    now: DateTime<Utc>,
) -> Result<Admission> {
    let outcome = decide_one(enrolment, request, fences, now)?.outcome();
    let mut preview = answer(enrolment, request, outcome);
    if outcome == Outcome::AlreadyPending && preview.join_request.is_none() {
        preview.join_request = enrolment.waiting(&request.person()).cloned();
    }
    Ok(preview)
}
