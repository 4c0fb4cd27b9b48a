//! Who is in: organizations, classes, members, licensed seats and the approval queue.
//!
//! `grpc` parses requests and converts answers, `admission` and `app` load, decide and apply, `domain`
//! holds the rules as pure functions, `store` keeps rows in PostgreSQL or SQLite behind one trait, and
//! `service` wires them.

#![expect(
    clippy::duplicate_mod,
    reason = "queries are compiled once for each engine, on purpose"
)]

pub mod admission;
pub mod app;
mod config;
pub mod domain;
mod grpc;
mod service;
pub mod store;

pub use config::Config;
pub use service::{Dependencies, Service, StartError, migrate, start};

/// The name of this service in page tokens of its feed and in failpoints.
pub(crate) const SERVICE: &str = "membership";
