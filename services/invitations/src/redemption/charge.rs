//! Charges attempts before their credentials are looked up, and gives back the charges of attempts that were no
//! guesses.

use std::{collections::BTreeMap, sync::Arc};

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, SYSTEM_ACTOR, UserId},
    membership::v1::Permission,
    names::Place,
};
use homeroom_kit::{Error, Result, outbox::NewEvent};

use super::{
    Redemptions,
    ledger::MatchedInvitation,
    look_up::{Profiles, limited},
    request::Attempt,
};
use crate::{
    domain::{redemption::Outcome, refused_attempt::LimiterDecision, way::Policy},
    limiter::{Dimension, Effect, End, GuessScope, Receipt, Refused},
};

impl Redemptions {
    /// Charges each attempt, all at once. Attempts that may not go on get `TOO_MANY_ATTEMPTS` and the decision for the
    /// log.
    pub(super) async fn charge(
        &self,
        attempts: &[&Attempt],
        profiles: &Profiles,
    ) -> Vec<std::result::Result<Receipt, (LimiterDecision, Error)>> {
        let attempts: Vec<_> = attempts
            .iter()
            .map(|attempt| limited(attempt, profiles, &self.keys))
            .collect();
        let refusal = |refused: Refused| (refused_by(refused.dimension), refused.error());
        let verdicts = self.limiter.charge(&attempts).await;
        verdicts
            .into_iter()
            .map(|verdict| verdict.map_err(refusal))
            .collect()
    }

    /// Returns for each attempt true if a guard other than those it was charged in is closed for the matched
    /// invitation: its own organization, or the whole service, is being guessed at under another name. It takes one
    /// round trip for all, and none if no matched credential is short.
    pub(super) async fn guarded_elsewhere(
        &self,
        attempts: &[&Attempt],
        found: &[Option<&MatchedInvitation>],
    ) -> Vec<bool> {
        let own: Vec<Option<GuessScope>> = attempts
            .iter()
            .zip(found)
            .map(|(attempt, found)| {
                let invitation = &found.as_ref()?.row.invitation;
                let asks = Policy::of(invitation.kind).short
                    && !attempt.facts.vouched
                    && !attempt.facts.guess_guarded;
                let organization = invitation.place.organization();
                asks.then(|| GuessScope::Organization(organization.clone()))
            })
            .collect();
        let mut scopes: Vec<GuessScope> = Vec::new();
        for scope in own.iter().flatten() {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        if scopes.is_empty() {
            return vec![false; own.len()];
        }
        scopes.push(GuessScope::Service);
        let mut guarded = self.limiter.guarded(&scopes).await.into_iter();
        scopes.retain(|_| guarded.next().unwrap_or(true));
        let everywhere = scopes.contains(&GuessScope::Service);
        own.iter()
            .map(|own| {
                own.as_ref()
                    .is_some_and(|own| everywhere || scopes.contains(own))
            })
            .collect()
    }

    /// Reports to the limiter how attempts ended, in a task that shutdown waits for.
    pub(super) fn settle_charged(self: &Arc<Self>, ended: Vec<(Receipt, Outcome)>) {
        if ended.is_empty() {
            return;
        }
        let redemptions = Arc::clone(self);
        self.writes.spawn(async move {
            let ended = ended
                .into_iter()
                .map(|(receipt, outcome)| (receipt, end_of(outcome)))
                .collect();
            for closed in redemptions.limiter.settle(ended).await {
                redemptions.tell_of_guessing(closed).await;
            }
        });
    }

    /// Reports that an organization's short credentials queue from now on: its administrators are notified.
    async fn tell_of_guessing(&self, closed: GuessScope) {
        match closed {
            GuessScope::Service => {
                tracing::warn!(
                    "somebody is guessing: short credentials queue in every organization"
                );
            }
            GuessScope::Organization(organization) => {
                tracing::warn!(%organization, "somebody is guessing: its short credentials queue");
                if let Err(error) = self.write_guessing_event(&organization).await {
                    tracing::warn!(%error, %organization, "its administrators could not be told");
                }
            }
        }
    }

    async fn write_guessing_event(&self, organization: &OrganizationId) -> Result<()> {
        let place = Place::Organization(organization.clone());
        let now = self.ledger.clock.now();
        let (kind, subject) = ("guess_guard.closed", place.to_string());
        let mut event = NewEvent::new(kind, &place, subject, SYSTEM_ACTOR, BTreeMap::new());
        event.notify = self.administrators(&place).await;
        let mut repository = self.ledger.store.write().await?;
        repository
            .lock_organizations(std::slice::from_ref(organization), now)
            .await?;
        repository
            .outbox()
            .append(&[event], now, self.ledger.random.as_ref())
            .await?;
        repository.commit("guess_guard").await?;
        Ok(())
    }

    /// Returns the users whom events of a place notify; nobody while membership does not answer.
    async fn administrators(&self, place: &Place) -> Vec<UserId> {
        let Ok(system) = UserId::parse(SYSTEM_ACTOR) else {
            return Vec::new();
        };
        self.membership
            .check_access(&system, place, Permission::ReadInvitations, None)
            .await
            .map(|access| access.notify)
            .unwrap_or_default()
    }
}

/// Returns the end, for the limiter, of an attempt with this outcome.
fn end_of(outcome: Outcome) -> End {
    match outcome {
        Outcome::Admitted => End::GiveBack(Effect::Admitted),
        Outcome::PendingApproval => End::GiveBack(Effect::Filed),
        _ if outcome.refunds() => End::GiveBack(Effect::Nothing),
        _ => End::Keep {
            found: outcome != Outcome::Refused(ErrorReason::CodeNotUsable),
        },
    }
}

/// Returns the limiter's decision about an attempt that may go on, for the log.
pub(super) const fn decision_of(guess_guarded: bool) -> LimiterDecision {
    if guess_guarded {
        LimiterDecision::Guarded
    } else {
        LimiterDecision::Allowed
    }
}

/// Returns the log's decision for a limiter's refusal.
const fn refused_by(dimension: Dimension) -> LimiterDecision {
    match dimension {
        Dimension::User => LimiterDecision::RefusedUser,
        Dimension::Address => LimiterDecision::RefusedAddress,
        Dimension::CallingService => LimiterDecision::RefusedCallingService,
    }
}
