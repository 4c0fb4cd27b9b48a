//! Work on many items at once in which a defect of one item does not affect the others.

use futures::future::BoxFuture;
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Error, Result};

/// Does `work`, which returns one result for each of `items` or fails for all. If it fails for another reason than an
/// unreachable database, each item is done alone, so that a poisoned one fails alone. Returns one result for each item,
/// in their order.
pub(super) async fn together_or_each<'items, T, R>(
    items: &'items [T],
    work: impl Fn(&'items [T]) -> BoxFuture<'items, Result<Vec<R>>>,
) -> Vec<Result<R>> {
    let error = match work(items).await {
        Ok(done) if done.len() == items.len() => return done.into_iter().map(Ok).collect(),
        Ok(_) => Error::internal("not everything was answered"),
        Err(error) => error,
    };
    if items.len() < 2 || error.reason() == ErrorReason::DatabaseUnavailable {
        return items.iter().map(|_| Err(error.clone())).collect();
    }
    tracing::warn!(%error, cause = error.cause(), items = items.len(), "each is tried by itself");
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        let alone = work(std::slice::from_ref(item)).await;
        results.push(alone.and_then(|mut done| {
            done.pop()
                .ok_or_else(|| Error::internal("one was not answered"))
        }));
    }
    results
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt as _;

    use super::*;

    async fn calls_and_results(
        items: &[u32],
        error: impl Fn() -> Error + Send + Sync,
    ) -> (Vec<usize>, Vec<bool>) {
        let calls = Mutex::new(Vec::new());
        let work = |items: &[u32]| {
            calls.lock().unwrap().push(items.len());
            let done = if items.contains(&0) {
                Err(error())
            } else {
                Ok(items.to_vec())
            };
            async move { done }.boxed()
        };
        let results = together_or_each(items, work).await;
        let right = results.iter().map(Result::is_ok).collect();
        (calls.into_inner().unwrap(), right)
    }

    #[tokio::test]
    async fn p13_a_poisoned_one_fails_alone() {
        let defect = || Error::internal("a defect");
        let (calls, right) = calls_and_results(&[1, 0, 2], defect).await;
        assert_eq!((calls, right), (vec![3, 1, 1, 1], vec![true, false, true]));
        let (calls, right) = calls_and_results(&[1, 2], defect).await;
        assert_eq!((calls, right), (vec![2], vec![true, true]));
        let (calls, right) = calls_and_results(&[0], defect).await;
        assert_eq!((calls, right), (vec![1], vec![false]));
    }

    #[tokio::test]
    async fn a_database_that_does_not_answer_is_not_asked_for_each() {
        let away = || Error::unavailable(ErrorReason::DatabaseUnavailable, "Retry.");
        let (calls, right) = calls_and_results(&[1, 0], away).await;
        assert_eq!((calls, right), (vec![2], vec![false, false]));
    }
}
