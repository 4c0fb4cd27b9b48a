//! The invitation: one model for all kinds.

use chrono::{DateTime, TimeDelta, Utc};
pub use homeroom_api::names::InvitationKind;
use homeroom_api::names::{InvitationName, Place};
use homeroom_kit::email::EmailAddress;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::domain_rule::DomainRule;
use super::lock::Lock;

/// The default lifetime of a class token (A14).
pub const CLASS_TOKEN_LIFETIME: TimeDelta = TimeDelta::days(30);

/// The default number of people that a class token admits (X4).
pub const CLASS_TOKEN_USES: u32 = 1;

/// The count of an invitation's resets, revocations, switch-offs and changes of its code. Redemptions that began in an
/// older epoch are never admitted (C8, P7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(i64);

impl Epoch {
    /// The epoch of a new invitation.
    pub const FIRST: Self = Self(1);

    /// Returns the epoch stored as `value`.
    #[must_use]
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// Returns the number to store and to send.
    #[must_use]
    pub const fn value(self) -> i64 {
        self.0
    }

    /// Returns the next epoch.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The standing of the invitation. Unless it is [`Standing::On`], the invitation is answered as if it did not exist
/// (R5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// In use.
    On,
    /// Switched off by staff, who may switch it on again (B8, C12).
    Off,
    /// Revoked or deleted permanently (A14, B11).
    Revoked,
}

/// The uses of the invitation: the numbers of redemptions that hold a use, by state (P4). Redemptions that hold none
/// (P3) are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Uses {
    /// COMMITTED: permanently spent.
    pub used: u32,
    /// RESERVED: under way, decided within moments.
    pub reserved: u32,
    /// QUEUED: waiting for a person's decision.
    pub queued: u32,
}

impl Uses {
    /// Returns the number of uses that only a person's decision can give back.
    #[must_use]
    pub const fn settled(self) -> u32 {
        self.used.saturating_add(self.queued)
    }

    /// Returns the number of uses that are spent or held (P4).
    #[must_use]
    pub const fn held(self) -> u32 {
        self.settled().saturating_add(self.reserved)
    }
}

/// One invitation, as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The id, which provenance names (R6).
    pub id: Uuid,
    /// The kind.
    pub kind: InvitationKind,
    /// The place that it leads to; never taken from the client (P12).
    pub place: Place,
    /// The epoch, raised by every reset, revocation, switch-off and changed code (P7).
    pub epoch: Epoch,
    /// The standing: in use, off or revoked.
    pub standing: Standing,
    /// The first moment at which it works, inclusive (B5); `None`: it works at once.
    pub valid_from: Option<DateTime<Utc>>,
    /// The first moment at which it no longer works (B5, A14); `None`: it never ends.
    pub valid_till: Option<DateTime<Utc>>,
    /// The number of people that it admits (X4); `None`: unlimited.
    pub max_uses: Option<u32>,
    /// The number of people that it has admitted, and is admitting.
    pub uses: Uses,
    /// The one verified address that may use it (A8).
    pub assigned_email: Option<EmailAddress>,
    /// The one student id that may use it, compared exactly (A8).
    pub external_id: Option<String>,
    /// The domains whose verified addresses may use it; empty: all addresses (B6).
    pub email_domains: Vec<DomainRule>,
    /// The lock (C4); only class codes have one.
    pub lock: Option<Lock>,
    /// The time at which the current secret was made: at creation, or at the last reset or changed code. Removals are
    /// compared with it (R8).
    pub issue_time: DateTime<Utc>,
    /// True if it admits at once even people who were removed after `issue_time` (R8).
    pub allow_rejoin: bool,
}

impl Invitation {
    /// Returns its resource name: the subject of its events and the key of its fence.
    #[must_use]
    pub fn name(&self) -> InvitationName {
        InvitationName::new(self.kind, self.place.clone(), self.id)
    }

    /// Returns true if it is locked at `now` (C4); an invitation without a lock never is.
    #[must_use]
    pub fn is_locked(&self, now: DateTime<Utc>) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.is_locked(now))
    }

    /// Returns true if it has ended at `now` (B5: the end is exclusive).
    #[must_use]
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.valid_till.is_some_and(|till| now >= till)
    }

    /// Returns true if its first moment is still to come at `now` (B5: inclusive).
    #[must_use]
    pub fn is_early(&self, now: DateTime<Utc>) -> bool {
        self.valid_from.is_some_and(|from| now < from)
    }

    /// Returns the supply of its uses (P3, P4).
    #[must_use]
    pub fn supply(&self) -> Supply {
        match self.max_uses {
            Some(max) if self.uses.settled() >= max => Supply::UsedUp,
            Some(max) if self.uses.held() >= max => Supply::InProgress,
            _ => Supply::Available,
        }
    }

    /// Returns the state that staff are shown at `now`: the first that applies, in the order of [`InvitationState`].
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> InvitationState {
        match self.standing {
            Standing::Revoked => InvitationState::Revoked,
            Standing::Off => InvitationState::Disabled,
            Standing::On if self.has_expired(now) => InvitationState::Expired,
            Standing::On if self.is_early(now) => InvitationState::NotYetValid,
            Standing::On if self.supply() == Supply::UsedUp => InvitationState::UsedUp,
            Standing::On => InvitationState::Active,
        }
    }
}

/// The supply of an invitation's uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Supply {
    /// At least one use is left.
    Available,
    /// No use is left, but only because of redemptions under way: try again (P3).
    InProgress,
    /// No use is left.
    UsedUp,
}

/// The state that staff are shown: `Token.state` and `EnrollmentCode.state` of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvitationState {
    /// Revoked or deleted.
    Revoked,
    /// Switched off.
    Disabled,
    /// It has ended.
    Expired,
    /// Its first moment is still to come.
    NotYetValid,
    /// Every use is spent or waits for a decision.
    UsedUp,
    /// In use.
    Active,
}

/// The conditions on the invitations of a place to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvitationFilter {
    /// Only those assigned to this canonical address.
    pub assigned_email: Option<String>,
    /// Only those assigned to this external id.
    pub external_id: Option<String>,
    /// Only those whose switch is on (true) or off (false).
    pub enabled: Option<bool>,
}

#[cfg(test)]
#[path = "invitation_tests.rs"]
mod tests;
