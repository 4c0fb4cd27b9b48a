//! T2 of the redemption protocol: one transaction for all redemptions in hand, for those of one organization where it
//! is busy, or for a single redemption where others make its transaction fail. It locks, reads every fact, decides, and
//! saves.

use std::{collections::BTreeSet, iter};

use chrono::{DateTime, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
    names::{Place, RedemptionName},
};
use homeroom_kit::{
    Error, Randomness, Result, database,
    failpoints::{self, Moment, WrongVariant, is_wrong},
    random::new_id_at,
};

use super::plan::{Admission, Plan};
use uuid::Uuid;

use crate::{
    app::App,
    domain::{
        admission::{Attempt, Decision, Outcome, decide},
        join_request::{Cause, JoinRequest, State},
        member::{Method, Particulars, Provenance},
    },
    store::{Locked, Locks, PersonAt, Repository, StoredAdmission, Wanted, end},
};

/// Maximum number of tries for a transaction that conflicts with another one (a deadlock, or a key that was just
/// inserted).
const ATTEMPTS_MAX: u32 = 3;

/// One redemption to admit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmitRequest {
    /// The key (P1).
    pub redemption: RedemptionName,
    /// Resource name of the invitation: the fence's key.
    pub invitation: String,
    /// The place to join.
    pub place: Place,
    /// The person to admit.
    pub user: UserId,
    /// The particulars that the platform supplied.
    pub particulars: Particulars,
    /// When the particulars were stated by the person's own token or by a platform that vouches for them; None where
    /// nobody vouches for them.
    pub vouch_time: Option<DateTime<Utc>>,
    /// The decision of the invitations service (T1).
    pub attempt: Attempt,
    /// The way in (R6).
    pub method: Method,
}

impl AdmitRequest {
    pub(super) fn person(&self) -> PersonAt {
        (self.place.clone(), self.user.clone())
    }

    /// Returns the keys of everything that its decision depends on.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted {
            person: self.person(),
            redemption: Some((self.redemption.id, self.invitation.clone())),
        }
    }
}

/// The answer to each redemption, in the order of the requests.
pub type Admitted = Vec<Result<Admission>>;

impl App {
    /// Admits the redemptions of all organizations that no other transaction has locked, in one transaction that never
    /// waits, so that a busy organization delays no other. Returns the requests in their order, with None where the
    /// organization is busy or the transaction failed: these are to be retried by a transaction that waits.
    pub(super) async fn admit_where_free(
        &self,
        requests: Vec<AdmitRequest>,
    ) -> Vec<(AdmitRequest, Option<Result<Admission>>)> {
        let app = self.clone();
        self.writes
            .run(async move {
                let admitted = app.in_transaction(&requests, Locks::Free).await;
                let answers = admitted.unwrap_or_else(|error| {
                    tracing::info!(cause = %error, "these redemptions are tried again, in transactions that wait for the locks");
                    Vec::new()
                });
                let answers = answers.into_iter().chain(iter::repeat_with(|| None));
                requests.into_iter().zip(answers).collect()
            })
            .await
    }

    /// Admits or queues the person of each redemption of one organization, and stores the answers (P1). The transaction
    /// completes even if the caller has gone (P12). Returns the answers in the order of the requests.
    ///
    /// A row fails alone with `INVALID_REQUEST` if its redemption belongs to another person or place, and alone if the
    /// database refuses it.
    pub(super) async fn admit_in_organization(&self, requests: Vec<AdmitRequest>) -> Admitted {
        let app = self.clone();
        self.writes
            .run(async move {
                let error = match app.admit_with_retries(&requests).await {
                    Ok(answers) => return answers,
                    Err(error) => error,
                };
                let one_spoils_all = !matches!(error, database::Error::Unavailable(_));
                if !one_spoils_all || requests.len() == 1 {
                    let error = Error::from(error);
                    return requests.iter().map(|_| Err(error.clone())).collect();
                }
                tracing::error!(cause = %error, "redemptions of one organization are tried one by one");
                let mut answers = Vec::with_capacity(requests.len());
                for request in &requests {
                    let alone = app.admit_with_retries(std::slice::from_ref(request)).await;
                    let mut alone = alone.unwrap_or_else(|error| vec![Err(error.into())]);
                    let unanswered = || Err(Error::internal("a redemption has no answer"));
                    answers.push(alone.pop().unwrap_or_else(unanswered));
                }
                answers
            })
            .await
    }

