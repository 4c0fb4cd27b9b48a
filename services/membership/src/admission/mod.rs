//! Redemptions: what membership does with each, from the wait for its turn to the stored answer (T2).
//!
//! A handler of `grpc` hands redemptions to the [lanes], which form transactions of them. One transaction
//! ([admit]) locks and loads by the [ledger], has `domain::admission` decide each redemption, collects the
//! effects in a [plan], and saves them by the ledger.

pub mod admit;
mod get_admission;
pub mod lanes;
pub mod ledger;
pub mod plan;
mod preview;
mod raise_fence;
