//! The commands to the store for one attempt: to charge it, give it back, keep it or take it back.

use super::{
    Attempt, Effect, Guess, GuessHash, GuessScope, Receipt,
    budget::AddressGroup,
    budgeted::{BudgetedLimiter, next},
    state::Reply,
    store::{Command, Operation, Store, StoreAway, Subject},
    verdict::Replies,
};

/// The replies of an attempt's first round trip.
pub(super) struct First {
    pub(super) replies: Replies,
    /// The marks, in the order of the attempt's [`scopes`].
    guard_marks: Vec<i64>,
}

impl<S: Store> BudgetedLimiter<S> {
    pub(super) fn push_first_commands(&self, attempt: &Attempt, commands: &mut Vec<Command>) {
        commands.push(Command {
            subject: Subject::User(attempt.user.clone()),
            operation: Operation::ChargeUser {
                guess: attempt.guess,
                budget: self.budgets.user(),
            },
        });
        commands.extend(scopes(attempt).map(|scope| Command {
            subject: Subject::from(&scope),
            operation: Operation::EnterGuard {
                in_flight_max: i64::from(match scope {
                    GuessScope::Organization(_) => self.budgets.organization_in_flight_attempts_max,
                    GuessScope::Service => self.budgets.service_in_flight_attempts_max,
                }),
            },
        }));
        if let Some(rate) = self.budgets.calling_service() {
            commands.push(Command {
                subject: Subject::CallingService(attempt.calling_service.clone()),
                operation: Operation::ChargeBucket { rate, held: false },
            });
        }
    }

    pub(super) fn take_first_replies(
        &self,
        attempt: &Attempt,
        replies: &mut impl Iterator<Item = Reply>,
    ) -> Result<First, StoreAway> {
        let user = next(replies)?;
        let guards: Vec<Reply> = scopes(attempt)
            .map(|_| next(replies))
            .collect::<Result<_, _>>()?;
        let calling_service = self.budgets.calling_service();
        Ok(First {
            replies: Replies {
                user,
                guards_open: guards.iter().all(|guard| guard.allowed),
                calling_service: calling_service.map(|_| next(replies)).transpose()?,
            },
            guard_marks: guards.iter().map(|guard| guard.mark).collect(),
        })
    }

    /// Returns the receipt for an attempt's charges. An address without room was charged nothing.
    pub(super) fn receipt(
        &self,
        attempt: &Attempt,
        first: &First,
        address: Option<Reply>,
    ) -> Receipt {
        let guess = |(scope, mark): (GuessScope, &i64)| Guess {
            rate: match scope {
                GuessScope::Organization(_) => {
                    self.budgets.organization(attempt.organization_seats)
                }
                GuessScope::Service => self.budgets.service(),
            },
            mark: *mark,
            scope,
        };
        Receipt {
            issuer: self.issuer,
            user: attempt.user.clone(),
            guess: attempt.guess,
            user_mark: first.replies.user.mark,
            address: attempt.address.map(AddressGroup::of),
            address_mark: address
                .filter(|reply| reply.allowed)
                .map(|reply| reply.mark),
            guesses: scopes(attempt).zip(&first.guard_marks).map(guess).collect(),
        }
    }

    pub(super) fn push_giving_back(
        &self,
        receipt: Receipt,
        effect: Effect,
        commands: &mut Vec<Command>,
    ) {
        commands.push(Command {
            subject: Subject::User(receipt.user),
            operation: self.refund(receipt.user_mark, receipt.guess, effect),
        });
        commands.extend(receipt.guesses.iter().map(|guess| Command {
            subject: Subject::from(&guess.scope),
            operation: Operation::LeaveGuard { mark: guess.mark },
        }));
        if let (Some(address), Some(mark)) = (receipt.address, receipt.address_mark) {
            commands.push(Command {
                subject: Subject::Address(address),
                operation: Operation::RefundBucket {
                    mark,
                    rate: self.budgets.address(),
                },
            });
        }
    }

    pub(super) fn push_keeping(&self, receipt: Receipt, found: bool, commands: &mut Vec<Command>) {
        let is_repeat = receipt.is_repeat();
        commands.extend(receipt.guesses.iter().map(|guess| Command {
            subject: Subject::from(&guess.scope),
            operation: match guess.scope {
                GuessScope::Organization(_) if is_repeat || found => {
                    Operation::LeaveGuard { mark: guess.mark }
                }
                _ => Operation::KeepGuard {
                    mark: guess.mark,
                    rate: guess.rate,
                },
            },
        }));
        if !is_repeat {
            commands.push(Command {
                subject: Subject::User(receipt.user),
                operation: Operation::KeepUser {
                    mark: receipt.user_mark,
                    guess: receipt.guess,
                },
            });
        }
        if let (Some(address), Some(mark)) = (receipt.address, receipt.address_mark) {
            commands.push(Command {
                subject: Subject::Address(address),
                operation: Operation::KeepBucket {
                    mark,
                    rate: self.budgets.address(),
                },
            });
        }
    }

    pub(super) fn refund(&self, mark: i64, guess: GuessHash, effect: Effect) -> Operation {
        Operation::RefundUser {
            mark,
            guess,
            repeats: self.budgets.user().repeats,
            effect,
            effects_max: i64::from(self.budgets.user_refunds_daily_max),
        }
    }

    /// Adds the commands for a refused attempt, which was no guess: its user gets the charge back, and it is no longer
    /// under way.
    pub(super) fn push_taking_back(
        &self,
        attempt: &Attempt,
        first: &First,
        commands: &mut Vec<Command>,
    ) {
        let user = first.replies.user;
        if user.allowed {
            commands.push(Command {
                subject: Subject::User(attempt.user.clone()),
                operation: self.refund(user.mark, attempt.guess, Effect::Nothing),
            });
        }
        let guards = scopes(attempt).zip(&first.guard_marks);
        commands.extend(guards.map(|(scope, mark)| Command {
            subject: Subject::from(&scope),
            operation: Operation::LeaveGuard { mark: *mark },
        }));
    }
}

/// Returns the scopes in which the attempt counts as a guess if it fails.
fn scopes(attempt: &Attempt) -> impl Iterator<Item = GuessScope> {
    let named = attempt.organization.clone().map(GuessScope::Organization);
    let names_none = named.is_none() || attempt.may_name_none;
    named
        .into_iter()
        .chain(names_none.then_some(GuessScope::Service))
}
