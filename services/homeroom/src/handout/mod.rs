//! Hand-outs: QR codes, slips for the students of a class, a page for the board.
//!
//! The renderers are pure: texts and answers of the services in, bytes out. `commands` reads, calls and writes.

pub(crate) mod arguments;
mod board;
pub(crate) mod commands;
mod page;
mod qr;
mod roster;
mod slips;
mod texts;
