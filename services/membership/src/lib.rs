//! The membership service: organizations, classes, members, licensed seats and the approval queue.
//!
//! `grpc` parses requests and converts answers, `admission` and `app` load, decide and apply, `domain` holds the rules
//! as pure functions, `store` keeps rows in PostgreSQL or SQLite, and `service` connects them.

pub mod admission;
pub mod app;
mod config;
pub mod domain;
mod grpc;
mod service;
pub mod store;

pub use config::{Config, SETTINGS};
pub use homeroom_kit::service::{Dependencies, StartError};
pub use service::{Service, migrate, start};

/// The name of this service in the page tokens of its feed, in failpoints and in metrics.
pub(crate) const SERVICE: &str = "membership";
