//! Redemptions in membership, from the wait in a lane to the stored answer (T2); and imports, which plan in the same
//! way ([roster]).
//!
//! A handler of `grpc` passes redemptions to the [lanes], which group them into transactions. A transaction ([admit])
//! locks and loads through the [ledger], calls `domain::admission` to decide each redemption, collects the effects in a
//! [plan], and saves them through the ledger.

pub mod admit;
mod get_admission;
pub mod lanes;
pub mod ledger;
pub mod plan;
mod preview;
mod raise_fence;
pub(crate) mod roster;
