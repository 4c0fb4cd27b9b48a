//! Places where a test breaks the program: before and after each commit, send and receive.
//!
//! Without the feature `failpoints` every function here does nothing and costs nothing; only the
//! packages under `tests/` switch it on. What is armed is armed for the whole process.
//!
//! A point is named by its service, its place and its moment:
//!
//! - `{service}.{transaction}.before_commit` and `.after_commit`: [`Session::commit`], where the
//!   transaction is named by what commits it (`reserve`, `settle`, `admit`, …);
//! - `invitations.settle.before_begin`: T3, which a test makes late;
//! - `membership.admit.looked` and `invitations.reserve.looked`: [`WrongVariant::CheckThenAct`] alone
//!   has read what it will decide by, and holds no lock yet;
//! - `{service}.{Rpc}.received` and `.answering`: every call that a server takes;
//! - `invitations.{Rpc}.sending` and `.answered`: every call of invitations to membership.
//!
//! The test `failpoints` of `tests/faults` lists them all.
//!
//! [`Session::commit`]: crate::database::Session::commit

/// Where in a transaction or a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// A transaction has not begun: nothing has been read or written.
    BeforeBegin,
    /// A wrong variant has read what it will decide by, before the transaction begins.
    Looked,
    /// Everything is written, nothing stands.
    BeforeCommit,
    /// It stands, and nobody has been told.
    AfterCommit,
    /// A call has arrived and nothing has been done.
    Received,
    /// The answer to a call is ready and has not left.
    Answering,
    /// A call to the other service has not left.
    Sending,
    /// The other service has answered, and nothing came of it yet.
    Answered,
}

/// A protocol that is known to be wrong: what the fault tests must notice (03, faults).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongVariant {
    /// A reservation is given up because time ran out (against P1).
    ReleaseOnTimeout,
    /// Admissions are not keyed by the redemption (against P1).
    NoAdmissionKey,
    /// Fences are not judged (against P7).
    NoFence,
    /// Seats and uses are checked before the locks are taken (against P4 and P6).
    CheckThenAct,
    /// T3 writes over a settled redemption.
    SettleOverwrites,
}

/// A fault that a test asked for, where the program goes on: as if the database or the other
/// service had gone away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fault was injected")]
pub struct Injected;

#[cfg(not(feature = "failpoints"))]
mod unarmed {
    use super::{Injected, Moment, WrongVariant};

    /// Says that the program stands at `moment` of `place`. Errs where a test asked for it.
    #[inline]
    pub async fn reached(_service: &str, _place: &str, _moment: Moment) -> Result<(), Injected> {
        Ok(())
    }

    /// Whether a test switched this variant on.
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
