//! The faults, and the failpoints at which they are injected.

use std::time::Duration;

use homeroom_kit::failpoints::{Action, Armed};
use homeroom_tests::dice::Dice;

use crate::requests::METHODS;

/// The transactions of a redemption or a fence.
const SAGA_TRANSACTIONS: &[&str] = &[
    "invitations.reserve",
    "invitations.settle",
    "invitations.change",
    "invitations.begin_erasure",
    "invitations.confirm_fence",
    "invitations.erase",
    "membership.admit",
    "membership.raise_fence",
    "membership.change",
];
const OTHER_TRANSACTIONS: &[&str] = &[
    "invitations.audit",
    "invitations.follow",
    "invitations.forget_logs",
    "invitations.forget_requests",
    "invitations.hasten",
    "invitations.profile",
    "invitations.refused_attempts",
    "invitations.set_next_tries",
    "invitations.take_due",
    "invitations.take_queued",
    "membership.expire",
    "membership.forget_requests",
];
/// Calls from invitations to membership; those of the saga stand more than once.
const CALLS: &[&str] = &[
    "BatchAdmit",
    "BatchAdmit",
    "BatchAdmit",
    "RaiseFence",
    "RaiseFence",
    "GetAdmission",
    "CheckAccess",
    "EraseUser",
    "MoveUser",
    "ListUserRecords",
    "ListEvents",
];
/// Methods that fail more often than the others.
const SAGA_METHODS: &[&str] = &[
    "membership.BatchAdmit",
    "membership.RaiseFence",
    "membership.GetAdmission",
    "invitations.Redeem",
    "invitations.BatchRedeem",
];
/// The failpoint before T3 begins: a T3 that waits there holds no lock.
pub const LATE_SETTLEMENT: &str = "invitations.settle.before_begin";
/// The longest delay, in milliseconds.
const DELAY_MILLIS_MAX: i64 = 4;

/// An armed failpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The failpoint's name.
    pub point: String,
    /// The effect at the failpoint.
    pub armed: Armed,
}

impl Fault {
    /// Returns a random fault.
    pub fn roll(dice: &Dice) -> Self {
        let point = match dice.weighted([45, 12, 25, 12, 6].into_iter()) {
            0 => around_commit(dice, SAGA_TRANSACTIONS),
            1 => around_commit(dice, OTHER_TRANSACTIONS),
            2 => {
                let moment = *dice.pick(&["sending", "answered"]);
                format!("invitations.{}.{moment}", dice.pick(CALLS))
            }
            3 => {
                let moment = *dice.pick(&["received", "answering"]);
                format!("{}.{moment}", dice.pick(SAGA_METHODS))
            }
            _ => {
                let moment = *dice.pick(&["received", "answering"]);
                format!("{}.{moment}", dice.pick(&METHODS).point())
            }
        };
        let action = if dice.chance(70) {
            Action::Fail
        } else {
            let millis = dice.between(1, DELAY_MILLIS_MAX);
            Action::Delay(Duration::from_millis(millis.unsigned_abs()))
        };
        let armed = Armed {
            action,
            at: dice.between(1, 2).unsigned_abs(),
            times: dice.between(1, 3).unsigned_abs(),
        };
        Self { point, armed }
    }
}

/// Returns every failpoint that is ever armed.
pub fn points() -> impl Iterator<Item = String> {
    let commits = SAGA_TRANSACTIONS
        .iter()
        .chain(OTHER_TRANSACTIONS)
        .flat_map(|name| {
            ["before_commit", "after_commit"].map(|moment| format!("{name}.{moment}"))
        });
    let calls = CALLS.iter().flat_map(|name| {
        ["sending", "answered"].map(|moment| format!("invitations.{name}.{moment}"))
    });
    let methods = METHODS.iter().flat_map(|method| {
        ["received", "answering"].map(|moment| format!("{}.{moment}", method.point()))
    });
    let late = [LATE_SETTLEMENT.to_owned()].into_iter();
    late.chain(commits).chain(calls).chain(methods)
}

fn around_commit(dice: &Dice, transactions: &[&str]) -> String {
    let moment = *dice.pick(&["before_commit", "after_commit"]);
    format!("{}.{moment}", dice.pick(transactions))
}
