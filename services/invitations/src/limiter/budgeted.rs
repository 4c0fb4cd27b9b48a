//! The limiter over any store of its state: turns attempts into commands, and replies into verdicts.

use std::time::Duration;

use homeroom_api::ids::UserId;

use super::{
    Attempt, Budgets, Dimension, Effect, GuessScope, Issuer, Settlement, Verdict,
    budget::{AddressGroup, Rate, SECOND_MICROS},
    state::Reply,
    store::{Command, Operation, Store, StoreAway, Subject},
    verdict::{Circumstances, Decision, Replies, decide},
};

/// The rule of the module's documentation, over a store.
#[derive(Debug)]
pub(crate) struct BudgetedLimiter<S> {
    pub(super) store: S,
    pub(super) budgets: Budgets,
    pub(super) issuer: Issuer,
}

/// The maximum number of commands in an attempt's first round trip.
const FIRST_COMMANDS: usize = 4;

impl<S: Store> BudgetedLimiter<S> {
    pub(crate) fn new(store: S, budgets: Budgets, issuer: Issuer) -> Self {
        Self {
            store,
            budgets,
            issuer,
        }
    }

    /// Charges each attempt and returns one verdict for each. Takes a refused attempt's charges back, and looks at the
    /// limits that would refuse it next.
    pub(crate) async fn charge(&self, attempts: &[Attempt]) -> Result<Vec<Verdict>, StoreAway> {
        let mut commands = Vec::with_capacity(attempts.len() * FIRST_COMMANDS);
        for attempt in attempts {
            self.push_first_commands(attempt, &mut commands);
        }
        let mut replies = self.run(&commands).await?.into_iter();

        let mut decided = Vec::with_capacity(attempts.len());
        let mut address_commands = Vec::new();
        for attempt in attempts {
            let first = self.take_first_replies(attempt, &mut replies)?;
            let decision = decide(&first.replies, None, self.circumstances(attempt));
            if decision == Decision::AskAddress {
                address_commands.extend(
                    self.of_address(attempt, |rate| Operation::ChargeBucket { rate, held: true }),
                );
            }
            decided.push((first, decision));
        }
        let mut address_replies = self.run(&address_commands).await?.into_iter();

        let mut verdicts = Vec::with_capacity(attempts.len());
        let mut afterwards = Vec::new();
        // Each entry is the position of a refusal, and of a command that asks how long another limit has no room.
        let mut peeks = Vec::new();
        for (attempt, (first, mut decision)) in attempts.iter().zip(decided) {
            let mut address = None;
            if decision == Decision::AskAddress {
                address = Some(next(&mut address_replies)?);
                decision = decide(&first.replies, address, self.circumstances(attempt));
            }
            let Decision::Refuse {
                dimension,
                retry_micros,
            } = decision
            else {
                verdicts.push(Verdict::Allowed {
                    receipt: self.receipt(attempt, &first, address),
                    guess_guarded: decision
                        == Decision::Allow {
                            guess_guarded: true,
                        },
                });
                continue;
            };
            self.push_taking_back(attempt, &first, &mut afterwards);
            let mut peek = |command: Option<Command>| {
                peeks.extend(
                    command
                        .is_some()
                        .then_some((verdicts.len(), afterwards.len())),
                );
                afterwards.extend(command);
            };
            if address.is_none() && self.may_be_refused_by_address(attempt, &first.replies) {
                peek(self.of_address(attempt, Operation::PeekBucket));
            }
            if dimension != Dimension::CallingService {
                // This attempt may have been the last one that the calling service's budget allowed.
                peek(self.peek_calling_service(attempt));
            }
            verdicts.push(Verdict::Refused {
                dimension,
                retry_after: whole_seconds(retry_micros),
            });
        }
        let replies = self.run(&afterwards).await?;
        for (verdict, command) in peeks {
            let reply = replies.get(command).filter(|reply| !reply.allowed);
            if let (Some(reply), Some(Verdict::Refused { retry_after, .. })) =
                (reply, verdicts.get_mut(verdict))
            {
                *retry_after = whole_seconds(reply.retry_micros).max(*retry_after);
            }
        }
        Ok(verdicts)
    }

