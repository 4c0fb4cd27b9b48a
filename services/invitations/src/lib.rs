//! Invitations: tokens, codes, join URLs and their redemptions.
//!
//! `grpc` parses requests and converts answers. `app` loads, decides and applies. `domain` holds the rules as pure
//! functions. `redemption` takes one person from an invitation to a place. `store` keeps rows in PostgreSQL or SQLite.
//! `limiter` stops guessers. `membership` is the port to the other service.

pub mod app;
mod config;
pub mod domain;
pub mod grpc;
pub mod limiter;
mod maintenance;
pub mod membership;
pub mod redemption;
mod service;
pub mod store;

pub use config::{Config, DEFAULT_LISTEN, SETTINGS};
pub use homeroom_kit::service::Dependencies;
pub use maintenance::{RotationError, migrate, rotate_keys};
pub use service::{Service, StartError, start};

/// The name of this service in page tokens of its feed, in failpoints and metrics.
pub(crate) const SERVICE: &str = "invitations";
