//! The limiter over any store of its state: turns attempts into commands, and replies into verdicts.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use homeroom_api::ids::{OrganizationId, UserId};

use super::{
    Attempt, Budgets, GuessScope, Issuer, Receipt, Settlement, Verdict,
    budget::{AddressGroup, Rate, SECOND_MICROS, UserBudget},
    state::Reply,
    verdict::{Circumstances, Decision, Replies, decide},
};

/// Whose state a command changes: one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    User(UserId),
    Address(AddressGroup),
    Organization(OrganizationId),
    Service,
    CallingService(String),
}

impl From<&GuessScope> for Subject {
    fn from(scope: &GuessScope) -> Self {
        match scope {
            GuessScope::Organization(organization) => Self::Organization(organization.clone()),
            GuessScope::Service => Self::Service,
        }
    }
}

/// A transition of `state.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    ChargeUser(UserBudget),
    RefundUser { mark: i64 },
    ChargeBucket(Rate),
    RefundBucket { mark: i64, rate: Rate },
    AddToBucket { most: i64 },
    EnterGuard { in_flight_max: i64 },
    LeaveGuard { mark: i64 },
    KeepGuard { mark: i64, rate: Rate },
}

/// One transition of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) subject: Subject,
    pub(crate) operation: Operation,
}

/// The store could not be asked; what it was told may or may not have been done.
#[derive(Debug, thiserror::Error)]
#[error("the limiter's store is away: {0}")]
pub struct StoreAway(pub(crate) String);

/// Keeps the limiter's state.
#[async_trait]
pub(crate) trait Store: Send + Sync + fmt::Debug {
    /// Runs the commands in order, each atomically, in one round trip; one reply each.
    async fn run(&self, commands: &[Command]) -> Result<Vec<Reply>, StoreAway>;
}

/// The rule of the module's documentation over a store.
#[derive(Debug)]
pub(crate) struct BudgetedLimiter<S> {
    store: S,
    budgets: Budgets,
    issuer: Issuer,
}

/// The commands of an attempt's first round trip, by position.
const FIRST_COMMANDS: usize = 3;

impl<S: Store> BudgetedLimiter<S> {
    pub(crate) fn new(store: S, budgets: Budgets, issuer: Issuer) -> Self {
        Self {
            store,
            budgets,
            issuer,
        }
    }

    pub(crate) async fn charge(&self, attempts: &[Attempt]) -> Result<Vec<Verdict>, StoreAway> {
        let mut commands = Vec::with_capacity(attempts.len() * FIRST_COMMANDS);
        for attempt in attempts {
            self.push_first_commands(attempt, &mut commands);
        }
        let mut replies = self.run(&commands).await?.into_iter();

        let mut decided = Vec::with_capacity(attempts.len());
        let mut address_commands = Vec::new();
        for attempt in attempts {
            let first = self.take_first_replies(&mut replies)?;
            let decision = decide(&first, None, self.circumstances(attempt));
            if let (Decision::AskAddress, Some(address)) = (decision, attempt.address) {
                address_commands.push(Command {
                    subject: Subject::Address(AddressGroup::of(address)),
                    operation: Operation::ChargeBucket(self.budgets.address()),
                });
            }
            decided.push((first, decision));
        }
        let mut address_replies = self.run(&address_commands).await?.into_iter();

        let mut verdicts = Vec::with_capacity(attempts.len());
        let mut taken_back = Vec::new();
        for (attempt, (first, mut decision)) in attempts.iter().zip(decided) {
            let mut address_mark = None;
            if decision == Decision::AskAddress {
                let reply = next(&mut address_replies)?;
                decision = decide(&first, Some(reply), self.circumstances(attempt));
                address_mark = Some(reply.mark);
            }
            verdicts.push(match decision {
                Decision::Refuse {
                    dimension,
                    retry_micros,
                } => {
                    push_taking_back(attempt, &first, &mut taken_back);
                    Verdict::Refused {
                        dimension,
                        retry_after: whole_seconds(retry_micros),
                    }
                }
                Decision::Allow { .. } | Decision::AskAddress => Verdict::Allowed {
                    receipt: self.receipt(attempt, &first, address_mark),
                    guess_guarded: decision
                        == Decision::Allow {
                            guess_guarded: true,
                        },
                },
            });
        }
        self.run(&taken_back).await?;
        Ok(verdicts)
    }

