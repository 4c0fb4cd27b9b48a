//! Every statement, as the engine itself parses it.

use homeroom_membership::store::statements;

use crate::support::Database;

#[tokio::test]
async fn every_statement_can_be_prepared() {
    for database in [Database::sqlite().await, Database::postgres().await] {
        database.assert_prepares(statements).await;
    }
}
