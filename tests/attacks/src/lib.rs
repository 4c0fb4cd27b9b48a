//! Hostile clients beside good ones, against the services as they run.
//!
//! - `cargo test --package homeroom-attacks --test floods -- --nocapture`: attackers over raw sockets, whose
//!   frames are written by hand, while good clients go on calling. Both ways to run the services: the two
//!   binaries, and `homeroom serve`. Nothing crashes, every good call is answered, memory stays below 256 MB;
//!   the table of what good callers waited is printed. It needs the binaries of the same profile:
//!   `cargo build --package homeroom-membership --package homeroom-invitations --package homeroom` first
//!   (`--release` with both for release). No database server is needed.
//! - `cargo test --package homeroom-attacks --test refusals`: what opens nothing has one answer to the byte
//!   (R5), for every kind of credential and every reason, on both engines; run it by `tests/run`, which starts
//!   PostgreSQL and Redis.
//! - `cargo run --release --package homeroom-attacks -- timing --samples 10000`: whether the time of a refusal
//!   tells why (R5): the AUC of a classifier by a threshold for each pair of reasons; 0.5 is a guess. It needs the
//!   release binaries as above, and a machine that does nothing else; `--engine postgres` needs
//!   `HOMEROOM_TEST_DATABASE_URL` and `HOMEROOM_TEST_REDIS_URL`.
//! - `cargo test --package homeroom-attacks --test timing`: that the former runs, with few samples; it says
//!   nothing about time.

pub mod attacks;
pub mod bomb;
pub mod frames;
pub mod good;
pub mod process;
pub mod timing;
pub mod wire;
