//! The invitation: one model for the five ways in, and the policy that tells
//! them apart.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::names::Place;
use uuid::Uuid;

use super::domain_rule::DomainRule;
use super::email::EmailAddress;
use super::lock::Lock;

/// A class token lives for this long unless it is told otherwise (A14).
pub const CLASS_TOKEN_LIFETIME: TimeDelta = TimeDelta::days(30);

/// A class token admits this many people unless it is told otherwise (X4).
pub const CLASS_TOKEN_USES: u32 = 1;

/// Which way in an invitation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvitationKind {
    /// The organization's one invite token (A2).
    OrganizationToken,
    /// A phrase that leads into one class (A6).
    ClassToken,
    /// A code typed by its author (B4).
    EnrollmentCode,
    /// A class's code, which locks itself (C1, C4).
    ClassCode,
    /// A class's public address, which always queues (C9).
    JoinUrl,
}

// A keyed look-up is tagged with the name too.
homeroom_kit::named! {
    InvitationKind, tag, from_tag:
    OrganizationToken = "organization_token",
    ClassToken = "class_token",
    EnrollmentCode = "enrollment_code",
    ClassCode = "class_code",
    JoinUrl = "join_url",
}

impl InvitationKind {
    /// What this way in does and says of itself: the table of 01.
    #[must_use]
    pub const fn policy(self) -> Policy {
        match self {
            Self::OrganizationToken => Policy {
                admits: Admits::AtOnce,
                grants_sign_up: true,
                survives_sign_up: true,
                may_be_public: true,
                short: false,
            },
            Self::ClassToken | Self::EnrollmentCode => Policy {
                admits: Admits::AtOnce,
                grants_sign_up: true,
                survives_sign_up: true,
                may_be_public: false,
                short: true,
            },
            Self::ClassCode => Policy {
                admits: Admits::QueueOnceLocked,
                grants_sign_up: true,
                survives_sign_up: true,
                may_be_public: false,
                short: false,
            },
            Self::JoinUrl => Policy {
                admits: Admits::AlwaysQueue,
                grants_sign_up: false,
                survives_sign_up: true,
                may_be_public: true,
                short: false,
            },
        }
    }
}

/// Whether a way in admits or queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Admits {
    /// Membership at once (A1, B3).
    AtOnce,
    /// Membership at once while unlocked, the queue once locked (C2, C5).
    QueueOnceLocked,
    /// Always the queue (C9).
    AlwaysQueue,
}

/// One column of the table of 01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent columns of the table of 01"
)]
pub struct Policy {
    /// Whether it admits or queues.
    pub admits: Admits,
    /// It entitles a person without an account to register as Student (C14, X1).
    pub grants_sign_up: bool,
    /// A person who registered by other means can use it (X1).
    pub survives_sign_up: bool,
    /// It may stand on a public page (C3).
    pub may_be_public: bool,
    /// It may hold so few bits that guessing it is worth a try: under
    /// guessing it queues (03, the limiter).
    pub short: bool,
}

/// Counts an invitation's resets, revocations, switch-offs and changes of its
/// code; what was begun under an older epoch is never admitted (C8, P7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(i64);

impl Epoch {
    /// The epoch an invitation is made in.
    pub const FIRST: Self = Self(1);

    /// The epoch stored as `value`.
    #[must_use]
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// The number to store and to send.
    #[must_use]
    pub const fn value(self) -> i64 {
        self.0
    }

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Whether the invitation is in use at all. Whatever is not [`Standing::On`]
/// answers as if it did not exist (R5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// In use.
    On,
    /// Switched off by staff, who may switch it on again (B8, C12).
    Off,
    /// Revoked or deleted, for good (A14, B11).
    Revoked,
}

/// How often the invitation has been used: redemptions that hold a use, by
/// state (P4). Those that hold none (P3) are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Uses {
    /// COMMITTED: spent for good.
    pub used: u32,
    /// RESERVED: under way, decided within moments.
    pub reserved: u32,
    /// QUEUED: waiting for a person's decision.
    pub queued: u32,
}

impl Uses {
    /// Uses that only a person's decision can give back.
    #[must_use]
    pub const fn settled(self) -> u32 {
        self.used.saturating_add(self.queued)
    }

    /// Every use that is spent or held (P4).
    #[must_use]
    pub const fn held(self) -> u32 {
        self.settled().saturating_add(self.reserved)
    }
}

/// One invitation, as it stands in its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id, which provenance names (R6).
    pub id: Uuid,
    /// Which way in it is.
    pub kind: InvitationKind,
    /// Where it leads; never taken from the client (P12).
    pub place: Place,
    /// Raised by every reset, revocation, switch-off and changed code (P7).
    pub epoch: Epoch,
    /// Whether it is in use.
    pub standing: Standing,
    /// The first moment at which it works, inclusive (B5); `None`: at once.
    pub valid_from: Option<DateTime<Utc>>,
    /// The first moment at which it no longer works (B5, A14); `None`: never.
    pub valid_till: Option<DateTime<Utc>>,
    /// How many it admits (X4); `None`: unlimited.
    pub max_uses: Option<u32>,
    /// How many it has admitted, and is admitting.
    pub uses: Uses,
    /// The one verified address that may use it (A8).
    pub assigned_email: Option<EmailAddress>,
    /// The one student id that may use it, compared exactly (A8).
    pub external_id: Option<String>,
    /// Whose verified addresses may use it; empty: everyone's (B6).
    pub email_domains: Vec<DomainRule>,
    /// When it locks (C4); class codes have one, no other kind does.
    pub lock: Option<Lock>,
    /// When the present secret was made: at creation, or at the last reset or
    /// changed code. What a removal is compared with (R8).
    pub issue_time: DateTime<Utc>,
    /// Admits at once even those removed after `issue_time` (R8).
    pub allow_rejoin: bool,
}

impl Invitation {
    /// Whether it is locked at `now` (C4); what has no lock never is.
    #[must_use]
    pub fn is_locked(&self, now: DateTime<Utc>) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.is_locked(now))
    }

    /// Whether its last moment has passed at `now` (B5: the end is exclusive).
    #[must_use]
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.valid_till.is_some_and(|till| now >= till)
    }

    /// Whether its first moment is still to come at `now` (B5: inclusive).
    #[must_use]
    pub fn is_early(&self, now: DateTime<Utc>) -> bool {
        self.valid_from.is_some_and(|from| now < from)
    }

    /// What is left of its uses (P3, P4).
    #[must_use]
    pub fn supply(&self) -> Supply {
        match self.max_uses {
            Some(max) if self.uses.settled() >= max => Supply::UsedUp,
            Some(max) if self.uses.held() >= max => Supply::InProgress,
            _ => Supply::Available,
        }
    }

    /// What staff are shown of it at `now`: the first that holds, in the order
    /// of [`InvitationState`].
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

/// What is left of an invitation's uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Supply {
    /// At least one.
    Available,
    /// None, but only because of redemptions under way: try again (P3).
    InProgress,
    /// None.
    UsedUp,
}

/// What staff are shown: `Token.state` and `EnrollmentCode.state` of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvitationState {
    /// Revoked or deleted.
    Revoked,
    /// Switched off.
    Disabled,
    /// Its last moment has passed.
    Expired,
    /// Its first moment is to come.
    NotYetValid,
    /// Every use is spent or waits for a decision.
    UsedUp,
    /// In use.
    Active,
}

#[cfg(test)]
#[path = "invitation_tests.rs"]
mod tests;
