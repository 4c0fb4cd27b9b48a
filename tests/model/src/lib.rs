//! An exhaustively searched model of redemption across two services: every order in which messages
//! arrive, are lost or are repeated, with crashes, resets, removals and decisions in between.
//!
//! The services' own pure functions make the decisions. The model adds the rest: the rows of both
//! databases, transactions as single steps, and the network.
//!
//! - [`configuration`] describes one search and the rule that a wrong variant leaves out,
//! - [`state`] holds everything that differs between two moments,
//! - [`invitations`] and [`membership`] are the transactions of each service,
//! - [`steps`] lists every possible next step, [`drive`] runs only the workers,
//! - [`properties`] states what must hold, [`search`] looks for violations.

pub mod configuration;
pub mod drive;
pub mod invitations;
pub mod membership;
pub mod properties;
pub mod search;
pub mod state;
pub mod steps;
pub mod words;
