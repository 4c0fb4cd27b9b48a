//! What using an invitation would do. One list of rules in one order serves
//! redeem, preview and batch, on one and on many.

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;
use homeroom_api::ids::UserId;

use super::email::EmailAddress;
use super::invitation::{Admits, Invitation, Standing, Supply};

/// Who uses the invitation, with what is believed of them: claims that the
/// calling service may not make are not in here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one person"
)]
pub struct Facts {
    /// The platform's id of the person.
    pub user: UserId,
    /// The person's address.
    pub email: Option<EmailAddress>,
    /// An address is given for the person that cannot be read.
    pub email_malformed: bool,
    /// Whether the address has been proved to be theirs.
    pub email_verified: bool,
    /// The person's id in the school's own system.
    pub external_id: Option<String>,
    /// The calling service vouches for the person (03, the limiter).
    pub vouched: bool,
    /// The person has no account and would register by this invitation (C14).
    pub sign_up: bool,
    /// The limiter says that short credentials queue for now (03).
    pub guess_guarded: bool,
    /// A use of the invitation is the person's already, spent or held: they
    /// take none, and none is short for them (P4).
    pub has_use: bool,
    /// Membership says that the person is in, or waits (R2).
    pub known: bool,
}

/// Why a redemption leads to the queue. `REMOVED_BEFORE` is membership's to
/// say (R8), so it is not among these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueCause {
    /// A join URL always does (C9).
    JoinUrl,
    /// The class code is locked (C5).
    CodeLocked,
    /// A short credential while somebody is guessing (03, the limiter).
    GuessGuard,
}

homeroom_kit::named! {
    QueueCause, as_str, from_name:
    JoinUrl = "JOIN_URL",
    CodeLocked = "CODE_LOCKED",
    GuessGuard = "GUESS_GUARD",
}

/// What using the invitation would do, as far as this service can tell;
/// membership has the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Membership at once.
    Admit,
    /// A request for staff to decide.
    Queue(QueueCause),
    /// No use left, or no longer valid, but otherwise right, or else somebody who
    /// is known: reserve without holding a use; membership answers that the
    /// person is known (a member, or waiting) or else this refusal (P3, R2).
    OnlyIfKnown(ErrorReason),
    /// Nobody gets in. Unless it is not usable at all, membership is asked first
    /// whether the person is known (R2).
    Refuse(ErrorReason),
}

impl Decision {
    /// Why not, where it is not a way in.
    #[must_use]
    pub const fn refusal(self) -> Option<ErrorReason> {
        match self {
            Self::Admit | Self::Queue(_) => None,
            Self::OnlyIfKnown(reason) | Self::Refuse(reason) => Some(reason),
        }
    }

    /// Whether a reservation under it holds a use, unless one is the person's already (P3, P4).
    #[must_use]
    pub const fn holds_use(self) -> bool {
        matches!(self, Self::Admit | Self::Queue(_))
    }
}

type Rule = fn(&Invitation, &Facts, DateTime<Utc>) -> Option<ErrorReason>;

/// Every rule, in the order in which people are told. What the person can do
/// nothing about comes first; then who they are; and last what is left of the
/// invitation, so that a failure there means that all else was right (P3).
///
/// An unproved address is told before whose address is asked for, so that
/// claiming an address tells nobody whom a token is assigned to.
const RULES: [Rule; 9] = [
    usable,
    sign_up,
    not_yet_valid,
    email_verified,
    assigned_to,
    email_domain,
    no_longer_valid,
    used_up,
    use_in_progress,
];

/// What using `invitation` at `now` would do: the first of
/// [`failing_rules`] if there is one, else in or to the queue.
#[must_use]
pub fn decide(invitation: &Invitation, attempt: &Facts, now: DateTime<Utc>) -> Decision {
    let failure = RULES.iter().find_map(|rule| rule(invitation, attempt, now));
    match failure {
        Some(reason @ (ErrorReason::NoLongerValid | ErrorReason::UsedUp)) => {
            Decision::OnlyIfKnown(reason)
        }
        Some(reason) if attempt.known && reason != ErrorReason::CodeNotUsable => {
            Decision::OnlyIfKnown(reason)
        }
        Some(reason) => Decision::Refuse(reason),
        None => queue_cause(invitation, attempt, now).map_or(Decision::Admit, Decision::Queue),
    }
}

