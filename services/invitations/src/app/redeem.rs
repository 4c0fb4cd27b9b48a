//! Redeem: the saga of one redemption, written over many (03, the redemption protocol).
//!
//! request id → limiter → look-up → decision → T1 reserve → T2 admit → answer → T3 settle.
//! Everything runs in a tracked task, so that it finishes though the client has gone (P12).

use std::{collections::HashMap, sync::Arc};

use futures::FutureExt as _;
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Error, Result};
use uuid::Uuid;

use super::{
    App,
    attach::Met,
    attempt::Attempt,
    attempt_log::{Meant, Refusal},
    each::together_or_each,
    journey::{Journey, answer, fail_fresh},
    look_up::{Found, Profiles},
    redeemed::Redeemed,
    refusal::not_known_yet,
    replay::{Resolved, request_id_conflict},
    reserve::{Reserved, Wanted},
    settle::Settlement,
};
use crate::{
    domain::{
        decide::{Decision, decide},
        invitation::Invitation,
        redemption::{MembershipAnswer, Outcome, RedemptionState},
    },
    store::{LimiterDecision, Redemption},
};

/// How often an attempt is decided again when its invitation changes under it (P7).
pub const ROUNDS_MAX: usize = 3;

/// A redemption to ask membership about, for the attempt at `index`.
struct Asked {
    index: usize,
    redemption: Redemption,
    /// The attempt met a living redemption that it did not begin (P2).
    attached: bool,
}

impl App {
    /// Redeems one invitation for one person.
    pub async fn redeem(self: &Arc<Self>, attempt: Attempt) -> Result<Redeemed> {
        let mut results = self.redeem_many(vec![attempt]).await;
        results
            .pop()
            .unwrap_or_else(|| Err(Error::internal("an attempt was not answered")))
    }

    /// Redeems many, each by itself: one result each, in their order.
    pub async fn redeem_many(self: &Arc<Self>, attempts: Vec<Attempt>) -> Vec<Result<Redeemed>> {
        let app = Arc::clone(self);
        self.writes
            .run(async move { app.redeem_to_the_end(attempts).await })
            .await
    }

    async fn redeem_to_the_end(self: &Arc<Self>, attempts: Vec<Attempt>) -> Vec<Result<Redeemed>> {
        let mut journeys: Vec<Journey> = attempts.into_iter().map(Journey::of).collect();
        self.resolve_requests(&mut journeys).await;
        self.answer_settled(&mut journeys).await;
        match self.charge_fresh(&mut journeys).await {
            Ok(profiles) => {
                self.drive(&mut journeys, &profiles).await;
                self.log_journeys(&journeys, &profiles);
            }
            Err(error) => fail_fresh(&mut journeys, &error),
        }
        self.settle_charges(&mut journeys);
        journeys
            .into_iter()
            .map(|journey| journey.answer.unwrap_or_else(|| Err(not_known_yet())))
            .collect()
    }

    /// Charges what is not answered by a request id. Gives what is known of the organizations named.
    async fn charge_fresh(&self, journeys: &mut [Journey]) -> Result<Profiles> {
        let fresh: Vec<&Attempt> = journeys
            .iter()
            .filter(|journey| journey.is_fresh())
            .map(|journey| &journey.attempt)
            .collect();
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let profiles = self.profiles_of(&fresh).await?;
        let verdicts = self.charge(&fresh, &profiles).await;
        let fresh = journeys.iter_mut().filter(|journey| journey.is_fresh());
        for (journey, verdict) in fresh.zip(verdicts) {
            match verdict {
                Ok(charged) => {
                    journey.limiter_decision = charged.decision();
                    journey.attempt.facts.guess_guarded = charged.guess_guarded;
                    journey.charged = Some(charged);
                }
                Err((decision, error)) => {
                    journey.limiter_decision = decision;
                    journey.refused = Some(error.reason());
                    journey.answer = Some(Err(error));
                }
            }
        }
        Ok(profiles)
    }

    /// T1 and T2 for everything not answered yet, again for those whose invitation changed (P7);
    /// T3 is left to a task of its own, since the answer does not need it (P12).
    async fn drive(self: &Arc<Self>, journeys: &mut [Journey], profiles: &Profiles) {
        for _ in 0..ROUNDS_MAX {
            let replays = journeys.iter().enumerate().filter_map(|(index, journey)| {
                let redemption = journey
                    .replay
                    .clone()
                    .filter(|_| journey.answer.is_none())?;
                Some(Asked {
                    index,
                    redemption,
                    attached: false,
                })
            });
            let mut asked: Vec<Asked> = replays.collect();
            self.decide_and_reserve(journeys, profiles, &mut asked)
                .await;
            self.ask(journeys, asked).await;
            if journeys.iter().all(|journey| journey.answer.is_some()) {
                return;
            }
        }
    }

