//! Batches that form by themselves: items that arrive while a batch is under way join the next, and
//! nothing waits when all is idle.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use ::metrics::histogram;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    metrics::gauged,
    status::{Error, Result},
    trace::{self, Context},
};

/// The number of items in a batch.
const BATCH_ITEMS: &str = "homeroom_batch_items";
/// The time that an item waits for its batch.
const BATCH_WAIT_SECONDS: &str = "homeroom_batch_wait_seconds";

/// The limits of batches.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The name of these batches, in metrics and traces.
    pub name: &'static str,
    /// The most items in one batch.
    pub batch_items_max: usize,
    /// The most items that wait for a batch; further ones are refused with `OVERLOADED`.
    pub queue_items_max: usize,
    /// The most concurrent batches, including slow ones.
    pub batches_max: usize,
    /// The most concurrent batches that are not slow. The fewer there are, the larger each is, and
    /// the less each item costs.
    pub prompt_batches_max: usize,
    /// The milliseconds after which a batch under way counts as slow, and another may begin beside
    /// it.
    pub slow_after_millis: u64,
    /// The shortest time between the beginnings of two batches, in milliseconds: items that arrive
    /// meanwhile share the second one. 0 if callers wait for the answers.
    pub apart_millis: u64,
}

/// Records the size of a batch, for the metrics.
pub fn record_batch(name: &'static str, items: usize) {
    histogram!(BATCH_ITEMS, "batch" => name).record(gauged(items));
}

struct Waiting<Item, Answer> {
    item: Item,
    answer: oneshot::Sender<Answer>,
    caller: Context,
    since: Instant,
}

/// Collects items for a function that works on many at once, and returns each answer to its caller.
pub struct Batcher<Item, Answer> {
    queue: mpsc::Sender<Waiting<Item, Answer>>,
}

impl<Item, Answer> Batcher<Item, Answer>
where
    Item: Send + 'static,
    Answer: Send + 'static,
{
    /// Forms batches until the last clone of the batcher is dropped. `work` returns the answers in
    /// the order of its items. Must be called inside a runtime.
    pub fn start<Work, Working>(limits: Limits, work: Work) -> Self
    where
        Work: Fn(Vec<Item>) -> Working + Send + Sync + 'static,
        Working: Future<Output = Vec<Answer>> + Send + 'static,
    {
        let (queue, mut arrived) = mpsc::channel(limits.queue_items_max.max(1));
        let batches = Arc::new(Semaphore::new(limits.batches_max.max(1)));
        let prompt = Arc::new(Semaphore::new(limits.prompt_batches_max.max(1)));
        let slow_after = Duration::from_millis(limits.slow_after_millis);
        let apart = Duration::from_millis(limits.apart_millis);
        tokio::spawn(async move {
            let mut next = Instant::now();
            loop {
                let batch = Arc::clone(&batches).acquire_owned().await;
                let (Ok(batch), Ok(turn)) = (batch, Arc::clone(&prompt).acquire_owned().await)
                else {
                    break;
                };
                sleep_until(next).await;
                // All items that arrived during the wait go together.
                let mut taken: Vec<Waiting<Item, Answer>> = Vec::new();
                if arrived
                    .recv_many(&mut taken, limits.batch_items_max.max(1))
                    .await
                    == 0
                {
                    break;
                }
                let now = Instant::now();
                next = now + apart;
                let wait = histogram!(BATCH_WAIT_SECONDS, "batch" => limits.name);
                record_batch(limits.name, taken.len());
                let (mut items, mut waiting, mut callers) = (Vec::new(), Vec::new(), Vec::new());
                for one in taken {
                    wait.record(now - one.since);
                    items.push(one.item);
                    waiting.push(one.answer);
                    callers.push(one.caller);
                }
                // The batch has its own task, so that a panic ends it and no other.
                let mut working = tokio::spawn(trace::batch(limits.name, callers, work(items)));
                tokio::spawn(async move {
                    let prompt = timeout(slow_after, &mut working).await;
                    drop(turn);
                    let answers = if let Ok(answers) = prompt {
                        answers
                    } else {
                        working.await
                    };
                    drop(batch);
                    for (waiting, answer) in waiting.into_iter().zip(answers.unwrap_or_default()) {
                        // A caller that has gone needs no answer.
                        let _ = waiting.send(answer);
                    }
                });
            }
        });
        Self { queue }
    }

    /// Processes the items in some batches, and returns the answers in the order of the items.
    /// Fails with `OVERLOADED` if too many already wait.
    pub async fn submit(&self, items: Vec<Item>) -> Result<Vec<Answer>> {
        let Ok(places) = self.queue.try_reserve_many(items.len()) else {
            return Err(Error::overloaded());
        };
        let (caller, since) = (trace::current(), Instant::now());
        let answers: Vec<_> = items
            .into_iter()
            .zip(places)
            .map(|(item, place)| {
                let (answer, wait) = oneshot::channel();
                place.send(Waiting {
                    item,
                    answer,
                    caller: caller.clone(),
                    since,
                });
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
    use homeroom_api::common::v1::ErrorReason;
    use tokio::sync::Semaphore;

    use super::*;

    const LIMITS: Limits = Limits {
        name: "test",
        batch_items_max: 3,
        queue_items_max: 5,
        batches_max: 2,
        prompt_batches_max: 1,
        slow_after_millis: 60_000,
        apart_millis: 0,
    };

    /// Returns a batcher that answers each item with the size of its batch, and the gate that
    /// releases batches.
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
        // One item beyond the limit is refused.
        let refused = batcher.submit(vec![9]).await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::Overloaded);
        gate.add_permits(3);
        assert_eq!(first.await.unwrap(), [1]);
        let mut sizes = Vec::new();
        for answer in later {
            sizes.extend(answer.await.unwrap().unwrap());
        }
        sizes.sort_unstable();
        // There are three in the second batch, and two in the third.
        assert_eq!(sizes, [2, 2, 3, 3, 3]);
    }

    #[tokio::test]
    async fn a_slow_batch_lets_another_begin_beside_it() {
        // Given a batcher that reports each batch that begins and completes none,
        let (begun, mut begins) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let through = Arc::clone(&gate);
        let limits = Limits {
            slow_after_millis: 1,
            ..LIMITS
        };
        let batcher = Batcher::start(limits, move |items: Vec<u32>| {
            let (through, begun) = (Arc::clone(&through), begun.clone());
            async move {
                begun.send(items.clone()).unwrap();
                through.acquire().await.unwrap().forget();
                items
            }
        });
        let submit = |item| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.submit(vec![item]).await })
        };
        // then a second begins once the first is slow,
        let first = submit(1);
        assert_eq!(begins.recv().await.unwrap(), [1]);
        let second = submit(2);
        assert_eq!(begins.recv().await.unwrap(), [2]);
        // and a third once one of them has ended: there are two places.
        let third = submit(3);
        while batcher.queue.capacity() == LIMITS.queue_items_max {
            tokio::task::yield_now().await;
        }
        assert!(begins.try_recv().is_err());
        gate.add_permits(3);
        assert_eq!(begins.recv().await.unwrap(), [3]);
        for (answer, item) in [(first, 1), (second, 2), (third, 3)] {
            assert_eq!(answer.await.unwrap().unwrap(), [item]);
        }
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
