//! The one decision from the replies of an attempt's dimensions: pure, total, and the whole rule.

use super::{Dimension, state::Reply};

/// The replies of the first round trip.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replies {
    pub(crate) user: Reply,
    /// True if every guard that counts the attempt is open.
    pub(crate) guards_open: bool,
    pub(crate) calling_service: Option<Reply>,
}

/// The other facts that the rule depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// True if the platform vouches for the user.
    pub(crate) vouched: bool,
    /// True if the attempt's address is known.
    pub(crate) has_address: bool,
    /// The number of a user's failures that are free of the address.
    pub(crate) free_of_address: u32,
}

/// The decision about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The attempt passes; short credentials queue if `guess_guarded`.
    Allow { guess_guarded: bool },
    /// The address must be charged, then the decision is made again.
    AskAddress,
    /// The attempt is refused, and its other charges are taken back.
    Refuse {
        dimension: Dimension,
        retry_micros: i64,
    },
}

/// Decides on an attempt. `address` is the reply of its address, once that was asked.
///
/// The user and the calling service are asked first, and the one with the longer wait is named. The address is asked
/// only for a user who is not vouched for and has used up the failures that are free of it; so nobody's first attempts,
/// however many at once, ever reach it. It refuses only users who have failed more often than that: a student who
/// mistypes twice at an address that others have spent, and then types right, gets in.
pub(crate) fn decide(
    replies: &Replies,
    address: Option<Reply>,
    circumstances: Circumstances,
) -> Decision {
    let free_of_address = i64::from(circumstances.free_of_address);
    let spends_address = replies.user.count >= free_of_address;
    let mut refusing_address = address.filter(|_| replies.user.count > free_of_address);
    if let Some(reply) = &mut refusing_address
        && replies.user.settled <= free_of_address
    {
        // Once the user's attempts under way are given back, the next one is free of the address.
        reply.retry_micros = reply.retry_micros.min(1);
    }
    let refusals = [
        (Dimension::User, Some(replies.user)),
        (Dimension::CallingService, replies.calling_service),
        (Dimension::Address, refusing_address),
    ];
    let longest = refusals
        .into_iter()
        .filter_map(|(dimension, reply)| Some((dimension, reply?)))
        .filter(|(_, reply)| !reply.allowed)
        .max_by_key(|(_, reply)| reply.retry_micros);
    if let Some((dimension, reply)) = longest {
        return Decision::Refuse {
            dimension,
            retry_micros: reply.retry_micros,
        };
    }
    if address.is_none() && circumstances.has_address && !circumstances.vouched && spends_address {
        return Decision::AskAddress;
    }
    Decision::Allow {
        guess_guarded: !replies.guards_open && !circumstances.vouched,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Reply = Reply::DONE;
    const UNVOUCHED: Circumstances = Circumstances {
        vouched: false,
        has_address: true,
        free_of_address: 2,
    };
    const VOUCHED: Circumstances = Circumstances {
        vouched: true,
        ..UNVOUCHED
    };
    const NO_ADDRESS: Circumstances = Circumstances {
        has_address: false,
        ..UNVOUCHED
    };
    const OPEN: Decision = Decision::Allow {
        guess_guarded: false,
    };
    const GUARDED: Decision = Decision::Allow {
        guess_guarded: true,
    };

    fn user(failures_before: i64) -> Reply {
        Reply {
            count: failures_before,
            settled: failures_before,
            ..Reply::DONE
        }
    }

    fn spent(retry_micros: i64) -> Reply {
        Reply {
            allowed: false,
            retry_micros,
            ..Reply::DONE
        }
    }

    fn refuse(dimension: Dimension, retry_micros: i64) -> Decision {
        Decision::Refuse {
            dimension,
            retry_micros,
        }
    }

    fn replies(user: Reply, guards_open: bool, calling_service: Option<Reply>) -> Replies {
        Replies {
            user,
            guards_open,
            calling_service,
        }
    }

    #[test]
    fn r10_the_address_pays_from_the_third_failure_on_and_refuses_from_the_fourth() {
        let by_address = refuse(Dimension::Address, 7);
        let cases = [
            ("the first is free", 0, None, UNVOUCHED, OPEN),
            ("so is the second", 1, None, UNVOUCHED, OPEN),
            ("the third asks", 2, None, UNVOUCHED, Decision::AskAddress),
            ("and passes", 2, Some(OK), UNVOUCHED, OPEN),
            ("in any case", 2, Some(spent(7)), UNVOUCHED, OPEN),
            ("the fourth asks", 3, None, UNVOUCHED, Decision::AskAddress),
            ("and passes", 3, Some(OK), UNVOUCHED, OPEN),
            ("or not", 3, Some(spent(7)), UNVOUCHED, by_address),
            ("a vouched user never asks", 4, None, VOUCHED, OPEN),
            ("nor one from nowhere", 4, None, NO_ADDRESS, OPEN),
        ];
        for (name, failures, address, circumstances, expected) in cases {
            let replies = replies(user(failures), true, None);
            assert_eq!(decide(&replies, address, circumstances), expected, "{name}");
        }
    }

    #[test]
    fn r10_who_is_free_of_the_address_once_settled_comes_back_at_once() {
        let under_way = Reply {
            settled: 2,
            ..user(3)
        };
        let replies = replies(under_way, true, None);
        assert_eq!(
            decide(&replies, Some(spent(120)), UNVOUCHED),
            refuse(Dimension::Address, 1)
        );
    }

    #[test]
    fn r10_the_user_and_the_calling_service_refuse_everybody() {
        use Dimension::{CallingService, User};
        let cases = [
            (spent(12), None, refuse(User, 12)),
            (spent(12), Some(OK), refuse(User, 12)),
            (user(0), Some(spent(3)), refuse(CallingService, 3)),
            // the longer wait is named, so that coming back then helps
            (spent(12), Some(spent(30)), refuse(CallingService, 30)),
            (spent(12), Some(spent(3)), refuse(User, 12)),
        ];
        for (user, calling_service, expected) in cases {
            let replies = replies(user, false, calling_service);
            for circumstances in [UNVOUCHED, VOUCHED, NO_ADDRESS] {
                assert_eq!(decide(&replies, None, circumstances), expected);
            }
        }
    }

    #[test]
    fn r10_a_closed_guard_refuses_nobody_and_passes_vouched_users_by() {
        let cases = [
            (0, None, UNVOUCHED, GUARDED),
            (0, None, NO_ADDRESS, GUARDED),
            (0, None, VOUCHED, OPEN),
            (2, None, UNVOUCHED, Decision::AskAddress),
            (2, Some(OK), UNVOUCHED, GUARDED),
        ];
        for (failures, address, circumstances, expected) in cases {
            let replies = replies(user(failures), false, None);
            assert_eq!(decide(&replies, address, circumstances), expected);
        }
    }
}
