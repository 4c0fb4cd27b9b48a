//! Injects faults into single calls, which are lost, delayed, repeated or cut short.

use std::time::Duration;

use homeroom_faults::surroundings::{Answer, Loss, Repetition, RpcFault};
use tokio::time::sleep;

use super::Injection;
use crate::{dice::Dice, fault::Fault};

/// The percentage of calls that are broken: between the services, and from callers.
const BROKEN_PERCENT: [usize; 2] = [35, 20];

impl Injection<'_> {
    pub(super) async fn break_calls(&mut self, fault: Fault) {
        self.settling.broken();
        let proxies = self.stage.proxies.clone();
        let before: u64 = proxies
            .calls()
            .iter()
            .map(|proxy| proxy.counts().faults())
            .sum();
        let [between, of_callers] = BROKEN_PERCENT;
        for (proxy, percent) in proxies
            .calls()
            .into_iter()
            .zip([of_callers, of_callers, between])
        {
            let dice = self.dice.split();
            proxy.decide(move |_| {
                if dice.percent(percent) {
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
        let after: u64 = proxies
            .calls()
            .iter()
            .map(|proxy| proxy.counts().faults())
            .sum();
        self.tally.add(fault, after - before);
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
    let late = if dice.percent(90) {
        dice.millis(1, 120)
    } else {
        dice.millis(120, 2_500)
    };
    match fault {
        Fault::RequestLost => RpcFault::DropRequest(loss),
        Fault::ReplyLost => RpcFault::DropReply(loss),
        Fault::Delayed if dice.percent(50) => RpcFault::Delay(late),
        Fault::Delayed => RpcFault::DelayReply(late),
        Fault::Repeated => RpcFault::Repeat(Repetition {
            pause: dice.percent(50).then_some(late),
            answer: if dice.percent(50) {
                Answer::First
            } else {
                Answer::Second
            },
        }),
        Fault::Late if dice.percent(5) => RpcFault::Hold(late),
        Fault::Late => RpcFault::Late(late),
        // Mostly deadlines so short that they pass.
        Fault::Deadline if dice.percent(75) => RpcFault::Deadline(dice.millis(1, 12)),
        Fault::Deadline => RpcFault::Deadline(dice.millis(12, 500)),
        _ => RpcFault::None,
    }
}
