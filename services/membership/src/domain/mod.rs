//! The rules of membership, pure: no I/O, no clock, no SQL, no transport.

pub mod access;
pub mod admission;
pub mod class;
pub mod join_request;
pub mod member;
pub mod organization;
pub mod removal;
pub mod roster;
pub mod seat;
