//! The answers that callers got, and their times.

pub(crate) mod check;
pub(crate) mod facts;

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

/// The time since the round began, by a monotonic clock.
pub(crate) type Moment = Duration;

/// The time at which a call began and the time of its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) begin: Moment,
    pub(crate) end: Moment,
}

/// The identity of a secret; a reset makes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SecretId(pub(crate) u64);

/// The answer to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The call succeeded.
    Accepted {
        redemption: String,
        /// The name of the outcome.
        outcome: String,
        /// The resource name of the join request; empty if there is none.
        join_request: String,
    },
    /// The call was refused for good, with this reason.
    Refused(String),
    /// The result is unknown: the call must be repeated.
    Unknown,
}

impl Answer {
    /// Returns the outcome; empty if the call did not succeed.
    pub(crate) fn outcome(&self) -> &str {
        match self {
            Self::Accepted { outcome, .. } => outcome,
            _ => "",
        }
    }

    /// Returns true if the call succeeded.
    pub(crate) fn is_accepted(&self) -> bool {
        !self.outcome().is_empty()
    }
}

/// One call that redeems.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) request_id: String,
    pub(crate) user: String,
    pub(crate) organization: String,
    /// The class's resource name; empty for the organization's own invitation.
    pub(crate) class: String,
    pub(crate) secret: SecretId,
    pub(crate) span: Span,
    pub(crate) answer: Answer,
}

impl Asked {
    /// Returns the class, or the organization by whose own invitation the call redeems.
    pub(crate) fn place(&self) -> &str {
        if self.class.is_empty() {
            &self.organization
        } else {
            &self.class
        }
    }
}

/// A person's decision on a join request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Approved,
    Denied,
    Withdrawn,
}

impl Decision {
    /// Returns the state in the database.
    pub(crate) const fn state(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::Denied => "DENIED",
            Self::Withdrawn => "WITHDRAWN",
        }
    }
}

/// An observation of a caller.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// A call that redeems was answered, or its caller gave up.
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

/// Everything that callers observed in one round.
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

    /// Returns the time from `begin` until now.
    pub(crate) fn since(&self, begin: Moment) -> Span {
        let end = self.now();
        Span { begin, end }
    }

    pub(crate) fn write(&self, entry: Entry) {
        self.entries.lock().unwrap().push(entry);
    }

    /// Counts an answer of any call by its name.
    pub(crate) fn count(&self, answer: &str) {
        let mut answers = self.answers.lock().unwrap();
        *answers.entry(answer.to_owned()).or_default() += 1;
    }

    /// Returns the number of answers by name.
    pub(crate) fn answers(&self) -> BTreeMap<String, u64> {
        self.answers.lock().unwrap().clone()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }
}
