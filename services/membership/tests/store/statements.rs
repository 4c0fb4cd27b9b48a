//! Every statement, as the engine itself reads it.

use homeroom_kit::database::Options;
use homeroom_membership::store::prepare_every_statement;

use crate::support::{Database, on_both_engines};

on_both_engines!(every_statement_can_be_prepared);

/// Fewer would mean that a file's texts are not registered.
const STATEMENTS_MIN: usize = 50;

async fn every_statement_can_be_prepared(database: &Database) {
    let prepared = prepare_every_statement(&database.url, Options::default()).await;
    let count = prepared.unwrap();
    assert!(count >= STATEMENTS_MIN, "{count}");
}
