//! Redeem: the saga of a redemption, written for many at once.
//!
//! request id → limiter → look-up → decision → T1 reserve → T2 admit → answer → T3 settle.

use std::{collections::HashMap, sync::Arc};

use futures::{FutureExt as _, StreamExt as _};
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Result, request_ids::request_id_conflict};
use uuid::Uuid;

use super::{
    Redemptions,
    attempt::{InFlight, Stage},
    attempt_log::Refusal,
    charge::decision_of,
    each::together_or_each,
    ledger::{
        AttachRequest, MatchedInvitation, Redemption, RedemptionRequest, ReserveRequest, Reserved,
        Resolved, Route, Settlement, reservation,
    },
    look_up::{NamedOrganizations, Profiles},
    reply::{Redeemed, not_known_yet, refusal},
    request::Attempt,
};
use crate::domain::{
    decide::{Decision, decide},
    redemption::{Outcome, RedemptionState},
    refused_attempt::LimiterDecision,
};

/// The maximum number of times that an attempt is decided when its invitation changes meanwhile (P7).
pub(super) const ROUNDS_MAX: usize = 3;
/// The number of settled redemptions that are read again from membership at once.
const READS_AT_ONCE: usize = 16;

impl Redemptions {
    pub(super) async fn redeem_to_the_end(
        self: &Arc<Self>,
        attempts: Vec<Attempt>,
    ) -> Vec<Result<Redeemed>> {
        let named = NamedOrganizations::of(&attempts);
        let now = self.ledger.clock.now();
        let in_flight = attempts.into_iter();
        let mut all: Vec<InFlight> = in_flight.map(|one| InFlight::of(one, now)).collect();
        let ((), profiles) = tokio::join!(self.resolve_requests(&mut all), self.profiles_of(named));
        match profiles {
            Ok(profiles) => {
                self.charge_fresh(&mut all, &profiles).await;
                for _ in 0..ROUNDS_MAX {
                    self.reserve_fresh(&mut all, &profiles).await;
                    self.ask_who_is_known(&mut all).await;
                    self.answer_settled(&mut all).await;
                    self.ask_membership(&mut all).await;
                    if all.iter().all(InFlight::is_answered) {
                        break;
                    }
                }
                self.log_refused(&all, &profiles);
            }
            Err(error) => {
                for one in all.iter_mut().filter(|one| one.is_fresh()) {
                    one.answer(Err(error.clone()));
                }
            }
        }
        self.give_charges_back(&mut all);
        all.into_iter().map(InFlight::into_answer).collect()
    }

    /// P9: resolves request ids before limiter, look-up and decision. An attempt whose request id names a redemption of
    /// a stale epoch has no answer yet and goes on as if it were new.
    async fn resolve_requests(&self, all: &mut [InFlight]) {
        let requests: Vec<RedemptionRequest> = all
            .iter()
            .filter_map(|one| one.attempt.request.clone())
            .collect();
        if requests.is_empty() {
            return;
        }
        let resolved = together_or_each(&requests, |requests| {
            async move {
                let requests: Vec<&RedemptionRequest> = requests.iter().collect();
                self.ledger.resolve(&requests).await
            }
            .boxed()
        })
        .await;
        let with_request = all.iter_mut().filter(|one| one.attempt.request.is_some());
        for (one, resolved) in with_request.zip(resolved) {
            match resolved {
                Ok(Resolved::Unknown) => {}
                Ok(Resolved::Conflict) => one.answer(Err(request_id_conflict())),
                Ok(Resolved::Names(redemption)) => one.attach(*redemption, false),
                Err(error) => one.answer(Err(error)),
            }
        }
        self.answer_settled(all).await;
    }

    /// Answers attempts whose redemption is settled: with its first outcome, and its resources as membership has them
    /// now (P9, P10).
    async fn answer_settled(&self, all: &mut [InFlight]) {
        let settled = all.iter_mut().filter(|one| {
            matches!(&one.stage, Stage::Reserved { redemption, attached: false }
                if redemption.state != RedemptionState::Reserved)
        });
        futures::stream::iter(settled)
            .for_each_concurrent(READS_AT_ONCE, |one| async move {
                if let Stage::Reserved { redemption, .. } = &one.stage {
                    let first = self.first_answer(redemption).await;
                    one.answer(first);
                }
            })
            .await;
    }

    async fn first_answer(&self, redemption: &Redemption) -> Result<Redeemed> {
        let outcome = redemption.outcome.ok_or_else(not_known_yet)?;
        if let Outcome::Refused(reason) = outcome {
            return Err(refusal(reason));
        }
        let admission = self
            .membership
            .get_admission(&redemption.name(), None)
            .await
            .map_err(|_| not_known_yet())?;
        Redeemed::of(redemption, outcome, admission)
    }

