//! The charges of attempts: which counters an attempt charges, in which order, and how its end settles them.

use std::time::Duration;

use futures::future::{try_join, try_join_all, try_join3};
use homeroom_api::ids::UserId;

use super::{
    attempt::{Attempt, Dimension, Effect, End, GuessHash, GuessScope, Refused},
    budget::{Budgets, SECOND_MICROS},
    counter::{Counter, Reply, Step},
    memory::Memory,
    redis::{Redis, StoreAway},
    verdict::{Decision, Facts, decide},
};

/// A store of counters.
#[derive(Debug)]
pub(crate) enum Store {
    Memory(Memory),
    Redis(Redis),
}

/// The rule of the module's documentation, over a store.
#[derive(Debug)]
pub(crate) struct Charges {
    store: Store,
    budgets: Budgets,
}

/// The charges of an attempt; settled at most once, because it cannot be copied.
#[derive(Debug)]
pub struct Receipt {
    /// True if there are many guesses: a short credential leads to the queue now, a long one proceeds.
    pub guess_guarded: bool,
    /// True if the user has made this guess before, and so pays nothing for it.
    pub is_repeat: bool,
    pub(super) in_redis: bool,
    charges: Vec<(Counter, Reply)>,
    /// The address, also if it was charged nothing.
    address: Option<Counter>,
}

impl Charges {
    pub(crate) fn new(store: Store, budgets: Budgets) -> Self {
        Self { store, budgets }
    }

    /// Charges each attempt, all at once. Returns one verdict for each. A refused attempt's charges are taken back.
    pub(crate) async fn charge(
        &self,
        attempts: &[Attempt],
    ) -> Result<Vec<Result<Receipt, Refused>>, StoreAway> {
        try_join_all(attempts.iter().map(|attempt| self.charge_one(attempt))).await
    }

    async fn charge_one(&self, attempt: &Attempt) -> Result<Result<Receipt, Refused>, StoreAway> {
        let address = self.budgets.address_counter(attempt);
        let calling_service = self.budgets.calling_service_counter(attempt);
        let (user, guards, calls) = try_join3(
            self.charged(self.budgets.user_counter(&attempt.user, attempt.guess)),
            try_join_all(
                self.budgets
                    .guards(attempt)
                    .map(|guard| self.charged(guard)),
            ),
            self.each(calling_service.as_ref(), Step::Spend),
        )
        .await?;
        let mut facts = Facts {
            user: user.1,
            guards_open: guards.iter().all(|(_, reply)| reply.count == 0),
            calling_service: calls.first().copied(),
            asks_address: address.is_some() && !attempt.vouched,
            address: None,
            vouched: attempt.vouched,
            free_of_address: i64::from(self.budgets.user_free_of_address),
        };
        let mut charges = vec![user];
        charges.extend(guards);
        let mut decision = decide(&facts);
        if let (Decision::AskAddress, Some(address)) = (decision, &address) {
            let charge = self.charged(address.clone()).await?;
            facts.address = Some(charge.1);
            charges.push(charge);
            decision = decide(&facts);
        }
        charges.retain(|(_, reply)| reply.allowed);
        let Decision::Refuse(dimension, wait) = decision else {
            return Ok(Ok(Receipt {
                guess_guarded: decision == Decision::Queue,
                is_repeat: facts.user.mark == 0,
                in_redis: matches!(self.store, Store::Redis(_)),
                charges,
                address,
            }));
        };
        // The limits that would be asked next may have a longer wait.
        let may_refuse = facts.asks_address
            && facts.address.is_none()
            && facts.user.settled > facts.free_of_address;
        let address = address.filter(|_| may_refuse);
        // This attempt may have been the last one that the calling service's budget allowed.
        let calling_service = calling_service.filter(|_| dimension != Dimension::CallingService);
        let next = address.into_iter().chain(calling_service).collect();
        let wait = self.take_back(charges, next).await?.max(wait);
        Ok(Err(Refused {
            dimension,
            retry_after: whole_seconds(wait),
        }))
    }

    /// Takes the charges of a refused attempt back. Returns the longest wait of the limits that would be asked next.
    async fn take_back(
        &self,
        charges: Vec<(Counter, Reply)>,
        next: Vec<Counter>,
    ) -> Result<i64, StoreAway> {
        let taken_back = charges
            .iter()
            .map(|(counter, reply)| self.step(counter, refund(reply, Effect::Nothing)));
        let peeks = next.iter().map(|counter| self.step(counter, Step::Peek));
        let (_, replies) = try_join(try_join_all(taken_back), try_join_all(peeks)).await?;
        let waits = replies.iter().map(|reply| reply.retry_micros);
        Ok(waits.max().unwrap_or(0))
    }

