//! A class token for each row of a roster (A8): good rows stand, bad ones say why.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{
        BatchCreateTokensResponse,
        batch_create_tokens_response::{Result as RowResult, result::Outcome},
    },
    names::ClassName,
};
use homeroom_kit::{Error, Result, auth::Caller};
use prost::Message;

use super::{
    App, Idempotency, NewToken, views,
    write::{Change, Work},
};

/// Rows of one batch at most.
pub const TOKEN_BATCH_MAX: usize = 1_000;

impl App {
    /// Makes a class token for each row that is right, all in one transaction. One result for
    /// each row, in their order.
    pub async fn batch_create_tokens(
        self: &Arc<Self>,
        caller: &Caller,
        class: ClassName,
        rows: Vec<Result<NewToken>>,
        request: Idempotency,
    ) -> Result<BatchCreateTokensResponse> {
        self.change(
            caller,
            class.into(),
            "BatchCreateTokens",
            request,
            move |work: &mut Work<'_>| Box::pin(make(work, rows)),
        )
        .await
    }
}

async fn make(
    work: &mut Work<'_>,
    rows: Vec<Result<NewToken>>,
) -> Result<Change<BatchCreateTokensResponse>> {
    work.refuse_archived()?;
    let mut made = Vec::with_capacity(rows.len());
    let mut results = Vec::with_capacity(rows.len());
    for (index, row) in (0..).zip(rows) {
        let outcome = match row {
            Ok(new) => {
                // A failure here is the database's, so the whole batch is undone.
                let row = work.make_token(new).await?;
                let token = views::token(&row, work.now);
                made.push(row);
                Outcome::Token(token)
            }
            Err(error) => Outcome::Status(encoded(error)),
        };
        results.push(RowResult {
            index,
            outcome: Some(outcome),
        });
    }
    Ok(Change {
        answer: BatchCreateTokensResponse { results },
        rows: made,
        shows_secrets: true,
    })
}

/// The error as `google.rpc.Status`, which is what a status carries as its details.
fn encoded<S: Message + Default>(error: Error) -> S {
    let status = tonic::Status::from(error);
    S::decode(status.details()).unwrap_or_default()
}
