//! Charges attempts before their credentials are looked up, and gives back the charges of attempts that were no
//! guesses.

use std::{collections::BTreeMap, sync::Arc};

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, SYSTEM_ACTOR, UserId},
    membership::v1::Permission,
    names::Place,
};
use homeroom_kit::{Result, outbox::NewEvent};

use super::{
    Redemptions,
    attempt::Charged,
    attempt_log::{Overcharged, refused_by},
    ledger::MatchedInvitation,
    look_up::{Profiles, limited},
    request::Attempt,
};
use crate::{
    domain::{invitation::Policy, redemption::Outcome},
    limiter::{Effect, GuessScope, Settlement, Verdict},
};

impl Redemptions {
    /// Charges each attempt, all in one round trip. Attempts that may not go on get `TOO_MANY_ATTEMPTS`.
    pub(super) async fn charge(
        &self,
        attempts: &[&Attempt],
        profiles: &Profiles,
    ) -> Vec<std::result::Result<Charged, Overcharged>> {
        let attempts: Vec<_> = attempts
            .iter()
            .map(|attempt| limited(attempt, profiles, &self.keys))
            .collect();
        self.limiter
            .charge(&attempts)
            .await
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Allowed {
                    receipt,
                    guess_guarded,
                } => Ok(Charged {
                    receipt,
                    guess_guarded,
                }),
                Verdict::Refused {
                    dimension,
                    retry_after,
                } => Err((refused_by(dimension), dimension.refusal(retry_after))),
            })
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
        let scope_of = |attempt: &Attempt, found: Option<&MatchedInvitation>| {
            let invitation = &found?.row.invitation;
            let asks = Policy::of(invitation.kind).short
                && !attempt.facts.vouched
                && !attempt.facts.guess_guarded;
            let organization = invitation.place.organization();
            asks.then(|| GuessScope::Organization(organization.clone()))
        };
        let own: Vec<Option<GuessScope>> = attempts
            .iter()
            .zip(found)
            .map(|(attempt, found)| scope_of(attempt, *found))
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
        let guarded = self.limiter.guarded(&scopes).await;
        let closed: Vec<&GuessScope> = scopes
            .iter()
            .zip(guarded)
            .filter_map(|(scope, guarded)| guarded.then_some(scope))
            .collect();
        own.iter()
            .map(|own| {
                let everywhere = closed.contains(&&GuessScope::Service);
                own.as_ref()
                    .is_some_and(|own| everywhere || closed.contains(&own))
            })
            .collect()
    }

    /// Reports to the limiter how attempts ended, in a task that shutdown waits for.
    pub(super) fn settle_charged(self: &Arc<Self>, ended: Vec<(Charged, Outcome)>) {
        if ended.is_empty() {
            return;
        }
        let redemptions = Arc::clone(self);
        self.writes.spawn(async move {
            let settlements = ended
                .into_iter()
                .map(|(Charged { receipt, .. }, outcome)| {
                    if outcome.refunds() {
                        Settlement::GiveBack {
                            receipt,
                            effect: effect_of(outcome),
                        }
                    } else {
                        let found = outcome != Outcome::Refused(ErrorReason::CodeNotUsable);
                        Settlement::Keep { receipt, found }
                    }
                })
                .collect();
            for closed in redemptions.limiter.settle(settlements).await {
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

/// Returns the effect of an attempt with this outcome.
fn effect_of(outcome: Outcome) -> Effect {
    match outcome {
        Outcome::Admitted => Effect::Admitted,
        Outcome::PendingApproval => Effect::Filed,
        Outcome::AlreadyMember | Outcome::Refused(_) => Effect::Nothing,
    }
}
