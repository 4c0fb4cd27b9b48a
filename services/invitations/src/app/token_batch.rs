//! Class tokens for the rows of a roster (A8): valid rows become tokens, invalid rows get an error each.

use homeroom_api::invitations::v1::{
    BatchCreateTokensResponse,
    batch_create_tokens_response::{Result as RowResult, result::Outcome},
};
use homeroom_kit::Result;

use super::{
    NewToken, views,
    write::{Change, Work},
};

/// The maximum number of rows in one batch.
pub const TOKEN_BATCH_MAX: usize = 1_000;

/// Makes a class token for each valid row, all in one transaction. The answer has one result for each row, in their
/// order.
pub(crate) async fn create(
    work: &mut Work,
    rows: Vec<Result<NewToken>>,
) -> Result<Change<BatchCreateTokensResponse>> {
    work.refuse_archived()?;
    let mut right = Vec::with_capacity(rows.len());
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(rows.len());
    for row in rows {
        outcomes.push(match row {
            Ok(new) => {
                right.push(new);
                None
            }
            Err(error) => Some(Outcome::Status(error.into_row_status())),
        });
    }
    // A failure here is the database's, so the whole batch is rolled back.
    let made = work.make_tokens(right).await?;
    let mut tokens = made.iter().map(|row| views::token(row, work.now));
    let results = (0..)
        .zip(outcomes)
        .map(|(index, outcome)| RowResult {
            index,
            outcome: outcome.or_else(|| tokens.next().map(Outcome::Token)),
        })
        .collect();
    Ok(Change {
        answer: BatchCreateTokensResponse { results },
        rows: made,
        shows_secrets: true,
    })
}
