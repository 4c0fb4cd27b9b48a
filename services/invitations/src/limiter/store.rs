//! The commands to a store of the limiter's state: each is one transition of one subject's state.

use std::fmt;

use async_trait::async_trait;
use homeroom_api::ids::{OrganizationId, UserId};

use super::{
    Effect, GuessHash, GuessScope,
    budget::{AddressGroup, Rate, UserBudget},
    state::Reply,
};

/// The subject whose state a command changes: one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    User(UserId),
    Address(AddressGroup),
    Organization(OrganizationId),
    Service,
    CallingService(String),
}

impl From<&GuessScope> for Subject {
    fn from(scope: &GuessScope) -> Self {
        match scope {
            GuessScope::Organization(organization) => Self::Organization(organization.clone()),
            GuessScope::Service => Self::Service,
        }
    }
}

/// A transition of `state.rs` or `user_log.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    ChargeUser {
        guess: GuessHash,
        budget: UserBudget,
    },
    RefundUser {
        /// The mark of the charge; 0 for a repeat.
        mark: i64,
        guess: GuessHash,
        repeats: Rate,
        effect: Effect,
        effects_max: i64,
    },
    KeepUser {
        mark: i64,
        guess: GuessHash,
    },
    ClearUser,
    ChargeBucket {
        rate: Rate,
        held: bool,
    },
    PeekBucket(Rate),
    RefundBucket {
        mark: i64,
        rate: Rate,
    },
    KeepBucket {
        mark: i64,
        rate: Rate,
    },
    AddToBucket {
        most: i64,
        rate: Rate,
    },
    EnterGuard {
        in_flight_max: i64,
    },
    PeekGuard,
    LeaveGuard {
        mark: i64,
    },
    KeepGuard {
        mark: i64,
        rate: Rate,
    },
}

/// One transition of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) subject: Subject,
    pub(crate) operation: Operation,
}

/// The error if the store could not be asked; its commands may or may not have been run.
#[derive(Debug, thiserror::Error)]
#[error("the limiter's store is away: {0}")]
pub struct StoreAway(pub(crate) String);

/// Keeps the limiter's state.
#[async_trait]
pub(crate) trait Store: Send + Sync + fmt::Debug {
    /// Runs the commands in one round trip, each atomically and those of one subject in order. Returns one reply for
    /// each. Fails if one of them is not answered.
    async fn run(&self, commands: &[Command]) -> Result<Vec<Reply>, StoreAway>;
}