    /// Look-up, decision and T1 for what is fresh.
    async fn decide_and_reserve(
        &self,
        journeys: &mut [Journey],
        profiles: &Profiles,
        asked: &mut Vec<Asked>,
    ) {
        let (wanted_by, wanted) = self.judge_fresh(journeys, profiles).await;
        let reserved = self.reserve(&wanted).await;
        for (index, reserved) in wanted_by.into_iter().zip(reserved) {
            let (redemption, attached) = match reserved {
                Ok(Reserved::New(redemption)) => (redemption, false),
                Ok(Reserved::Attached(redemption)) => (redemption, true),
                Ok(Reserved::Replay(redemption))
                    if redemption.state == RedemptionState::Reserved =>
                {
                    (redemption, false)
                }
                Ok(Reserved::Replay(redemption)) => {
                    let first = self.first_answer(&redemption).await;
                    answer(journeys, index, first);
                    continue;
                }
                Ok(Reserved::RequestIdConflict) => {
                    answer(journeys, index, Err(request_id_conflict()));
                    continue;
                }
                Ok(Reserved::Refused(reason)) => {
                    if let Some(journey) = journeys.get_mut(index) {
                        journey.refuse(reason);
                    }
                    continue;
                }
                Ok(Reserved::Changed) => continue,
                Err(error) => {
                    answer(journeys, index, Err(error));
                    continue;
                }
            };
            asked.push(Asked {
                index,
                redemption,
                attached,
            });
        }
    }

    /// Look-up and decision for what is fresh: what T1 is to reserve, and for which attempts. The
    /// others are answered.
    async fn judge_fresh(
        &self,
        journeys: &mut [Journey],
        profiles: &Profiles,
    ) -> (Vec<usize>, Vec<Wanted>) {
        let indexes: Vec<usize> = journeys
            .iter()
            .enumerate()
            .filter(|(_, journey)| journey.is_fresh())
            .map(|(index, _)| index)
            .collect();
        let fresh: Vec<&Attempt> = journeys
            .iter()
            .filter(|journey| journey.is_fresh())
            .map(|journey| &journey.attempt)
            .collect();
        if fresh.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let found = together_or_each(&fresh, |fresh| self.look_up(fresh, profiles).boxed()).await;
        let guarded = self.guarded_elsewhere_of(&fresh, &found).await;
        let now = self.clock.now();
        let mut wanted = Vec::new();
        let mut wanted_by = Vec::new();
        for ((index, found), guarded) in indexes.into_iter().zip(found).zip(guarded) {
            let Some(journey) = journeys.get_mut(index) else {
                continue;
            };
            if guarded {
                journey.attempt.facts.guess_guarded = true;
                journey.limiter_decision = LimiterDecision::Guarded;
            }
            let found = match found {
                Ok(Ok(found)) => found,
                Ok(Err(reason)) => {
                    journey.meant = None;
                    journey.refuse(reason);
                    continue;
                }
                Err(error) => {
                    journey.answer = Some(Err(error));
                    continue;
                }
            };
            let invitation = &found.row.invitation;
            journey.meant = Some(Meant::of(invitation));
            match decide(invitation, &journey.attempt.facts, now) {
                // The use that is short may be the person's own: only T1 knows.
                Decision::Refuse(reason) if reason != ErrorReason::UseInProgress => {
                    journey.refuse(reason);
                }
                _ => {
                    wanted.push(Wanted {
                        invitation_id: invitation.id,
                        lookup_macs: found.lookup_macs,
                        person: journey.attempt.person.clone(),
                        facts: journey.attempt.facts.clone(),
                        request: journey.attempt.request.clone(),
                    });
                    wanted_by.push(index);
                }
            }
        }
        (wanted_by, wanted)
    }

    /// [`Self::guarded_elsewhere`] for those of the attempts that found something.
    async fn guarded_elsewhere_of(
        &self,
        attempts: &[&Attempt],
        found: &[Result<std::result::Result<Found, ErrorReason>>],
    ) -> Vec<bool> {
        let found: Vec<Option<&Found>> = found
            .iter()
            .map(|found| found.as_ref().ok()?.as_ref().ok())
            .collect();
        let living: Vec<(&Attempt, &Invitation)> = attempts
            .iter()
            .zip(&found)
            .filter_map(|(attempt, found)| Some((*attempt, &(*found)?.row.invitation)))
            .collect();
        let mut guarded = self.guarded_elsewhere(&living).await.into_iter();
        found
            .iter()
            .map(|found| found.is_some() && guarded.next().unwrap_or(true))
            .collect()
    }