    async fn admit_with_retries(
        &self,
        requests: &[AdmitRequest],
    ) -> std::result::Result<Admitted, database::Error> {
        let mut attempt = 1;
        loop {
            match self.in_transaction(requests, Locks::All).await {
                Ok(answers) => return Ok(answers.into_iter().flatten().collect()),
                Err(database::Error::Conflict(_)) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns an answer for each request; None where the organization's locks were not free.
    async fn in_transaction(
        &self,
        requests: &[AdmitRequest],
        locks: Locks,
    ) -> std::result::Result<Vec<Option<Result<Admission>>>, database::Error> {
        let seen = self.look_before_locking(requests).await?;
        let mut repository = self.store.write().await?;
        let admitted = admit_and_save(self, &mut repository, requests, locks, seen).await;
        end(repository, "admit", admitted).await
    }

    /// Wrong on purpose, against P6: reads the facts to decide by before the locks are taken. Without that variant,
    /// returns None.
    async fn look_before_locking(
        &self,
        requests: &[AdmitRequest],
    ) -> std::result::Result<Option<Plan>, database::Error> {
        if !is_wrong(WrongVariant::CheckThenAct) {
            return Ok(None);
        }
        let mut repository = self.store.read().await?;
        let wanted = requests.iter().map(AdmitRequest::wanted).collect();
        let seen = load(&mut repository, wanted, self.clock.now()).await?;
        failpoints::reached("membership", "admit", Moment::Looked).await?;
        Ok(Some(seen))
    }
}

pub(super) fn organizations(requests: &[AdmitRequest]) -> BTreeSet<OrganizationId> {
    let of = |request: &AdmitRequest| request.place.organization().clone();
    requests.iter().map(of).collect()
}

async fn admit_and_save(
    app: &App,
    repository: &mut Repository,
    requests: &[AdmitRequest],
    locks: Locks,
    seen: Option<Plan>,
) -> std::result::Result<Vec<Option<Result<Admission>>>, database::Error> {
    let fences = requests.iter().map(|request| request.invitation.clone());
    let begun = app.clock.now();
    let locked = repository
        .lock(&fences.collect(), &organizations(requests), locks, begun)
        .await?;
    // Under the locks: an admission that waited is not dated before the change that went first.
    let (now, random) = (app.clock.now(), app.random.as_ref());
    let left: BTreeSet<OrganizationId> = match locks {
        Locks::All => BTreeSet::new(),
        Locks::Free => organizations_left(requests, &locked),
    };
    let taken = |request: &&AdmitRequest| !left.contains(request.place.organization());
    let wanted: Vec<Wanted> = requests
        .iter()
        .filter(taken)
        .map(AdmitRequest::wanted)
        .collect();
    if wanted.is_empty() {
        return Ok(requests.iter().map(|_| None).collect());
    }
    // P6: everything is read in a later statement than the one that locks.
    let mut plan = match seen {
        Some(seen) => seen,
        None => load(repository, wanted, now).await?,
    };
    // An organization created after the locks were taken is not locked.
    plan.keep_organizations(&locked.organizations);
    let decided: Vec<Option<Result<Decision>>> = requests
        .iter()
        .map(|request| {
            taken(&request).then(|| {
                let decision = admit_one(&mut plan, request, now, random)?;
                tell(&mut plan, request, decision);
                Ok(decision)
            })
        })
        .collect();
    let answers = requests.iter().zip(decided).map(|(request, decided)| {
        decided.map(|decision| decision.map(|decision| answer(&plan, request, decision)))
    });
    let answers = answers.collect();
    let staff = repository.staff(&plan.places_with_new_requests()).await?;
    let (effects, events) = plan.finish(&staff);
    repository.outbox().append(&events, now, random).await?;
    repository.save(&effects).await?;
    Ok(answers)
}

/// Returns the organizations that another transaction has locked, or of which a fence is not free.
fn organizations_left(requests: &[AdmitRequest], locked: &Locked) -> BTreeSet<OrganizationId> {
    let left = requests.iter().filter(|request| {
        !locked.organizations.contains(request.place.organization())
            || !locked.fences.contains(&request.invitation)
    });
    left.map(|request| request.place.organization().clone())
        .collect()
}

pub(super) async fn load(
    repository: &mut Repository,
    wanted: Vec<Wanted>,
    now: DateTime<Utc>,
) -> std::result::Result<Plan, database::Error> {
    Ok(Plan::new(repository.facts(&wanted).await?, now))
}

pub(super) fn decide_one(
    plan: &Plan,
    request: &AdmitRequest,
    now: DateTime<Utc>,
) -> Result<Decision> {
    let stored = plan.admission(request.redemption.id);
    if stored.is_some_and(|stored| stored.place != request.place || stored.user != request.user) {
        return Err(another_redemption());
    }
    let facts = plan.facts(
        &request.person(),
        &request.invitation,
        request.redemption.id,
    );
    Ok(decide(&facts, &request.attempt, now))
}

/// Returns the error for a redemption whose key belongs to another person or place.
fn another_redemption() -> Error {
    let wrong = "was used for another person or place";
    Error::new(
        ErrorReason::InvalidRequest,
        "Correct the field redemption: it was used for another person or place.",
    )
    .violation("redemption", wrong)
}

fn admit_one(
    plan: &mut Plan,
    request: &AdmitRequest,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> Result<Decision> {
    let decision = decide_one(plan, request, now)?;
    let outcome = decision.outcome();
    let join_request = match decision {
        Decision::Stored(_) => return Ok(decision),
        Decision::Admit => {
            let provenance = Provenance {
                invitation: request.invitation.clone(),
                redemption: request.redemption.to_string(),
                approved_by: String::new(),
                method: request.method,
            };
            plan.admit(
                &request.person(),
                (&request.particulars, request.vouch_time.unwrap_or(now)),
                &provenance,
                request.user.as_str(),
            )
            .map_err(Error::internal)?;
            None
        }
        Decision::Queue(cause) => {
            let id = new_id_at(now, random);
            plan.file(new_request(request, id, cause, now));
            Some(id)
        }
        Decision::Answer(Outcome::AlreadyPending) => {
            plan.waiting(&request.person()).map(|waiting| waiting.id)
        }
        Decision::Answer(_) => None,
    };
    plan.answer(StoredAdmission {
        redemption: request.redemption.id,
        place: request.place.clone(),
        user: request.user.clone(),
        invitation: request.invitation.clone(),
        epoch: request.attempt.epoch,
        outcome,
        join_request,
        create_time: now,
    });
    Ok(decision)
}

/// Plans to show staff the person's new particulars, unless the person is refused.
fn tell(plan: &mut Plan, request: &AdmitRequest, decision: Decision) {
    let shut_out = matches!(
        decision.outcome(),
        Outcome::Refused(_) | Outcome::StaleEpoch
    );
    if let Some(time) = request.vouch_time.filter(|_| !shut_out) {
        plan.tell(&request.person(), &request.particulars, time);
    }
}

/// Returns the request that a redemption files.
pub(super) fn new_request(
    request: &AdmitRequest,
    id: Uuid,
    cause: Cause,
    now: DateTime<Utc>,
) -> JoinRequest {
    JoinRequest {
        place: request.place.clone(),
        id,
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

pub(super) fn answer(plan: &Plan, request: &AdmitRequest, decision: Decision) -> Admission {
    let stored = plan.admission(request.redemption.id);
    Admission {
        answered_before: matches!(decision, Decision::Stored(_)),
        ..plan.admission_of(
            request.redemption.to_string(),
            &request.person(),
            decision.outcome(),
            stored.and_then(|stored| stored.join_request),
        )
    }
}
