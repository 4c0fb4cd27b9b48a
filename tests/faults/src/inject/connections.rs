//! Injects faults into connections, which are reset, stalled in one direction, or refused.

use homeroom_faults::surroundings::{Direction, TcpProxy};

use super::Injection;
use crate::fault::Fault;

impl Injection<'_> {
    pub(super) async fn break_connections(&mut self, fault: Fault) {
        let proxies = self.stage.proxies.clone();
        while self.goes_on() {
            let proxy = self.dice.pick(&proxies.connections);
            let before = took_effect(proxy);
            match fault {
                Fault::Cut => {
                    self.settling.broken();
                    if proxy.cut() > 0 {
                        self.tally.add(fault, 1);
                    }
                    self.settling.healthy();
                    self.pause(10, 120).await;
                    continue;
                }
                Fault::OneWay => {
                    self.settling.broken();
                    let one = if self.dice.percent(50) {
                        Direction::ToUpstream
                    } else {
                        Direction::ToClient
                    };
                    proxy.stall(one, true);
                }
                _ if self.dice.percent(50) => {
                    self.settling.broken();
                    proxy.stall(Direction::ToUpstream, true);
                    proxy.stall(Direction::ToClient, true);
                }
                _ => {
                    self.settling.broken();
                    proxy.refuse(true);
                    proxy.cut();
                }
            }
            self.pause(50, 1_200).await;
            let after = took_effect(proxy);
            proxy.heal();
            self.tally.add(fault, u64::from(after > before));
            self.settling.healthy();
            self.pause(20, 300).await;
        }
    }
}

/// Returns the number of chunks that were held and of connections that were reset or refused.
fn took_effect(proxy: &TcpProxy) -> u64 {
    let counts = proxy.counts();
    counts.stalled + counts.refused + counts.cut
}
