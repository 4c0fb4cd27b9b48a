//! A model of redemption across two services, searched to its end: every order in which messages
//! arrive, are lost or come twice, with crashes, resets, removals and decisions in between (03, the
//! redemption protocol).
//!
//! What is decided is decided by the services' own pure functions; the model adds what lies between
//! them: the rows of both databases, transactions as single steps, and the network.
//!
//! - [`configuration`] is what one search is about, and which rule a wrong variant leaves out,
//! - [`state`] is everything that differs between two moments,
//! - [`invitations`] and [`membership`] are the transactions of each service,
//! - [`steps`] is all that can happen next, [`drive`] what happens if only the workers run,
//! - [`properties`] is what must hold, [`search`] looks for where it does not.
#![expect(
    clippy::indexing_slicing,
    reason = "indexes come from the configuration; a wrong one must stop the search"
)]

pub mod configuration;
pub mod drive;
pub mod invitations;
pub mod membership;
pub mod properties;
pub mod search;
pub mod state;
pub mod steps;
pub mod words;
