//! The limiter over any store of its state: turns attempts into commands, and replies into verdicts.

use std::time::Duration;

use super::{
    Attempt, Budgets, Dimension, Effect, GuessScope, Issuer, Settlement, Verdict,
    budget::{AddressGroup, Rate, SECOND_MICROS},
    charged::{Afterwards, Charged},
    state::Reply,
    store::{Command, Operation, Store, StoreAway, Subject},
    verdict::{Circumstances, Decision, Replies, decide},
};

/// The rule of the module's documentation over a store.
#[derive(Debug)]
pub(crate) struct BudgetedLimiter<S> {
    pub(super) store: S,
    pub(super) budgets: Budgets,
    pub(super) issuer: Issuer,
}

/// The commands of an attempt's first round trip, at most.
const FIRST_COMMANDS: usize = 4;

/// How far an attempt has come.
enum Step {
    Decided(Replies, Decision),
    /// A part of the store does not answer.
    Away,
}

impl<S: Store> BudgetedLimiter<S> {
    pub(crate) fn new(store: S, budgets: Budgets, issuer: Issuer) -> Self {
        Self {
            store,
            budgets,
            issuer,
        }
    }

    /// Charges each attempt; one verdict each, None for those about whom a part of the store that does
    /// not answer would have to be asked. What is to follow ([`Self::follow_up`]) is left to the caller.
    pub(crate) async fn charge(&self, attempts: &[Attempt]) -> Result<Charged, StoreAway> {
        let mut commands = Vec::with_capacity(attempts.len() * FIRST_COMMANDS);
        for attempt in attempts {
            self.push_first_commands(attempt, &mut commands);
        }
        let mut replies = self.run(&commands).await?.into_iter();

        let mut steps = Vec::with_capacity(attempts.len());
        let mut address_commands = Vec::new();
        for attempt in attempts {
            let first = self.take_first_replies(attempt, &mut replies)?;
            let step = match first.whole() {
                Some(replies) => {
                    Step::Decided(replies, decide(&replies, None, self.circumstances(attempt)))
                }
                None => Step::Away,
            };
            if let Step::Decided(_, Decision::AskAddress) = step {
                address_commands.extend(
                    self.of_address(attempt, |rate| Operation::ChargeBucket { rate, held: true }),
                );
            }
            steps.push((first, step));
        }
        let mut address_replies = self.run(&address_commands).await?.into_iter();

        let mut verdicts = Vec::with_capacity(attempts.len());
        let mut afterwards = Afterwards::default();
        for (attempt, (first, step)) in attempts.iter().zip(steps) {
            let mut address = None;
            let step = match step {
                Step::Decided(replies, Decision::AskAddress) => {
                    address = next(&mut address_replies)?;
                    let decided =
                        |reply| decide(&replies, Some(reply), self.circumstances(attempt));
                    address.map_or(Step::Away, |reply| Step::Decided(replies, decided(reply)))
                }
                step => step,
            };
            verdicts.push(match step {
                Step::Away => {
                    self.push_taking_back(attempt, &first, &mut afterwards.commands);
                    None
                }
                Step::Decided(
                    replies,
                    Decision::Refuse {
                        dimension,
                        retry_micros,
                    },
                ) => {
                    self.push_taking_back(attempt, &first, &mut afterwards.commands);
                    if address.is_none() && self.may_be_refused_by_address(attempt, &replies) {
                        let peek = self.of_address(attempt, Operation::PeekBucket);
                        afterwards.peek(verdicts.len(), peek);
                    }
                    if dimension != Dimension::CallingService {
                        // This attempt may have been the last that it let through.
                        afterwards.peek(verdicts.len(), self.peek_calling_service(attempt));
                    }
                    Some(Verdict::Refused {
                        dimension,
                        retry_after: whole_seconds(retry_micros),
                    })
                }
                Step::Decided(replies, decision) => Some(Verdict::Allowed {
                    receipt: self.receipt(attempt, &replies, &first.guards, address),
                    guess_guarded: decision
                        == Decision::Allow {
                            guess_guarded: true,
                        },
                }),
            });
        }
        Ok(Charged {
            verdicts,
            afterwards,
        })
    }

    /// Takes back what those were charged that do not go on, and looks at what they would be refused by
    /// next: positions of refusals, and the waits that these have at least.
    pub(crate) async fn follow_up(
        &self,
        afterwards: &Afterwards,
    ) -> Result<Vec<(usize, Duration)>, StoreAway> {
        let replies = self.run(&afterwards.commands).await?;
        let waits = afterwards.peeks.iter().filter_map(|(verdict, command)| {
            let wait = replies.get(*command).copied().flatten()?;
            (!wait.allowed).then(|| (*verdict, whole_seconds(wait.retry_micros)))
        });
        Ok(waits.collect())
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
                Settlement::Keep { receipt } => {
                    let scopes = receipt.guesses.iter().map(|guess| guess.scope.clone());
                    kept.extend((commands.len()..).zip(scopes));
                    self.push_keeping(receipt, &mut commands);
                }
            }
        }
        let replies = self.run(&commands).await?;
        let counts = |index: usize| {
            let reply = replies.get(index).copied().flatten();
            reply.is_some_and(|reply| reply.count > 0)
        };
        // A user adds to an address once in 24 hours, which only the user's own key knows.
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

    /// Whether the guard of each scope stands closed; so it is too where nobody answers for it.
    pub(crate) async fn guarded(&self, scopes: &[GuessScope]) -> Result<Vec<bool>, StoreAway> {
        let peek = |scope| Command {
            subject: Subject::from(scope),
            operation: Operation::PeekGuard,
        };
        let commands: Vec<Command> = scopes.iter().map(peek).collect();
        let replies = self.run(&commands).await?;
        let closed = |reply: Option<Reply>| reply.is_none_or(|reply| !reply.allowed);
        Ok(replies.into_iter().map(closed).collect())
    }

    async fn run(&self, commands: &[Command]) -> Result<Vec<Option<Reply>>, StoreAway> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.store.run(commands).await
    }

    /// Whether the attempt's address can refuse it once nothing else does.
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

pub(super) fn next(
    replies: &mut impl Iterator<Item = Option<Reply>>,
) -> Result<Option<Reply>, StoreAway> {
    replies
        .next()
        .ok_or_else(|| StoreAway("it answered fewer commands than it was sent".to_owned()))
}

/// As `RetryInfo` has it: rounded up, at least one.
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