    /// Settles attempts. Returns the guards that this closed.
    pub(crate) async fn settle(
        &self,
        ended: Vec<(Receipt, End)>,
    ) -> Result<Vec<GuessScope>, StoreAway> {
        let ended = ended.into_iter();
        let closed =
            try_join_all(ended.map(|(receipt, end)| self.settle_one(receipt, end))).await?;
        Ok(closed.into_iter().flatten().collect())
    }

    async fn settle_one(&self, receipt: Receipt, end: End) -> Result<Vec<GuessScope>, StoreAway> {
        let is_repeat = receipt.is_repeat;
        let settled = receipt.charges.iter().map(|(counter, reply)| {
            let step = match (end, scope(counter)) {
                (End::GiveBack(effect), _) => refund(reply, effect),
                (End::Keep { found }, Some(GuessScope::Organization(_))) if found || is_repeat => {
                    refund(reply, Effect::Nothing)
                }
                (End::Keep { .. }, _) => Step::Keep { mark: reply.mark },
            };
            self.step(counter, step)
        });
        let replies = try_join_all(settled).await?;
        let mut closed = Vec::new();
        for ((counter, _), reply) in receipt.charges.iter().zip(replies) {
            match scope(counter) {
                _ if reply.count == 0 => {}
                Some(scope) => closed.push(scope.clone()),
                // A user adds to an address once in 24 hours, which only the user's own key records.
                None => drop(self.each(receipt.address.as_ref(), Step::Add).await),
            }
        }
        Ok(closed)
    }

    /// Forgets the state of a user's attempts.
    pub(crate) async fn clear(&self, user: &UserId) -> Result<(), StoreAway> {
        let user = self.budgets.user_counter(user, GuessHash::NONE);
        self.step(&user, Step::Clear).await.map(|_| ())
    }

    /// Returns for each scope whether its guard is closed.
    pub(crate) async fn guarded(&self, scopes: &[GuessScope]) -> Result<Vec<bool>, StoreAway> {
        let peek = async |scope: &GuessScope| {
            let guard = self.budgets.guard(scope.clone(), None);
            Ok(self.step(&guard, Step::Peek).await?.count > 0)
        };
        try_join_all(scopes.iter().map(peek)).await
    }

    async fn charged(&self, counter: Counter) -> Result<(Counter, Reply), StoreAway> {
        let reply = self.step(&counter, Step::Charge).await?;
        Ok((counter, reply))
    }

    /// Has the store connect anew, because a call failed.
    pub(crate) fn renew_connection(&self) {
        if let Store::Redis(redis) = &self.store {
            redis.renew_connection();
        }
    }

    /// Takes a step of the counter, if there is one.
    async fn each(&self, counter: Option<&Counter>, step: Step) -> Result<Vec<Reply>, StoreAway> {
        try_join_all(counter.into_iter().map(|counter| self.step(counter, step))).await
    }

    async fn step(&self, counter: &Counter, step: Step) -> Result<Reply, StoreAway> {
        match &self.store {
            Store::Memory(memory) => Ok(memory.run(counter, step)),
            Store::Redis(redis) => redis.run(counter, step).await,
        }
    }
}

fn refund(reply: &Reply, effect: Effect) -> Step {
    Step::Refund {
        mark: reply.mark,
        effect,
    }
}

fn scope(counter: &Counter) -> Option<&GuessScope> {
    match counter {
        Counter::Guard { scope, .. } => Some(scope),
        _ => None,
    }
}

/// Returns whole seconds for `RetryInfo`: rounded up, at least one.
fn whole_seconds(micros: i64) -> Duration {
    let micros = u64::try_from(micros).unwrap_or(0);
    Duration::from_secs(micros.div_ceil(SECOND_MICROS.unsigned_abs()).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r10_a_wait_is_told_in_whole_seconds_never_too_short() {
        for (micros, seconds) in [
            (1, 1),
            (999_999, 1),
            (1_000_000, 1),
            (1_000_001, 2),
            (720_000_000, 720),
        ] {
            let told = whole_seconds(micros);
            assert_eq!(told, Duration::from_secs(seconds), "{micros} µs");
        }
    }
}