    /// T2 and the answers. What is to be decided again is settled first, so that its use is free
    /// again, and stays unanswered.
    async fn ask(self: &Arc<Self>, journeys: &mut [Journey], asked: Vec<Asked>) {
        if asked.is_empty() {
            return;
        }
        let redemptions: Vec<&Redemption> = asked.iter().map(|asked| &asked.redemption).collect();
        let admissions = self.admit(&redemptions).await;
        let mut settlements: HashMap<Uuid, Settlement> = HashMap::new();
        let mut first: HashMap<Uuid, Settlement> = HashMap::new();
        let mut undecided: Vec<(usize, Uuid)> = Vec::new();
        let mut met: Vec<(usize, Met, Result<Redeemed>)> = Vec::new();
        for Asked {
            index,
            redemption,
            attached,
        } in asked
        {
            let admission = match admissions.get(&redemption.id) {
                Some(Ok(admission)) => admission,
                Some(Err(error)) => {
                    answer(journeys, index, Err(error.clone()));
                    continue;
                }
                None => {
                    answer(journeys, index, Err(not_known_yet()));
                    continue;
                }
            };
            let settlement =
                Settlement::of(&redemption, admission, redemption.person.user.as_str());
            // The living redemption that was met is over: it has its answer and waits to be settled, or
            // its request ended and the feed is late. What it was told then is no answer to who asks now.
            let over = attached
                && match admission.answer {
                    MembershipAnswer::Queued => admission.request_end.is_some(),
                    MembershipAnswer::Refused(_) => true,
                    _ => admission.answered_before,
                };
            match Outcome::of(admission.answer) {
                Some(outcome) if !over => {
                    settlements.insert(redemption.id, settlement);
                    let redeemed = Redeemed::of(&redemption, outcome, Some(admission.clone()));
                    let request = journeys
                        .get(index)
                        .and_then(|journey| journey.attempt.request.clone())
                        .filter(|_| attached);
                    match request {
                        Some(request) => met.push((index, (request, redemption.id), redeemed)),
                        None => answer(journeys, index, redeemed),
                    }
                }
                _ => {
                    if let Some(journey) = journeys.get_mut(index) {
                        journey.replay = None;
                    }
                    undecided.push((index, redemption.id));
                    first.insert(redemption.id, settlement);
                }
            }
        }
        // A person's second attempt in a batch may have met what the first one began.
        settlements.retain(|id, _| !first.contains_key(id));
        self.settle_later(settlements.into_values().collect());
        let first: Vec<Settlement> = first.into_values().collect();
        let failed = self.settle_now(&first).await;
        for (index, id) in undecided {
            if let Some(error) = failed.get(&id) {
                answer(journeys, index, Err(error.clone()));
            }
        }
        self.answer_attached(journeys, met).await;
    }

    /// Those that met a living redemption have its answer, once their request ids name it. An id
    /// that names another one by now has that one's answer; where it is under way, in the next round.
    async fn answer_attached(
        &self,
        journeys: &mut [Journey],
        met: Vec<(usize, Met, Result<Redeemed>)>,
    ) {
        let noted: Vec<Met> = met.iter().map(|(_, met, _)| met.clone()).collect();
        let resolved = self.attach(&noted).await;
        for ((index, (_, id), redeemed), resolved) in met.into_iter().zip(resolved) {
            match resolved {
                Ok(Resolved::Answered(named)) if named.id == id => {
                    answer(journeys, index, redeemed);
                }
                Ok(Resolved::Answered(named)) if named.state != RedemptionState::Reserved => {
                    let first = self.first_answer(&named).await;
                    answer(journeys, index, first);
                }
                Ok(Resolved::Answered(named)) => {
                    if let Some(journey) = journeys.get_mut(index) {
                        journey.replay = Some(*named);
                    }
                }
                Ok(Resolved::Conflict) => answer(journeys, index, Err(request_id_conflict())),
                Ok(Resolved::Nothing) => answer(journeys, index, Err(not_known_yet())),
                Err(error) => answer(journeys, index, Err(error)),
            }
        }
    }

    /// What was refused and left no redemption is logged, after the answer.
    fn log_journeys(self: &Arc<Self>, journeys: &[Journey], profiles: &Profiles) {
        let refusals = journeys
            .iter()
            .filter_map(|journey| {
                Some(Refusal {
                    attempt: &journey.attempt,
                    preview: false,
                    reason: journey.refused?,
                    limiter_decision: journey.limiter_decision,
                    meant: journey.meant.clone(),
                })
            })
            .collect();
        self.log_refusals(refusals, profiles);
    }

    /// The limiter learns how the attempts ended, after the answer (03, the limiter).
    fn settle_charges(self: &Arc<Self>, journeys: &mut [Journey]) {
        let ended = journeys
            .iter_mut()
            .filter_map(|journey| {
                let charged = journey.charged.take()?;
                let outcome = match &journey.answer {
                    Some(Ok(redeemed)) => redeemed.outcome,
                    Some(Err(error)) => Outcome::Refused(error.reason()),
                    None => Outcome::Refused(ErrorReason::MembershipUnavailable),
                };
                Some((charged, outcome))
            })
            .collect();
        self.settle_charged(ended);
    }
}