    pub(crate) async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<GuessScope>, StoreAway> {
        let mut commands = Vec::with_capacity(settlements.len() * FIRST_COMMANDS);
        let mut kept = Vec::new();
        for settlement in settlements {
            match settlement {
                Settlement::GiveBack {
                    receipt,
                    first_admission,
                } => self.push_giving_back(receipt, first_admission, &mut commands),
                Settlement::Keep { receipt } => {
                    kept.push((commands.len(), receipt.guesses.clone()));
                    commands.push(Command {
                        subject: Subject::from(&receipt.guesses),
                        operation: Operation::KeepGuard {
                            mark: receipt.guess_mark,
                            rate: receipt.guess_rate,
                        },
                    });
                }
            }
        }
        let replies = self.run(&commands).await?;
        Ok(kept
            .into_iter()
            .filter(|(index, _)| replies.get(*index).is_some_and(|reply| reply.count > 0))
            .map(|(_, scope)| scope)
            .collect())
    }

    async fn run(&self, commands: &[Command]) -> Result<Vec<Reply>, StoreAway> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.store.run(commands).await
    }

    fn circumstances(&self, attempt: &Attempt) -> Circumstances {
        Circumstances {
            vouched: attempt.vouched,
            has_address: attempt.address.is_some(),
            free_of_address: self.budgets.user_free_of_address,
        }
    }

    fn push_first_commands(&self, attempt: &Attempt, commands: &mut Vec<Command>) {
        let in_flight_max = match &attempt.organization {
            Some(_) => self.budgets.organization_in_flight_attempts_max,
            None => self.budgets.service_in_flight_attempts_max,
        };
        commands.push(Command {
            subject: Subject::User(attempt.user.clone()),
            operation: Operation::ChargeUser(self.budgets.user()),
        });
        commands.push(Command {
            subject: Subject::from(&guess_scope(attempt)),
            operation: Operation::EnterGuard {
                in_flight_max: i64::from(in_flight_max),
            },
        });
        if let Some(rate) = self.budgets.calling_service() {
            commands.push(Command {
                subject: Subject::CallingService(attempt.calling_service.clone()),
                operation: Operation::ChargeBucket(rate),
            });
        }
    }

    fn take_first_replies(
        &self,
        replies: &mut impl Iterator<Item = Reply>,
    ) -> Result<Replies, StoreAway> {
        let user = next(replies)?;
        let guard = next(replies)?;
        let calling_service = match self.budgets.calling_service() {
            Some(_) => Some(next(replies)?),
            None => None,
        };
        Ok(Replies {
            user,
            guard,
            calling_service,
        })
    }

    fn receipt(&self, attempt: &Attempt, first: &Replies, address_mark: Option<i64>) -> Receipt {
        Receipt {
            issuer: self.issuer,
            user: attempt.user.clone(),
            user_mark: first.user.mark,
            address: attempt.address.map(AddressGroup::of),
            address_mark,
            guesses: guess_scope(attempt),
            guess_rate: match attempt.organization {
                Some(_) => self.budgets.organization(attempt.organization_seats),
                None => self.budgets.service(),
            },
            guess_mark: first.guard.mark,
        }
    }

    fn push_giving_back(
        &self,
        receipt: Receipt,
        first_admission: bool,
        commands: &mut Vec<Command>,
    ) {
        commands.push(Command {
            subject: Subject::from(&receipt.guesses),
            operation: Operation::LeaveGuard {
                mark: receipt.guess_mark,
            },
        });
        commands.push(Command {
            subject: Subject::User(receipt.user),
            operation: Operation::RefundUser {
                mark: receipt.user_mark,
            },
        });
        let Some(address) = receipt.address else {
            return;
        };
        if let Some(mark) = receipt.address_mark {
            commands.push(Command {
                subject: Subject::Address(address),
                operation: Operation::RefundBucket {
                    mark,
                    rate: self.budgets.address(),
                },
            });
        }
        if first_admission && self.budgets.address_admissions_max > 0 {
            commands.push(Command {
                subject: Subject::Address(address),
                operation: Operation::AddToBucket {
                    most: i64::from(self.budgets.address_admissions_max),
                },
            });
        }
    }
}

fn guess_scope(attempt: &Attempt) -> GuessScope {
    match &attempt.organization {
        Some(organization) => GuessScope::Organization(organization.clone()),
        None => GuessScope::Service,
    }
}

/// A refused attempt was no guess: its user gets the charge back, and it is no longer under way.
fn push_taking_back(attempt: &Attempt, first: &Replies, commands: &mut Vec<Command>) {
    if first.user.allowed {
        commands.push(Command {
            subject: Subject::User(attempt.user.clone()),
            operation: Operation::RefundUser {
                mark: first.user.mark,
            },
        });
    }
    commands.push(Command {
        subject: Subject::from(&guess_scope(attempt)),
        operation: Operation::LeaveGuard {
            mark: first.guard.mark,
        },
    });
}

fn next(replies: &mut impl Iterator<Item = Reply>) -> Result<Reply, StoreAway> {
    replies
        .next()
        .ok_or_else(|| StoreAway("it answered fewer commands than it was sent".to_owned()))
}

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
            assert_eq!(
                whole_seconds(micros),
                Duration::from_secs(seconds),
                "{micros} µs"
            );
        }
    }
}
