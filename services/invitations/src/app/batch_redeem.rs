//! `BatchRedeem`: Redeem for up to 500 people, each by themselves.

use std::{collections::HashSet, sync::Arc};

use homeroom_api::invitations::v1::BatchRedeemRequest;
use homeroom_kit::{
    Error, Result,
    auth::{Caller, Scope},
    validation::Violations,
};
use uuid::Uuid;

use super::{App, attempt::Attempt, redeemed::Redeemed};

/// Requests of one batch at most.
pub const BATCH_REQUESTS_MAX: usize = 500;

impl App {
    /// Redeems for many: one result each, in their order. What is wrong with one request is its own
    /// result; what is wrong with the batch is `INVALID_REQUEST`.
    pub async fn batch_redeem(
        self: &Arc<Self>,
        caller: &Caller,
        batch: &BatchRedeemRequest,
    ) -> Result<Vec<Result<Redeemed>>> {
        check(batch)?;
        caller.require(Scope::ActAs)?;
        let mut results: Vec<Option<Result<Redeemed>>> = Vec::with_capacity(batch.requests.len());
        let mut attempts = Vec::new();
        for (index, request) in batch.requests.iter().enumerate() {
            let prefix = format!("requests[{index}].");
            match Attempt::of_redeem(caller, request, &prefix, &self.public_url, &self.keys) {
                Ok(attempt) => {
                    attempts.push(attempt);
                    results.push(None);
                }
                Err(error) => results.push(Some(Err(error))),
            }
        }
        let mut redeemed = self.redeem_many(attempts).await.into_iter();
        Ok(results
            .into_iter()
            .map(|result| {
                result.unwrap_or_else(|| {
                    redeemed
                        .next()
                        .unwrap_or_else(|| Err(Error::internal("an attempt was not answered")))
                })
            })
            .collect())
    }
}

/// What concerns the batch as a whole.
fn check(batch: &BatchRedeemRequest) -> Result<()> {
    let mut violations = Violations::new();
    violations.check(
        (1..=BATCH_REQUESTS_MAX).contains(&batch.requests.len()),
        "requests",
        format!("must hold 1 to {BATCH_REQUESTS_MAX} requests"),
    );
    let mut request_ids = HashSet::new();
    for (index, request) in batch.requests.iter().enumerate().take(BATCH_REQUESTS_MAX) {
        violations.check(
            request.user.is_some(),
            &format!("requests[{index}].user"),
            "is required",
        );
        violations.check(
            request.request_id.is_empty()
                || request_ids.insert(
                    Uuid::try_parse(&request.request_id)
                        .map_or_else(|_| request.request_id.clone(), |id| id.to_string()),
                ),
            &format!("requests[{index}].request_id"),
            "is that of another request of this batch",
        );
    }
    violations.finish()
}

#[cfg(test)]
mod tests {
    use homeroom_api::{
        common::v1::{ErrorReason, User},
        invitations::v1::RedeemRequest,
    };

    use super::*;

    fn batch(count: usize) -> BatchRedeemRequest {
        let request = RedeemRequest {
            user: Some(User::default()),
            ..RedeemRequest::default()
        };
        BatchRedeemRequest {
            requests: vec![request; count],
        }
    }

    #[test]
    fn a_batch_holds_1_to_500_requests() {
        for (count, right) in [(0, false), (1, true), (500, true), (501, false)] {
            assert_eq!(check(&batch(count)).is_ok(), right, "{count}");
        }
    }

    #[test]
    fn every_request_of_a_batch_names_its_user_and_its_own_request_id() {
        let mut batch = batch(4);
        batch.requests[0].user = None;
        batch.requests[1].request_id = "01900000-0000-7000-8000-00000000000a".to_owned();
        batch.requests[2].request_id = "01900000-0000-7000-8000-00000000000A".to_owned();
        // One id may be written several ways.
        batch.requests[3].request_id = "0190000000007000800000000000000a".to_owned();
        let error = check(&batch).unwrap_err();
        assert_eq!(error.reason(), ErrorReason::InvalidRequest);
        let fields: Vec<&str> = error
            .field_violations()
            .iter()
            .map(|found| found.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "requests[0].user",
                "requests[2].request_id",
                "requests[3].request_id"
            ]
        );
    }
}
