//! What callers were told, and when.

pub(crate) mod check;
pub(crate) mod facts;

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use homeroom_api::invitations::v1::RedemptionOutcome;

/// Since the round began, by a clock that only goes forward.
pub(crate) type Moment = Duration;

/// When a call began, and when it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) begin: Moment,
    pub(crate) end: Moment,
}

/// A secret as it was handed out: a reset makes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SecretId(pub(crate) u64);

/// What one call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Acknowledged.
    Accepted {
        redemption: String,
        outcome: RedemptionOutcome,
        /// The member or the join request.
        resource: String,
    },
    /// Refused for good, with the reason.
    Refused(String),
    /// Nobody knows: to be asked again.
    Unknown,
}

/// One call that redeems.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) request_id: String,
    pub(crate) user: String,
    pub(crate) organization: String,
    /// The class's resource name; empty: the organization's own.
    pub(crate) class: String,
    pub(crate) secret: SecretId,
    pub(crate) span: Span,
    pub(crate) answer: Answer,
}

/// How a person decided a join request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Approved,
    Denied,
    Withdrawn,
}

impl Decision {
    /// As the database has it.
    pub(crate) const fn state(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::Denied => "DENIED",
            Self::Withdrawn => "WITHDRAWN",
        }
    }
}

/// What a caller saw.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// A call that redeems was answered, or given up.
    Asked(Asked),
    /// A reset, a revocation, a switch-off or a deletion of this secret was acknowledged.
    Closed { secret: SecretId, span: Span },
    /// A switch-on was sent for the first time.
    Reopening { secret: SecretId, begin: Moment },
    /// A decision was acknowledged.
    Decided {
        join_request: String,
        decision: Decision,
    },
    /// A removal from an organization was sent, and perhaps acknowledged.
    Left {
        organization: String,
        user: String,
        span: Span,
        acknowledged: bool,
    },
}

/// Everything that callers saw in one round.
#[derive(Debug)]
pub(crate) struct History {
    start: Instant,
    entries: Mutex<Vec<Entry>>,
    answers: Mutex<BTreeMap<String, u64>>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            entries: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.start.elapsed()
    }

    pub(crate) fn write(&self, entry: Entry) {
        self.entries.lock().unwrap().push(entry);
    }

    /// Counts an answer of any call under a name.
    pub(crate) fn count(&self, answer: &str) {
        let mut answers = self.answers.lock().unwrap();
        *answers.entry(answer.to_owned()).or_default() += 1;
    }

    /// How many answers of each name.
    pub(crate) fn answers(&self) -> BTreeMap<String, u64> {
        self.answers.lock().unwrap().clone()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }
}