    /// Charges attempts that no request id answers.
    async fn charge_fresh(&self, all: &mut [InFlight], profiles: &Profiles) {
        let fresh: Vec<&Attempt> = fresh(all).map(|one| &one.attempt).collect();
        if fresh.is_empty() {
            return;
        }
        let verdicts = self.charge(&fresh, profiles).await;
        for (one, verdict) in all.iter_mut().filter(|one| one.is_fresh()).zip(verdicts) {
            match verdict {
                Ok(receipt) => {
                    one.limiter_decision = decision_of(receipt.guess_guarded);
                    one.attempt.facts.guess_guarded = receipt.guess_guarded;
                    one.receipt = Some(receipt);
                }
                Err((decision, error)) => {
                    one.limiter_decision = decision;
                    one.stage = Stage::Refused(error);
                }
            }
        }
    }

    /// Runs look-up, decision and T1 for fresh attempts.
    async fn reserve_fresh(&self, all: &mut [InFlight], profiles: &Profiles) {
        self.judge_fresh(all, profiles).await;
        let wanted: Vec<ReserveRequest<'_>> = fresh(all)
            .filter_map(|one| {
                let (attempt, matched) = (&one.attempt, one.matched.as_ref()?);
                Some(ReserveRequest { attempt, matched })
            })
            .collect();
        if wanted.is_empty() {
            return;
        }
        let reserved =
            together_or_each(&wanted, |wanted| self.ledger.reserve(wanted).boxed()).await;
        for (one, reserved) in all.iter_mut().filter(|one| one.is_fresh()).zip(reserved) {
            match reserved {
                Ok(Reserved::New(redemption) | Reserved::Named(redemption)) => {
                    one.attach(redemption, false);
                }
                Ok(Reserved::Attached(redemption)) => one.attach(redemption, true),
                Ok(Reserved::RequestIdConflict) => one.answer(Err(request_id_conflict())),
                Ok(Reserved::Refused(reason)) => one.refuse_unless_known(reason),
                Ok(Reserved::Changed) => {}
                Err(error) => one.answer(Err(error)),
            }
        }
    }

    /// Runs look-up and decision for fresh attempts. Attempts that stay fresh are to be reserved.
    async fn judge_fresh(&self, all: &mut [InFlight], profiles: &Profiles) {
        let attempts: Vec<&Attempt> = fresh(all).map(|one| &one.attempt).collect();
        if attempts.is_empty() {
            return;
        }
        let found =
            together_or_each(&attempts, |fresh| self.look_up(fresh, profiles).boxed()).await;
        let living: Vec<Option<&MatchedInvitation>> = found
            .iter()
            .map(|found| found.as_ref().ok()?.as_ref().ok())
            .collect();
        let guarded = self.guarded_elsewhere(&attempts, &living).await;
        let now = self.ledger.clock.now();
        let fresh = all.iter_mut().filter(|one| one.is_fresh());
        for ((one, found), guarded) in fresh.zip(found).zip(guarded) {
            if guarded {
                one.attempt.facts.guess_guarded = true;
                one.limiter_decision = LimiterDecision::Guarded;
            }
            one.matched = None;
            match found {
                Ok(Ok(found)) => {
                    one.attempt.facts.has_use = found.has_use;
                    let decision = decide(&found.row.invitation, &one.attempt.facts, now);
                    one.matched = Some(found);
                    // The missing use may be the person's own: only T1 knows.
                    if let Decision::Refuse(reason) = decision
                        && reason != ErrorReason::UseInProgress
                    {
                        one.refuse_unless_known(reason);
                    }
                }
                Ok(Err(reason)) => one.refuse(reason),
                Err(error) => one.answer(Err(error)),
            }
        }
    }

    /// R2: before a usable invitation refuses, asks membership whether the person is a member or waits, which writes
    /// nothing. A known person's attempt is decided again as such.
    async fn ask_who_is_known(&self, all: &mut [InFlight]) {
        let now = self.ledger.clock.now();
        let mut refused: Vec<(&mut InFlight, Redemption)> = Vec::new();
        for one in all {
            if let (Stage::Refusing(reason), Some(matched)) = (&one.stage, &one.matched) {
                let route = Route::OnlyIfKnown(*reason);
                let (invitation, person) = (&matched.row.invitation, &one.attempt.person);
                let random = self.ledger.random.as_ref();
                let asked = reservation(invitation, person, route, now, random);
                refused.push((one, asked));
            }
        }
        let asked: Vec<&Redemption> = refused.iter().map(|(_, asked)| asked).collect();
        let admissions = self.admit(&asked, true).await;
        for (one, asked) in refused {
            let Some(admission) = admissions.get(&asked.id) else {
                one.answer(Err(not_known_yet()));
                continue;
            };
            match Outcome::of(admission.answer) {
                Some(Outcome::Refused(reason)) => one.refuse(reason),
                known => {
                    one.attempt.facts.known = known.is_some();
                    one.stage = Stage::Fresh;
                }
            }
        }
    }

