//! A map of bounded size that forgets expired entries, and then the least recently touched ones.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::Hash,
};

/// A map of at most `max` entries that forgets expired entries, and the least recently touched one.
pub(crate) struct Recent<K, V> {
    max: usize,
    touches: u64,
    entries: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
}

impl<K, V> fmt::Debug for Recent<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Recent")
            .field("max", &self.max)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash, V: Default> Recent<K, V> {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            touches: 0,
            entries: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// Changes the value of `key`; the entry is dropped at once if it then expires by `now`.
    pub(crate) fn change<R>(
        &mut self,
        key: &K,
        now: i64,
        act: impl FnOnce(&mut V) -> R,
        expires: impl Fn(&V) -> i64,
    ) -> R {
        let mut value = V::default();
        if let Some((touch, known)) = self.entries.remove(key) {
            self.order.remove(&touch);
            value = known;
        }
        let result = act(&mut value);
        if expires(&value) > now {
            self.make_room(now, expires);
            self.touches += 1;
            self.order.insert(self.touches, key.clone());
            self.entries.insert(key.clone(), (self.touches, value));
        }
        result
    }

    /// Drops the oldest entry if it has expired, and in any case as many as are needed for one more.
    fn make_room(&mut self, now: i64, expires: impl Fn(&V) -> i64) {
        while let Some(oldest) = self.order.first_entry() {
            let is_over = self
                .entries
                .get(oldest.get())
                .is_none_or(|(_, value)| expires(value) <= now);
            if !is_over && self.entries.len() < self.max {
                return;
            }
            let key = oldest.remove();
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(max: usize) -> Recent<u32, i64> {
        Recent::new(max)
    }

    fn touch(map: &mut Recent<u32, i64>, key: u32, expires: i64, now: i64) {
        map.change(&key, now, |value| *value = expires, |value| *value);
    }

    #[test]
    fn r10_memory_holds_its_maximum_and_then_forgets_what_was_touched_longest_ago() {
        // given a full map in which 1 is older than 2, but touched since
        let mut map = recent(2);
        touch(&mut map, 1, 100, 0);
        touch(&mut map, 2, 100, 0);
        touch(&mut map, 1, 100, 0);
        // when one more comes
        touch(&mut map, 3, 100, 0);
        // then 2 is forgotten
        let mut keys: Vec<_> = map.entries.keys().copied().collect();
        keys.sort_unstable();
        assert_eq!(keys, [1, 3]);
        assert_eq!(map.order.len(), 2);
    }

    #[test]
    fn r10_memory_forgets_what_expired() {
        let mut map = recent(10);
        touch(&mut map, 1, 5, 0);
        touch(&mut map, 2, 5, 0);
        touch(&mut map, 3, 100, 5);
        assert_eq!(map.entries.len(), 1);
        // and an entry that expires by now is dropped at once
        touch(&mut map, 3, 5, 5);
        assert!(map.entries.is_empty() && map.order.is_empty());
    }
}
