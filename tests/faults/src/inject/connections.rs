//! Injects faults into connections, which are reset, stalled in one direction, or refused.

use homeroom_tests::tcp_proxy::Direction;

use super::Injection;
use crate::fault::Fault;

impl Injection<'_> {
    pub(super) async fn break_connections(&mut self, fault: Fault) {
        let proxies = self.stage.proxies.clone();
        while self.goes_on() {
            let proxy = self.dice.pick(&proxies.connections);
            let before = proxy.faults();
            self.settling.broken();
            if fault == Fault::Cut {
                let cut = proxy.cut();
                self.tally.add(fault, u64::from(cut > 0));
                self.settling.healthy();
                self.pause(10, 120).await;
                continue;
            }
            let ways = self.dice.below(4);
            if ways == 0 {
                proxy.refuse(true);
                proxy.cut();
            }
            proxy.stall(Direction::ToUpstream, matches!(ways, 1 | 3));
            proxy.stall(Direction::ToClient, matches!(ways, 2 | 3));
            self.pause(50, 1_200).await;
            let after = proxy.faults();
            proxy.heal();
            self.tally.add(fault, u64::from(after > before));
            self.settling.healthy();
            self.pause(20, 300).await;
        }
    }
}