    /// Runs T2 and answers. T3 is left to a task of its own, because no answer needs it (P12). Redemptions whose
    /// attempts must be decided again are settled first, so that their uses are free again; the attempts are then fresh
    /// once more.
    async fn ask_membership(self: &Arc<Self>, all: &mut [InFlight]) {
        let asked = all.iter().filter_map(|one| match &one.stage {
            Stage::Reserved { redemption, .. } => Some(&**redemption),
            _ => None,
        });
        let asked: Vec<&Redemption> = asked.collect();
        if asked.is_empty() {
            return;
        }
        let admissions = self.admit(&asked, false).await;
        let now = self.ledger.clock.now();
        let mut settlements: HashMap<Uuid, Settlement> = HashMap::new();
        let mut first: HashMap<Uuid, Settlement> = HashMap::new();
        let mut again: Vec<(&mut InFlight, Uuid)> = Vec::new();
        let mut met: Vec<(&mut InFlight, AttachRequest, Result<Redeemed>)> = Vec::new();
        for one in all {
            let Stage::Reserved {
                redemption,
                attached,
            } = &one.stage
            else {
                continue;
            };
            let Some(admission) = admissions.get(&redemption.id) else {
                one.answer(Err(not_known_yet()));
                continue;
            };
            let id = redemption.id;
            let settlement = Settlement::of(redemption, admission, redemption.person.user.as_str());
            match Outcome::of(admission.answer) {
                Some(outcome) if !(*attached && one.is_over(redemption, admission, now)) => {
                    settlements.insert(id, settlement);
                    let redeemed = Redeemed::of(redemption, outcome, Some(admission.clone()));
                    match one.attempt.request.clone().filter(|_| *attached) {
                        Some(request) => met.push((one, (request, id), redeemed)),
                        None => one.answer(redeemed),
                    }
                }
                _ => {
                    first.insert(id, settlement);
                    one.decide_again();
                    again.push((one, id));
                }
            }
        }
        // A person's second attempt in a batch may have met the redemption that the first one began.
        settlements.retain(|id, _| !first.contains_key(id));
        self.settle_later(settlements.into_values().collect());
        let first: Vec<Settlement> = first.into_values().collect();
        let failed = self.settle_now(&first).await;
        for (one, id) in again {
            if let Some(error) = failed.get(&id) {
                one.answer(Err(error.clone()));
            }
        }
        self.answer_attached(met).await;
    }

    /// Gives attempts that met a live redemption its answer, once their request ids name it. An attempt whose id names
    /// another redemption by now gets that one's answer, in the next round.
    async fn answer_attached(&self, met: Vec<(&mut InFlight, AttachRequest, Result<Redeemed>)>) {
        if met.is_empty() {
            return;
        }
        let requests: Vec<AttachRequest> = met.iter().map(|(_, met, _)| met.clone()).collect();
        let resolved =
            together_or_each(&requests, |requests| self.ledger.attach(requests).boxed()).await;
        for ((one, (_, id), redeemed), resolved) in met.into_iter().zip(resolved) {
            match resolved {
                Ok(Resolved::Names(named)) if named.id == id => one.answer(redeemed),
                Ok(Resolved::Names(named)) if named.state != RedemptionState::Reserved => {
                    let first = self.first_answer(&named).await;
                    one.answer(first);
                }
                Ok(Resolved::Names(named)) => one.attach(*named, false),
                Ok(Resolved::Conflict) => one.answer(Err(request_id_conflict())),
                Ok(Resolved::Unknown) => one.answer(Err(not_known_yet())),
                Err(error) => one.answer(Err(error)),
            }
        }
    }

    /// Logs the refusals that left no redemption, after the answer.
    fn log_refused(self: &Arc<Self>, all: &[InFlight], profiles: &Profiles) {
        let refusals = all.iter().filter_map(|one| {
            Some(Refusal {
                attempt: &one.attempt,
                preview: false,
                reason: one.refusal_to_log()?,
                limiter_decision: one.limiter_decision,
                is_repeat: one
                    .receipt
                    .as_ref()
                    .is_some_and(|receipt| receipt.is_repeat),
                matched: one.matched.as_ref().map(|matched| &matched.row.invitation),
            })
        });
        self.log_refusals(refusals.collect(), profiles);
    }

    /// Reports to the limiter how the attempts ended, after the answer.
    fn give_charges_back(self: &Arc<Self>, all: &mut [InFlight]) {
        let ended = all.iter_mut().filter_map(|one| {
            let receipt = one.receipt.take()?;
            let outcome = match &one.stage {
                Stage::Answered(result) => match &**result {
                    Ok(redeemed) => redeemed.outcome,
                    Err(error) => Outcome::Refused(error.reason()),
                },
                Stage::Refused(error) => Outcome::Refused(error.reason()),
                _ => Outcome::Refused(ErrorReason::MembershipUnavailable),
            };
            Some((receipt, outcome))
        });
        self.settle_charged(ended.collect());
    }
}

fn fresh(all: &[InFlight]) -> impl Iterator<Item = &InFlight> {
    all.iter().filter(|one| one.is_fresh())
}
