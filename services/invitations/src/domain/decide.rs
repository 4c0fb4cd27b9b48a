//! The effect of using an invitation. One list of rules in one order serves redeem, preview and batch.

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;
use homeroom_api::ids::UserId;
use homeroom_kit::email::EmailAddress;

use super::invitation::{Invitation, Standing, Supply};
use super::way::{Admits, Policy};

/// The facts about the person who uses the invitation, as far as they are believed: claims that the calling service may
/// not make are left out.
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
    /// True if the person's address was given but cannot be parsed.
    pub email_malformed: bool,
    /// True if the person has proved that the address is theirs.
    pub email_verified: bool,
    /// The person's id in the school's own system.
    pub external_id: Option<String>,
    /// True if the calling service vouches for the person (R10).
    pub vouched: bool,
    /// True if the person has no account and would register by this invitation (C13).
    pub sign_up: bool,
    /// True if the limiter says that short credentials queue for now (R10).
    pub guess_guarded: bool,
    /// True if the person already has a use of the invitation, spent or held: they take none, and none is missing for
    /// them (P4).
    pub has_use: bool,
    /// True if membership says that the person is a member or waits (R2).
    pub known: bool,
}

homeroom_kit::named! {
    /// The cause of queueing. `REMOVED_BEFORE` is not among them, because only membership decides that (R8).
    pub enum QueueCause: as_str, from_name {
        /// The invitation is a join URL, which always leads to the queue (C9).
        JoinUrl = "JOIN_URL",
        /// The class code is locked (C5).
        CodeLocked = "CODE_LOCKED",
        /// The credential is short, and somebody is guessing (R10).
        GuessGuard = "GUESS_GUARD",
    }
}

/// The effect of using the invitation, as far as this service can tell; membership has the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The person is admitted at once.
    Admit,
    /// A request is filed for staff to decide.
    Queue(QueueCause),
    /// No use is left, or the invitation has expired, but all other rules hold, or the person is known. The redemption
    /// is reserved without a use; membership answers that the person is known (a member, or waiting), or else with this
    /// refusal (P3, R2).
    OnlyIfKnown(ErrorReason),
    /// Nobody gets in. Unless the invitation is not usable at all, membership is asked first whether the person is
    /// known (R2).
    Refuse(ErrorReason),
}

impl Decision {
    /// Returns the reason of the refusal, if it is one.
    #[must_use]
    pub const fn refusal(self) -> Option<ErrorReason> {
        match self {
            Self::Admit | Self::Queue(_) => None,
            Self::OnlyIfKnown(reason) | Self::Refuse(reason) => Some(reason),
        }
    }

    /// Returns true if a reservation holds a use, unless the person has one already (P3, P4).
    #[must_use]
    pub const fn holds_use(self) -> bool {
        matches!(self, Self::Admit | Self::Queue(_))
    }
}

type Rule = fn(&Invitation, &Facts, DateTime<Utc>) -> Option<ErrorReason>;

/// Every rule, in the order in which people are told. First come the facts that the person cannot change; then the
/// person's own; and last the invitation's remaining uses, so that a failure there means that all other rules hold
/// (P3).
///
/// An unproved address is reported before a wrong one, so that claiming an address reveals to nobody whom a token is
/// assigned to.
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

/// Returns the effect of using `invitation` at `now`: the first of [`failing_rules`] if there is one, otherwise
/// admission or the queue.
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

/// Returns every reason for which using `invitation` at `now` would be refused, in the order of precedence; empty if
/// there is none. It is for staff only (R4).
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

/// Returns the cause for which a use that no rule refuses leads to the queue, if it does.
fn queue_cause(invitation: &Invitation, attempt: &Facts, now: DateTime<Utc>) -> Option<QueueCause> {
    let policy = Policy::of(invitation.kind);
    match policy.admits {
        Admits::AlwaysQueue => Some(QueueCause::JoinUrl),
        Admits::QueueOnceLocked if invitation.is_locked(now) => Some(QueueCause::CodeLocked),
        Admits::QueueOnceLocked | Admits::AtOnce => {
            (policy.short && attempt.guess_guarded && !attempt.vouched)
                .then_some(QueueCause::GuessGuard)
        }
    }
}

/// Refuses invitations that are off, revoked or deleted, with the same answer as unknown ones (R5).
fn usable(invitation: &Invitation, _: &Facts, _: DateTime<Utc>) -> Option<ErrorReason> {
    (invitation.standing != Standing::On).then_some(ErrorReason::CodeNotUsable)
}

/// Refuses registration by a join URL, which entitles nobody to register (C13).
fn sign_up(invitation: &Invitation, attempt: &Facts, _: DateTime<Utc>) -> Option<ErrorReason> {
    (attempt.sign_up && !Policy::of(invitation.kind).grants_sign_up)
        .then_some(ErrorReason::SignUpNotGranted)
}

/// Refuses before the invitation's first moment (B5).
fn not_yet_valid(invitation: &Invitation, _: &Facts, now: DateTime<Utc>) -> Option<ErrorReason> {
    invitation.is_early(now).then_some(ErrorReason::NotYetValid)
}

/// Refuses people without a proved address, if the address matters (B6, A8).
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

/// Refuses everyone but the one address or the one student id; if both are set, both must match (A8).
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

/// Refuses addresses outside the domains (B6).
fn email_domain(invitation: &Invitation, attempt: &Facts, _: DateTime<Utc>) -> Option<ErrorReason> {
    let rules = &invitation.email_domains;
    let inside = rules.is_empty()
        || attempt
            .email
            .as_ref()
            .is_some_and(|email| rules.iter().any(|rule| rule.matches(email)));
    (!inside).then_some(ErrorReason::EmailDomainNotAllowed)
}

/// Refuses from the invitation's end on, that moment included (B5, A14).
fn no_longer_valid(invitation: &Invitation, _: &Facts, now: DateTime<Utc>) -> Option<ErrorReason> {
    invitation
        .has_expired(now)
        .then_some(ErrorReason::NoLongerValid)
}

/// Refuses if every use is spent, or waits for a person's decision (X4).
fn used_up(invitation: &Invitation, attempt: &Facts, _: DateTime<Utc>) -> Option<ErrorReason> {
    let short = !attempt.has_use && invitation.supply() == Supply::UsedUp;
    short.then_some(ErrorReason::UsedUp)
}

/// Refuses if redemptions under way hold the missing uses (P3).
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
pub(crate) mod tests;
