//! Preview: the answer that Redeem would give now (R4). It decides and asks as Redeem does, costs the limiter the same,
//! and writes nothing.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    membership::v1::{Permission, join_request::Cause},
};
use homeroom_kit::{Error, Result, auth::Caller};

use super::{
    Redemptions,
    attempt::is_decision,
    attempt_log::Refusal,
    charge::decision_of,
    ledger::{MatchedInvitation, Redemption, Route, UseKey, next_step, reservation},
    look_up::{NamedOrganizations, Profiles},
    redeem::ROUNDS_MAX,
    reply::{Preview, not_known_yet, refusal},
    request::Attempt,
};
use crate::{
    domain::{
        decide::failing_rules,
        earlier_redemptions::NextStep,
        invitation::Invitation,
        redemption::{MembershipAnswer, Outcome},
        refused_attempt::LimiterDecision,
    },
    membership::{Access, Admission},
    store::InvitationRow,
};

impl Redemptions {
    /// Returns what would happen if the person used this now. A caller who is not staff of the class or organization is
    /// refused as by Redeem. The charge is settled even if the caller has gone (P12).
    pub async fn preview(self: &Arc<Self>, caller: &Caller, attempt: Attempt) -> Result<Preview> {
        let redemptions = Arc::clone(self);
        let caller = caller.clone();
        self.writes
            .run(async move { redemptions.preview_to_the_end(&caller, attempt).await })
            .await
    }

    async fn preview_to_the_end(
        self: &Arc<Self>,
        caller: &Caller,
        attempt: Attempt,
    ) -> Result<Preview> {
        let mut attempt = attempt;
        let profiles = self.profiles_of(NamedOrganizations::of([&attempt])).await?;
        let charged = self
            .charge(&[&attempt], &profiles)
            .await
            .pop()
            .ok_or_else(|| Error::internal("an attempt was not charged"))?;
        let receipt = match charged {
            Ok(receipt) => receipt,
            Err((decision, error)) => {
                self.log_preview(&attempt, &profiles, (decision, false), error.reason(), None);
                return Err(error);
            }
        };
        attempt.facts.guess_guarded = receipt.guess_guarded;
        let mut matched = None;
        let previewed = self
            .preview_charged(caller, &mut attempt, &profiles, &mut matched)
            .await;
        if let Err(error) = &previewed {
            let decision = (decision_of(attempt.facts.guess_guarded), receipt.is_repeat);
            let matched = matched.as_ref();
            self.log_preview(&attempt, &profiles, decision, error.reason(), matched);
        }
        let outcome = match &previewed {
            Ok(preview) => match preview.outcome {
                // A would-be admission changes nothing.
                Outcome::Admitted | Outcome::PendingApproval => Outcome::AlreadyMember,
                other => other,
            },
            Err(error) => Outcome::Refused(error.reason()),
        };
        self.settle_charged(vec![(receipt, outcome)]);
        previewed
    }

    /// Logs a refusal, after the answer.
    fn log_preview(
        self: &Arc<Self>,
        attempt: &Attempt,
        profiles: &Profiles,
        (limiter_decision, is_repeat): (LimiterDecision, bool),
        reason: ErrorReason,
        matched: Option<&MatchedInvitation>,
    ) {
        let refusal = Refusal {
            attempt,
            preview: true,
            reason,
            limiter_decision,
            is_repeat,
            matched: matched.map(|matched| &matched.row.invitation),
        };
        let refusals = is_decision(reason).then_some(refusal);
        self.log_refusals(refusals.into_iter().collect(), profiles);
    }

