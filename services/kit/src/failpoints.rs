//! Points at which a test injects faults: before and after each commit, send and receive.
//!
//! Without the feature `failpoints` every function here does nothing and costs nothing; only the
//! packages under `tests/` switch it on. A point is armed for the whole process.
//!
//! A point is named by its service, its place and its moment:
//!
//! - `{service}.{transaction}.before_commit` and `.after_commit`: [`Session::commit`], with the
//!   name of the transaction (`reserve`, `settle`, `admit`, …);
//! - `invitations.settle.before_begin`: T3, which a test delays;
//! - `membership.admit.looked` and `invitations.reserve.looked`: reached only by
//!   [`WrongVariant::CheckThenAct`], after it has read its data for the decision and before it
//!   holds a lock;
//! - `{service}.{Rpc}.received` and `.answering`: every call that a server receives;
//! - `invitations.{Rpc}.sending` and `.answered`: every call from invitations to membership.
//!
//! The test `failpoints` of `tests/faults` lists them all.
//!
//! [`Session::commit`]: crate::database::Session::commit

crate::named! {
    /// A moment in a transaction or a call.
    pub enum Moment: as_str, from_name {
        /// The transaction has not begun: nothing has been read or written.
        BeforeBegin = "before_begin",
        /// A wrong variant has read its data for the decision, before the transaction begins.
        Looked = "looked",
        /// Everything is written and nothing is committed.
        BeforeCommit = "before_commit",
        /// The transaction is committed, and nobody has been told.
        AfterCommit = "after_commit",
        /// A call has arrived, and nothing has been done.
        Received = "received",
        /// The answer to a call is ready and has not been sent.
        Answering = "answering",
        /// A call to the other service has not been sent.
        Sending = "sending",
        /// The other service has answered, and the answer has had no effect yet.
        Answered = "answered",
    }
}

crate::named! {
    /// A protocol that is known to be wrong, which the fault tests must detect.
    pub enum WrongVariant: as_str, from_name {
        /// A reservation is released when a time limit passes (against P1).
        ReleaseOnTimeout = "release-on-timeout",
        /// Admissions have no unique key (against P1).
        NoAdmissionKey = "no-admission-key",
        /// Fences are not checked (against P7).
        NoFence = "no-fence",
        /// Seats and uses are checked before the locks are taken (against P4 and P6).
        CheckThenAct = "check-then-act",
        /// T3 overwrites a settled redemption.
        SettleOverwrites = "settle-overwrites",
    }
}

/// A fault that a test ordered, after which the program continues as if the database or the other
/// service had gone away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fault was injected")]
pub struct Injected;

#[cfg(not(feature = "failpoints"))]
mod unarmed {
    use super::{Injected, Moment, WrongVariant};

    /// Reports that the program has reached `moment` of `place`. Fails if a test ordered it.
    #[inline]
    pub async fn reached(_service: &str, _place: &str, _moment: Moment) -> Result<(), Injected> {
        Ok(())
    }

    /// Returns true if a test switched this variant on.
    #[inline]
    #[must_use]
    pub const fn is_wrong(_variant: WrongVariant) -> bool {
        false
    }
}

#[cfg(not(feature = "failpoints"))]
pub use unarmed::{is_wrong, reached};

#[cfg(feature = "failpoints")]
mod armed;
#[cfg(feature = "failpoints")]
pub use armed::{Action, Armed, arm, disarm, hits, is_wrong, reached, set_wrong_variant};
