//! Injects faults into single calls, which are lost, delayed, repeated or cut short.

use std::time::Duration;

use homeroom_faults::surroundings::{Loss, RpcFault};
use homeroom_tests::dice::Dice;
use tokio::time::sleep;

use super::Injection;
use crate::fault::Fault;

/// The deadline of every call.
const CALL: Duration = Duration::from_secs(2);
/// The percentage of calls that are broken: between the services, and from callers.
const BROKEN_PERCENT: [usize; 2] = [35, 20];

impl Injection<'_> {
    pub(super) async fn break_calls(&mut self, fault: Fault) {
        self.settling.broken();
        let proxies = self.stage.proxies.clone();
        let faults = || {
            proxies
                .calls()
                .iter()
                .map(|proxy| proxy.faults())
                .sum::<u64>()
        };
        let before = faults();
        let [between, of_callers] = BROKEN_PERCENT;
        for (proxy, percent) in proxies
            .calls()
            .into_iter()
            .zip([of_callers, of_callers, between])
        {
            let dice = self.dice.split();
            proxy.decide(move || {
                if dice.chance(percent) {
                    choose(fault, &dice)
                } else {
                    RpcFault::None
                }
            });
        }
        while self.goes_on() {
            sleep(Duration::from_millis(50)).await;
        }
        proxies.heal().await;
        self.tally.add(fault, faults() - before);
    }
}

/// Returns the fault of one call.
fn choose(fault: Fault, dice: &Dice) -> RpcFault {
    let loss = match dice.below(10) {
        0 => Loss::Silence,
        1..5 => Loss::Reset,
        _ => Loss::Unavailable,
    };
    // Mostly short delays, so that much happens; sometimes one beyond every deadline.
    let late = if dice.chance(90) {
        dice.millis(1, 120)
    } else {
        dice.millis(120, 2_500)
    };
    match fault {
        Fault::RequestLost => RpcFault::DropRequest(loss),
        Fault::ReplyLost => RpcFault::DropReply(loss),
        Fault::Delayed if dice.chance(50) => RpcFault::Delay(late),
        Fault::Delayed => RpcFault::DelayReply(late),
        Fault::Repeated => RpcFault::Repeat {
            pause: dice.chance(50).then_some(late),
            second: dice.chance(50),
        },
        // Beyond the caller's deadline, and behind its next calls.
        Fault::Late if dice.chance(5) => RpcFault::Late(late + CALL, Loss::Silence),
        Fault::Late => RpcFault::Late(late, Loss::Unavailable),
        // Mostly deadlines so short that they pass.
        Fault::Deadline if dice.chance(75) => RpcFault::Deadline(dice.millis(1, 12)),
        Fault::Deadline => RpcFault::Deadline(dice.millis(12, 500)),
        _ => RpcFault::None,
    }
}
