//! The order of deliveries to an endpoint. A lane holds those of one class, or of one organization itself: one is under
//! way at a time, oldest first, and one that waits for its next attempt holds back the others. Lanes go side by side.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

/// The most lanes of an endpoint that are served at a time, and so its most calls under way.
pub(crate) const LANES_AT_ONCE_MAX: usize = 16;

/// The oldest delivery of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) lane: String,
    pub(crate) delivery_id: i64,
    pub(crate) next_attempt_time: DateTime<Utc>,
}

/// The lanes of an endpoint that are being served.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    served: BTreeSet<String>,
}

impl Lanes {
    /// Returns the lanes to serve now, and counts them as served: those whose head is due, the oldest heads first, as
    /// many as are free.
    pub(crate) fn begin(&mut self, heads: Vec<Head>, now: DateTime<Utc>) -> Vec<String> {
        let mut due: Vec<Head> = heads
            .into_iter()
            .filter(|head| head.next_attempt_time <= now && !self.served.contains(&head.lane))
            .collect();
        due.sort_by_key(|head| head.delivery_id);
        due.truncate(LANES_AT_ONCE_MAX - self.served.len());
        let lanes: Vec<String> = due.into_iter().map(|head| head.lane).collect();
        self.served.extend(lanes.iter().cloned());
        lanes
    }

    /// Ends the service of a lane.
    pub(crate) fn end(&mut self, lane: &str) {
        self.served.remove(lane);
    }

    /// Returns true if no lane can begin.
    pub(crate) fn are_full(&self) -> bool {
        self.served.len() >= LANES_AT_ONCE_MAX
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(1_700_000_000_000_000_000)
    }

    fn head(lane: &str, delivery_id: i64) -> Head {
        Head {
            lane: lane.to_owned(),
            delivery_id,
            next_attempt_time: now(),
        }
    }

    #[test]
    fn a_lane_is_served_once_at_a_time() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.begin(vec![head("biology", 1)], now()), ["biology"]);
        let next = || vec![head("biology", 2), head("chemistry", 3)];
        assert_eq!(lanes.begin(next(), now()), ["chemistry"]);
        assert!(lanes.begin(next(), now()).is_empty());
        lanes.end("biology");
        assert_eq!(lanes.begin(next(), now()), ["biology"]);
    }

    #[test]
    fn a_head_that_is_not_due_holds_back_its_lane_alone() {
        let mut lanes = Lanes::default();
        let mut waits = head("biology", 1);
        waits.next_attempt_time = now() + TimeDelta::microseconds(1);
        let heads = vec![waits.clone(), head("chemistry", 2)];
        assert_eq!(lanes.begin(heads, now()), ["chemistry"]);
        let due = waits.next_attempt_time;
        assert_eq!(lanes.begin(vec![waits], due), ["biology"]);
    }

    #[test]
    fn sixteen_lanes_are_served_and_the_oldest_heads_first() {
        let mut lanes = Lanes::default();
        let count = LANES_AT_ONCE_MAX + 1;
        let heads = || (0..count).rev().zip(0_i64..);
        let heads = || heads().map(|(lane, id)| head(&lane.to_string(), id));
        let begun = lanes.begin(heads().collect(), now());
        assert_eq!(begun.len(), LANES_AT_ONCE_MAX);
        assert_eq!(begun[0], LANES_AT_ONCE_MAX.to_string());
        assert!(lanes.are_full() && !begun.contains(&"0".to_owned()));
        assert!(lanes.begin(heads().collect(), now()).is_empty());
        lanes.end("1");
        assert!(!lanes.are_full());
        let left = vec![head("0", 16)];
        assert_eq!(lanes.begin(left, now()), ["0"]);
    }
}
