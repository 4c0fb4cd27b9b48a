//! Charging attempts before their credentials are looked at, and giving back what was no guess
//! (03, the limiter).

use std::{collections::BTreeMap, sync::Arc};

use homeroom_api::{
    ids::{OrganizationId, UserId},
    membership::v1::Permission,
    names::Place,
};
use homeroom_kit::{Result, outbox::NewEvent};

use super::{
    App,
    attempt::Attempt,
    attempt_log::{Overcharged, refused_by},
    look_up::{Profiles, limited},
};
use crate::{
    domain::{invitation::Invitation, redemption::Outcome},
    limiter::{Effect, GuessScope, Receipt, Settlement, Verdict},
    store::LimiterDecision,
};

/// Who the events say did what the service does by itself.
pub(super) const SYSTEM: &str = homeroom_api::ids::SYSTEM_ACTOR;

/// An attempt that was charged and may go on.
#[derive(Debug)]
pub(super) struct Charged {
    receipt: Receipt,
    /// Short credentials lead to the queue for now.
    pub(super) guess_guarded: bool,
}

impl Charged {
    /// What the limiter said, for the log.
    pub(super) const fn decision(&self) -> LimiterDecision {
        if self.guess_guarded {
            LimiterDecision::Guarded
        } else {
            LimiterDecision::Allowed
        }
    }
}

impl App {
    /// Charges each attempt, all in one round trip. `TOO_MANY_ATTEMPTS` for those that may not go on.
    pub(super) async fn charge(
        &self,
        attempts: &[&Attempt],
        profiles: &Profiles,
    ) -> Vec<std::result::Result<Charged, Overcharged>> {
        let attempts: Vec<_> = attempts
            .iter()
            .map(|attempt| limited(attempt, profiles))
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

    /// Whether what was found queues though the guards that its attempt was charged in stand open: its own
    /// organization or the whole service is being guessed at under another name. One round trip for all, and
    /// none where nothing found is short.
    pub(super) async fn guarded_elsewhere(&self, found: &[(&Attempt, &Invitation)]) -> Vec<bool> {
        let asks = |(attempt, invitation): &(&Attempt, &Invitation)| {
            invitation.kind.policy().short && !attempt.facts.vouched && !attempt.facts.guess_guarded
        };
        let own = |(_, invitation): &(&Attempt, &Invitation)| {
            GuessScope::Organization(invitation.place.organization().clone())
        };
        let mut scopes: Vec<GuessScope> = Vec::new();
        for scope in found.iter().filter(|found| asks(found)).map(own) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        if scopes.is_empty() {
            return vec![false; found.len()];
        }
        scopes.push(GuessScope::Service);
        let guarded = self.limiter.guarded(&scopes).await;
        let closed: Vec<&GuessScope> = scopes
            .iter()
            .zip(guarded)
            .filter_map(|(scope, guarded)| guarded.then_some(scope))
            .collect();
        let everywhere = closed.contains(&&GuessScope::Service);
        found
            .iter()
            .map(|found| asks(found) && (everywhere || closed.contains(&&own(found))))
            .collect()
    }

    /// Tells the limiter how attempts ended, in a task that shutdown waits for.
    pub(super) fn settle_charged(self: &Arc<Self>, ended: Vec<(Charged, Outcome)>) {
        if ended.is_empty() {
            return;
        }
        let app = Arc::clone(self);
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
                        Settlement::Keep { receipt }
                    }
                })
                .collect();
            for closed in app.limiter.settle(settlements).await {
                app.tell_of_guessing(closed).await;
            }
        });
    }

    /// An organization's short credentials queue from now on: its administrators are told.
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
        let now = self.clock.now();
        let event = NewEvent {
            event_type: "guess_guard.closed",
            organization: organization.clone(),
            class: None,
            subject: place.to_string(),
            actor: SYSTEM.to_owned(),
            notify: self.administrators(&place).await,
            data: BTreeMap::new(),
        };
        let mut repository = self.store.write().await?;
        repository
            .lock_organizations(std::slice::from_ref(organization), now)
            .await?;
        repository
            .append_events(&[event], now, self.random.as_ref())
            .await?;
        repository.commit("guess_guard").await?;
        Ok(())
    }

    /// Whom the events of a place tell; nobody while membership does not answer.
    async fn administrators(&self, place: &Place) -> Vec<UserId> {
        let Ok(system) = UserId::parse(SYSTEM) else {
            return Vec::new();
        };
        self.membership
            .check_access(&system, place, Permission::ReadInvitations, None)
            .await
            .map(|access| access.notify)
            .unwrap_or_default()
    }
}

/// What an attempt that ended so has changed.
fn effect_of(outcome: Outcome) -> Effect {
    match outcome {
        Outcome::Admitted => Effect::Admitted,
        Outcome::PendingApproval => Effect::Filed,
        Outcome::AlreadyMember | Outcome::Refused(_) => Effect::Nothing,
    }
}