    /// Previews an attempt that was charged. Sets `matched` to the invitation that it matches, and the facts that
    /// depend on it.
    async fn preview_charged(
        &self,
        caller: &Caller,
        attempt: &mut Attempt,
        profiles: &Profiles,
        matched: &mut Option<MatchedInvitation>,
    ) -> Result<Preview> {
        for _ in 0..ROUNDS_MAX {
            *matched = None;
            let found = self
                .look_up(&[&*attempt], profiles)
                .await?
                .pop()
                .unwrap_or(Err(ErrorReason::CodeNotUsable))
                .map_err(refusal)?;
            let found = matched.insert(found);
            let guarded = self.guarded_elsewhere(&[&*attempt], &[Some(found)]).await;
            let invitation = &found.row.invitation;
            attempt.facts.guess_guarded |= guarded.contains(&true);
            attempt.facts.has_use = found.has_use;
            let attempt = &*attempt;
            let now = self.ledger.clock.now();
            let asked = self.to_ask(&found.row, attempt, now).await?;
            let admission = self.would_admit(&asked).await?;
            // None means that the invitation has changed since it was looked up.
            let Some(outcome) = Outcome::of(admission.answer) else {
                continue;
            };
            if let Outcome::Refused(reason) = outcome {
                return self.refused(caller, attempt, invitation, reason, now).await;
            }
            // R2: these rules refuse nobody who is a member, but staff want to know of them.
            let mut failures = failing_rules(invitation, &attempt.facts, now);
            if !failures.is_empty() {
                let access = self.access(caller, invitation).await;
                failures.retain(|_| access.as_ref().is_ok_and(|access| access.allowed));
            }
            return Ok(Preview {
                outcome,
                place: invitation.place.clone(),
                kind: invitation.kind,
                organization_display_name: admission.organization_display_name,
                class_display_name: admission.class_display_name,
                failures,
                approval_cause: admission
                    .join_request
                    .map_or(Cause::Unspecified, |request| request.cause()),
            });
        }
        Err(not_known_yet())
    }

    /// Returns the redemption that Redeem would ask membership about: the person's live one (P2), or a new one that is
    /// not stored. If Redeem would refuse, it would first ask whether the person is known (R2).
    async fn to_ask(
        &self,
        row: &InvitationRow,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<Redemption> {
        let key = UseKey {
            invitation_id: row.invitation.id,
            user: attempt.person.user.clone(),
        };
        let mut repository = self.ledger.store.read().await?;
        let (_, earlier) = repository.standing(&[], &[key], now).await?;
        repository.release();
        let route = match next_step(row, &attempt.facts, &earlier, now) {
            NextStep::Join(living) => return Ok(living.clone()),
            NextStep::Begin { decision, .. } => Route::of(decision),
            NextStep::Refuse(reason) => Err(reason),
        };
        let route = match route {
            Err(ErrorReason::CodeNotUsable) => return Err(refusal(ErrorReason::CodeNotUsable)),
            Err(reason) => Route::OnlyIfKnown(reason),
            Ok(route) => route,
        };
        let (person, random) = (&attempt.person, self.ledger.random.as_ref());
        Ok(reservation(&row.invitation, person, route, now, random))
    }

    async fn would_admit(&self, redemption: &Redemption) -> Result<Admission> {
        let mut admissions = self.admit(&[redemption], true).await;
        admissions.remove(&redemption.id).ok_or_else(not_known_yet)
    }

    async fn access(&self, caller: &Caller, invitation: &Invitation) -> Result<Access> {
        let permission = Permission::ReadInvitations;
        self.membership
            .check_access(&caller.user, &invitation.place, permission, caller.deadline)
            .await
    }

    /// Returns every failing rule to staff, and the refusal to other callers.
    async fn refused(
        &self,
        caller: &Caller,
        attempt: &Attempt,
        invitation: &Invitation,
        reason: ErrorReason,
        now: DateTime<Utc>,
    ) -> Result<Preview> {
        let access = self
            .access(caller, invitation)
            .await
            .map_err(|_| refusal(reason))?;
        if !access.allowed {
            return Err(refusal(reason));
        }
        let mut failures = failing_rules(invitation, &attempt.facts, now);
        // Membership's rules are included, as if this service had not refused.
        let unasked = reservation(
            invitation,
            &attempt.person,
            Route::AdmitAtOnce,
            now,
            self.ledger.random.as_ref(),
        );
        let theirs = self.would_admit(&unasked).await?;
        if let MembershipAnswer::Refused(theirs) = theirs.answer {
            failures.push(theirs);
        }
        let first = failures.first().copied().unwrap_or(reason);
        if failures.is_empty() {
            failures.push(reason);
        }
        Ok(Preview {
            outcome: Outcome::Refused(first),
            place: invitation.place.clone(),
            kind: invitation.kind,
            organization_display_name: access.organization_display_name,
            class_display_name: access.class_display_name,
            failures,
            approval_cause: Cause::Unspecified,
        })
    }
}
