//! Batches that form by themselves: what arrives while one is under way goes
//! into the next, and nothing waits when all is idle.

use std::{fmt, future::Future, sync::Arc};

use homeroom_api::common::v1::ErrorReason;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::status::{Error, Result};

/// How batches form.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Items in one batch at most.
    pub batch_items_max: usize,
    /// Items that wait for a batch at most; further ones are refused with `OVERLOADED`.
    pub queue_items_max: usize,
    /// Batches under way at the same time at most.
    pub batches_max: usize,
}

struct Waiting<Item, Answer> {
    item: Item,
    answer: oneshot::Sender<Answer>,
}

/// Hands items to a function that works on many at once, and each answer to whoever waits for it.
pub struct Batcher<Item, Answer> {
    queue: mpsc::Sender<Waiting<Item, Answer>>,
}

impl<Item, Answer> Batcher<Item, Answer>
where
    Item: Send + 'static,
    Answer: Send + 'static,
{
    /// Starts the workers; they end with the last clone of the batcher. `work` answers its items in
    /// their order. Call it inside a runtime.
    pub fn start<Work, Working>(limits: Limits, work: Work) -> Self
    where
        Work: Fn(Vec<Item>) -> Working + Send + Sync + 'static,
        Working: Future<Output = Vec<Answer>> + Send + 'static,
    {
        let (queue, arrived) = mpsc::channel(limits.queue_items_max.max(1));
        let arrived = Arc::new(Mutex::new(arrived));
        let work = Arc::new(work);
        for _ in 0..limits.batches_max.max(1) {
            let arrived = Arc::clone(&arrived);
            let work = Arc::clone(&work);
            tokio::spawn(async move {
                let mut batch: Vec<Waiting<Item, Answer>> = Vec::new();
                loop {
                    let count = arrived
                        .lock()
                        .await
                        .recv_many(&mut batch, limits.batch_items_max.max(1))
                        .await;
                    if count == 0 {
                        break;
                    }
                    let (items, waiting): (Vec<_>, Vec<_>) = batch
                        .drain(..)
                        .map(|waiting| (waiting.item, waiting.answer))
                        .unzip();
                    // In a task of its own, so that a panic in it ends this batch and no other.
                    let Ok(answers) = tokio::spawn(work(items)).await else {
                        continue;
                    };
                    for (waiting, answer) in waiting.into_iter().zip(answers) {
                        // Whoever has gone needs no answer.
                        let _ = waiting.send(answer);
                    }
                }
            });
        }
        Self { queue }
    }

    /// Has each item worked on in some batch, and answers in the order of the items.
    /// `OVERLOADED` when too many wait already.
    pub async fn submit(&self, items: Vec<Item>) -> Result<Vec<Answer>> {
        let Ok(places) = self.queue.try_reserve_many(items.len()) else {
            return Err(Error::unavailable(
                ErrorReason::Overloaded,
                "The service has more work than it can do at present; retry after the given delay.",
            ));
        };
        let answers: Vec<_> = items
            .into_iter()
            .zip(places)
            .map(|(item, place)| {
                let (answer, wait) = oneshot::channel();
                place.send(Waiting { item, answer });
                wait
            })
            .collect();
        let mut answered = Vec::with_capacity(answers.len());
        for answer in answers {
            answered.push(
                answer
                    .await
                    .map_err(|_| Error::internal("a batch ended without an answer"))?,
            );
        }
        Ok(answered)
    }
}

impl<Item, Answer> Clone for Batcher<Item, Answer> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
    }
}

impl<Item, Answer> fmt::Debug for Batcher<Item, Answer> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Batcher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    const LIMITS: Limits = Limits {
        batch_items_max: 3,
        queue_items_max: 5,
        batches_max: 1,
    };

    /// Answers each item with the size of its batch, once it is let through.
    fn gated(limits: Limits) -> (Batcher<u32, usize>, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        let through = Arc::clone(&gate);
        let batcher = Batcher::start(limits, move |items: Vec<u32>| {
            let through = Arc::clone(&through);
            async move {
                through.acquire().await.unwrap().forget();
                vec![items.len(); items.len()]
            }
        });
        (batcher, gate)
    }

    #[tokio::test]
    async fn what_arrives_while_a_batch_is_under_way_goes_into_the_next() {
        let (batcher, gate) = gated(LIMITS);
        let mut first = Box::pin(batcher.submit(vec![1]));
        assert!(futures::poll!(&mut first).is_pending());
        while batcher.queue.capacity() < LIMITS.queue_items_max {
            tokio::task::yield_now().await;
        }
        let later: Vec<_> = (0..5)
            .map(|item| {
                let batcher = batcher.clone();
                tokio::spawn(async move { batcher.submit(vec![item]).await })
            })
            .collect();
        while batcher.queue.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        // One more than may wait is refused.
        assert_eq!(
            batcher.submit(vec![9]).await.unwrap_err().reason(),
            ErrorReason::Overloaded
        );
        gate.add_permits(3);
        assert_eq!(first.await.unwrap(), [1]);
        let mut sizes = Vec::new();
        for answer in later {
            sizes.extend(answer.await.unwrap().unwrap());
        }
        sizes.sort_unstable();
        assert_eq!(
            sizes,
            [2, 2, 3, 3, 3],
            "three in the second batch, two in the third"
        );
    }

    #[tokio::test]
    async fn a_batch_that_panics_ends_no_other() {
        let batcher = Batcher::start(LIMITS, |items: Vec<u32>| async move {
            assert!(!items.contains(&0), "zero");
            items
        });
        assert!(batcher.submit(vec![0]).await.is_err());
        assert_eq!(batcher.submit(vec![1, 2]).await.unwrap(), [1, 2]);
    }
}
