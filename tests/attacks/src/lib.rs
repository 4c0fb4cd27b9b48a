//! Hostile clients beside well-behaved ones, against the running services.
//!
//! - The test `floods`: attackers use raw sockets and hand-written frames while good clients keep
//!   calling the two services. Nothing crashes, every good call is answered, memory stays below
//!   256 MB.
//! - The test `timing` measures whether the time of a refusal reveals its reason (R5).
//!
//! `tests/run attacks` builds the services for release and runs both.

pub mod attacks;
pub mod bomb;
pub mod frames;
pub mod good;
pub mod wire;
