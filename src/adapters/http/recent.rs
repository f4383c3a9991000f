//! A bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Holds at most so many values; those used least recently go first.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    capacity: usize,
    used: u64,
    values: HashMap<K, (u64, V)>,
    by_use: BTreeMap<u64, K>,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            used: 0,
            values: HashMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        self.used += 1;
        if let Some((before, _)) = self.values.insert(key.clone(), (self.used, value)) {
            self.by_use.remove(&before);
        }
        self.by_use.insert(self.used, key);
        while self.values.len() > self.capacity {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            self.values.remove(&oldest);
        }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<&V> {
        let (at, value) = self.values.get_mut(key)?;
        self.used += 1;
        if let Some(key) = self.by_use.remove(at) {
            self.by_use.insert(self.used, key);
        }
        *at = self.used;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_used_least_recently_goes_first() {
        let mut recent = Recent::new(2);
        recent.put("a", 1);
        recent.put("b", 2);

        recent.get(&"a");
        recent.put("c", 3);
        recent.put("c", 4);

        assert_eq!(recent.get(&"a"), Some(&1));
        assert_eq!(recent.get(&"b"), None);
        assert_eq!(recent.get(&"c"), Some(&4));
        assert_eq!(recent.by_use.len(), 2);
    }
}
