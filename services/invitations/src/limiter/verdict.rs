//! The one decision from the replies of an attempt's counters: pure, total, and the whole rule.

use super::{attempt::Dimension, counter::Reply};

/// The facts that the rule depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) user: Reply,
    /// True if every guard that counts the attempt is open.
    pub(crate) guards_open: bool,
    pub(crate) calling_service: Option<Reply>,
    /// True if the attempt's address is known, and the user not vouched for.
    pub(crate) asks_address: bool,
    /// The reply of the address, once it was asked.
    pub(crate) address: Option<Reply>,
    /// True if the platform vouches for the user.
    pub(crate) vouched: bool,
    /// The number of a user's failures that are free of the address.
    pub(crate) free_of_address: i64,
}

/// The decision about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The attempt passes.
    Allow,
    /// The attempt passes, and a short credential leads to the queue.
    Queue,
    /// The address must be charged, then the decision is made again.
    AskAddress,
    /// The attempt is refused for this many microseconds, and its other charges are taken back.
    Refuse(Dimension, i64),
}

/// Decides on an attempt.
///
/// The user and the calling service are asked first, and the one with the longer wait is named. The address is asked
/// only for a user who is not vouched for and has used up the failures that are free of it; so nobody's first attempts,
/// however many at once, ever reach it. It refuses only users who have failed more often than that: a student who
/// mistypes twice at an address that others have spent, and then types right, gets in.
pub(crate) fn decide(facts: &Facts) -> Decision {
    let (user, free) = (facts.user, facts.free_of_address);
    let mut address = facts.address.filter(|_| user.count > free);
    if let Some(reply) = &mut address
        && user.settled <= free
    {
        // Once the user's attempts under way are given back, the next one is free of the address.
        reply.retry_micros = reply.retry_micros.min(1);
    }
    let replies = [
        (Dimension::User, Some(user)),
        (Dimension::CallingService, facts.calling_service),
        (Dimension::Address, address),
    ];
    let longest = replies
        .into_iter()
        .filter_map(|(dimension, reply)| Some((dimension, reply?)))
        .filter(|(_, reply)| !reply.allowed)
        .max_by_key(|(_, reply)| reply.retry_micros);
    if let Some((dimension, reply)) = longest {
        return Decision::Refuse(dimension, reply.retry_micros);
    }
    if facts.address.is_none() && facts.asks_address && user.count >= free {
        return Decision::AskAddress;
    }
    if facts.guards_open || facts.vouched {
        Decision::Allow
    } else {
        Decision::Queue
    }
}

#[cfg(test)]
mod tests {
    use Decision::{Allow, AskAddress, Queue, Refuse};

    use super::*;

    const OK: Reply = Reply::DONE;
    const UNVOUCHED: Facts = Facts {
        user: OK,
        guards_open: true,
        calling_service: None,
        asks_address: true,
        address: None,
        vouched: false,
        free_of_address: 2,
    };
    const VOUCHED: Facts = Facts {
        vouched: true,
        asks_address: false,
        ..UNVOUCHED
    };
    const NO_ADDRESS: Facts = Facts {
        asks_address: false,
        ..UNVOUCHED
    };

    fn user(failures_before: i64) -> Reply {
        Reply {
            settled: failures_before,
            ..Reply::counted(failures_before)
        }
    }

    #[test]
    fn r10_the_address_pays_from_the_third_failure_on_and_refuses_from_the_fourth() {
        let spent = Some(Reply::refused(7));
        let by_address = Refuse(Dimension::Address, 7);
        for (name, failures, address, facts, expected) in [
            ("the first is free", 0, None, UNVOUCHED, Allow),
            ("so is the second", 1, None, UNVOUCHED, Allow),
            ("the third asks", 2, None, UNVOUCHED, AskAddress),
            ("and passes", 2, Some(OK), UNVOUCHED, Allow),
            ("in any case", 2, spent, UNVOUCHED, Allow),
            ("the fourth asks", 3, None, UNVOUCHED, AskAddress),
            ("and passes", 3, Some(OK), UNVOUCHED, Allow),
            ("or not", 3, spent, UNVOUCHED, by_address),
            ("a vouched user never asks", 4, None, VOUCHED, Allow),
            ("nor one from nowhere", 4, None, NO_ADDRESS, Allow),
        ] {
            let user = user(failures);
            let facts = Facts {
                user,
                address,
                ..facts
            };
            assert_eq!(decide(&facts), expected, "{name}");
        }
    }

    #[test]
    fn r10_who_is_free_of_the_address_once_settled_comes_back_at_once() {
        let under_way = Reply {
            settled: 2,
            ..user(3)
        };
        let facts = Facts {
            user: under_way,
            address: Some(Reply::refused(120)),
            ..UNVOUCHED
        };
        assert_eq!(decide(&facts), Refuse(Dimension::Address, 1));
    }

    #[test]
    fn r10_the_user_and_the_calling_service_refuse_everybody() {
        use Dimension::{CallingService, User};
        let spent = Reply::refused;
        for (user, calling_service, expected) in [
            (spent(12), None, Refuse(User, 12)),
            (spent(12), Some(OK), Refuse(User, 12)),
            (user(0), Some(spent(3)), Refuse(CallingService, 3)),
            // the longer wait is named, so that coming back then helps
            (spent(12), Some(spent(30)), Refuse(CallingService, 30)),
            (spent(12), Some(spent(3)), Refuse(User, 12)),
        ] {
            for facts in [UNVOUCHED, VOUCHED, NO_ADDRESS] {
                let facts = Facts {
                    user,
                    calling_service,
                    guards_open: false,
                    ..facts
                };
                assert_eq!(decide(&facts), expected);
            }
        }
    }

    #[test]
    fn r10_a_closed_guard_refuses_nobody_and_passes_vouched_users_by() {
        for (failures, address, facts, expected) in [
            (0, None, UNVOUCHED, Queue),
            (0, None, NO_ADDRESS, Queue),
            (0, None, VOUCHED, Allow),
            (2, None, UNVOUCHED, AskAddress),
            (2, Some(OK), UNVOUCHED, Queue),
        ] {
            let facts = Facts {
                user: user(failures),
                guards_open: false,
                address,
                ..facts
            };
            assert_eq!(decide(&facts), expected);
        }
    }
}