/// Every reason for which using `invitation` at `now` would be refused, in the
/// order of precedence; empty where it would not. For staff only (R4).
#[must_use]
pub fn failing_rules(
    invitation: &Invitation,
    attempt: &Facts,
    now: DateTime<Utc>,
) -> Vec<ErrorReason> {
    RULES
        .iter()
        .filter_map(|rule| rule(invitation, attempt, now))
        .collect()
}

/// Why a use that no rule refuses leads to the queue, if it does.
fn queue_cause(invitation: &Invitation, attempt: &Facts, now: DateTime<Utc>) -> Option<QueueCause> {
    let policy = invitation.kind.policy();
    match policy.admits {
        Admits::AlwaysQueue => Some(QueueCause::JoinUrl),
        Admits::QueueOnceLocked if invitation.is_locked(now) => Some(QueueCause::CodeLocked),
        Admits::QueueOnceLocked | Admits::AtOnce => {
            (policy.short && attempt.guess_guarded && !attempt.vouched)
                .then_some(QueueCause::GuessGuard)
        }
    }
}

/// R5: off, revoked and deleted answer as the unknown does.
fn usable(invitation: &Invitation, _: &Facts, _: DateTime<Utc>) -> Option<ErrorReason> {
    (invitation.standing != Standing::On).then_some(ErrorReason::CodeNotUsable)
}

/// C14: a join URL entitles nobody to register.
fn sign_up(invitation: &Invitation, attempt: &Facts, _: DateTime<Utc>) -> Option<ErrorReason> {
    (attempt.sign_up && !invitation.kind.policy().grants_sign_up)
        .then_some(ErrorReason::SignUpNotGranted)
}

/// B5: valid from its first moment on, that moment included.
fn not_yet_valid(invitation: &Invitation, _: &Facts, now: DateTime<Utc>) -> Option<ErrorReason> {
    invitation.is_early(now).then_some(ErrorReason::NotYetValid)
}

/// B6, A8: where an address counts it must be one, and proved.
fn email_verified(
    invitation: &Invitation,
    attempt: &Facts,
    _: DateTime<Utc>,
) -> Option<ErrorReason> {
    let address_counts =
        invitation.assigned_email.is_some() || !invitation.email_domains.is_empty();
    let proved = attempt.email.is_some() && attempt.email_verified;
    let failure = if attempt.email_malformed {
        ErrorReason::EmailMalformed
    } else {
        ErrorReason::EmailUnverified
    };
    (address_counts && !proved).then_some(failure)
}

/// A8: one address or one student id; where both are set, both.
fn assigned_to(invitation: &Invitation, attempt: &Facts, _: DateTime<Utc>) -> Option<ErrorReason> {
    let right_email = invitation.assigned_email.as_ref().is_none_or(|assigned| {
        attempt
            .email
            .as_ref()
            .is_some_and(|email| email.is_same_mailbox(assigned))
    });
    let right_person = invitation
        .external_id
        .as_ref()
        .is_none_or(|assigned| attempt.external_id.as_ref() == Some(assigned));
    (!(right_email && right_person)).then_some(ErrorReason::TokenAssignedToAnother)
}

/// B6: nobody outside the domains gets in.
fn email_domain(invitation: &Invitation, attempt: &Facts, _: DateTime<Utc>) -> Option<ErrorReason> {
    let rules = &invitation.email_domains;
    let inside = rules.is_empty()
        || attempt
            .email
            .as_ref()
            .is_some_and(|email| rules.iter().any(|rule| rule.matches(email)));
    (!inside).then_some(ErrorReason::EmailDomainNotAllowed)
}

/// B5, A14: not from its last moment on, that moment included.
fn no_longer_valid(invitation: &Invitation, _: &Facts, now: DateTime<Utc>) -> Option<ErrorReason> {
    invitation
        .has_expired(now)
        .then_some(ErrorReason::NoLongerValid)
}

/// X4: every use spent, or waiting for a person's decision.
fn used_up(invitation: &Invitation, attempt: &Facts, _: DateTime<Utc>) -> Option<ErrorReason> {
    let short = !attempt.has_use && invitation.supply() == Supply::UsedUp;
    short.then_some(ErrorReason::UsedUp)
}

/// P3: uses short only because of redemptions under way.
fn use_in_progress(
    invitation: &Invitation,
    attempt: &Facts,
    _: DateTime<Utc>,
) -> Option<ErrorReason> {
    let short = !attempt.has_use && invitation.supply() == Supply::InProgress;
    short.then_some(ErrorReason::UseInProgress)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
