//! Hostile clients beside well-behaved ones, against the running services.
//!
//! - `cargo test --package homeroom-attacks --test floods -- --nocapture`: attackers use raw
//!   sockets and hand-written frames while good clients keep calling the two services. Nothing
//!   crashes, every good call is answered, memory stays below 256 MB; a table of the good callers'
//!   waiting times is printed. It needs the binaries of the same profile: `cargo build --package
//!   homeroom-membership --package homeroom-invitations` first (`--release` with both for release).
//!   No database server is needed.
//! - `cargo test --package homeroom-attacks --test refusals`: credentials that open nothing get one
//!   answer, identical in every byte (R5), for every kind of credential and every reason, on both
//!   engines; run it by `tests/run`, which starts PostgreSQL and Redis.
//! - `cargo run --release --package homeroom-attacks -- timing --samples 10000`: measures whether
//!   the time of a refusal reveals its reason (R5), as the AUC of a threshold classifier for each
//!   pair of reasons; 0.5 is a guess. It needs the release binaries as above, and an otherwise idle
//!   machine; `--engine postgres` needs `HOMEROOM_TEST_DATABASE_URL` and `HOMEROOM_TEST_REDIS_URL`.
//! - `cargo test --package homeroom-attacks --test timing`: checks that the measurement runs, with
//!   few samples; it proves nothing about time.

pub mod attacks;
pub mod bomb;
pub mod frames;
pub mod good;
pub mod process;
pub mod timing;
pub mod wire;
