//! The parts that tests of several modules share.

pub(crate) mod certificates;
pub(crate) mod database;
pub(crate) mod log;