    pub(crate) async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<GuessScope>, StoreAway> {
        let mut commands = Vec::with_capacity(settlements.len() * FIRST_COMMANDS);
        let mut kept = Vec::new();
        let mut admitted = Vec::new();
        for settlement in settlements {
            match settlement {
                Settlement::GiveBack { receipt, effect } => {
                    if let (Effect::Admitted, Some(address)) = (effect, receipt.address) {
                        admitted.push((commands.len(), address));
                    }
                    self.push_giving_back(receipt, effect, &mut commands);
                }
                Settlement::Keep { receipt, found } => {
                    let scopes = receipt.guesses.iter().map(|guess| guess.scope.clone());
                    kept.extend((commands.len()..).zip(scopes));
                    self.push_keeping(receipt, found, &mut commands);
                }
            }
        }
        let replies = self.run(&commands).await?;
        let counts = |index: usize| replies.get(index).is_some_and(|reply| reply.count > 0);
        // A user adds to an address once in 24 hours, which only the user's own key records.
        let most = i64::from(self.budgets.address_admissions_max);
        let additions: Vec<Command> = admitted
            .into_iter()
            .filter(|(index, _)| most > 0 && counts(*index))
            .map(|(_, address)| Command {
                subject: Subject::Address(address),
                operation: Operation::AddToBucket {
                    most,
                    rate: self.budgets.address(),
                },
            })
            .collect();
        let closed = kept
            .into_iter()
            .filter(|(index, _)| counts(*index))
            .map(|(_, scope)| scope)
            .collect();
        if let Err(error) = self.run(&additions).await {
            tracing::debug!(%error, "first admissions could not be added to their addresses");
        }
        Ok(closed)
    }

    /// Forgets the state of a user's attempts.
    pub(crate) async fn clear(&self, user: &UserId) -> Result<(), StoreAway> {
        let command = Command {
            subject: Subject::User(user.clone()),
            operation: Operation::ClearUser,
        };
        self.run(&[command]).await.map(|_| ())
    }

    /// Returns for each scope whether its guard is closed.
    pub(crate) async fn guarded(&self, scopes: &[GuessScope]) -> Result<Vec<bool>, StoreAway> {
        let peek = |scope| Command {
            subject: Subject::from(scope),
            operation: Operation::PeekGuard,
        };
        let commands: Vec<Command> = scopes.iter().map(peek).collect();
        let replies = self.run(&commands).await?;
        Ok(replies.into_iter().map(|reply| !reply.allowed).collect())
    }

    async fn run(&self, commands: &[Command]) -> Result<Vec<Reply>, StoreAway> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.store.run(commands).await
    }

    /// Returns true if the attempt's address may refuse it, when no other limit does.
    fn may_be_refused_by_address(&self, attempt: &Attempt, replies: &Replies) -> bool {
        attempt.address.is_some()
            && !attempt.vouched
            && replies.user.settled > i64::from(self.budgets.user_free_of_address)
    }

    fn peek_calling_service(&self, attempt: &Attempt) -> Option<Command> {
        Some(Command {
            subject: Subject::CallingService(attempt.calling_service.clone()),
            operation: Operation::PeekBucket(self.budgets.calling_service()?),
        })
    }

    fn of_address(
        &self,
        attempt: &Attempt,
        operation: impl FnOnce(Rate) -> Operation,
    ) -> Option<Command> {
        Some(Command {
            subject: Subject::Address(AddressGroup::of(attempt.address?)),
            operation: operation(self.budgets.address()),
        })
    }

    fn circumstances(&self, attempt: &Attempt) -> Circumstances {
        Circumstances {
            vouched: attempt.vouched,
            has_address: attempt.address.is_some(),
            free_of_address: self.budgets.user_free_of_address,
        }
    }
}

pub(super) fn next(replies: &mut impl Iterator<Item = Reply>) -> Result<Reply, StoreAway> {
    replies
        .next()
        .ok_or_else(|| StoreAway("it answered fewer commands than it was sent".to_owned()))
}

/// Returns whole seconds for `RetryInfo`: rounded up, at least one.
pub(super) fn whole_seconds(micros: i64) -> Duration {
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
            assert_eq!(
                whole_seconds(micros),
                Duration::from_secs(seconds),
                "{micros} µs"
            );
        }
    }
}
