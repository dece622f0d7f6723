//! The LRU cache: everything that can be computed again from the share, bounded in bytes.
//!
//! Parsed session files, merge plans and unpacked pieces live here and nowhere else, each charged with the memory it
//! really holds (capacity, not length), so that `--cache-size` is a promise.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::event::Day;

use super::catalog::SessionNo;

/// What a cached value is of.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum CacheKey {
    /// The contents of a data file, unpacked.
    Contents(String),
    /// What a scan of an events file found.
    Events(String),
    /// A merged session.
    Session(SessionNo),
    /// The merge plan of a day that is over.
    Day(Day),
}

/// What a value holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cost {
    /// Memory, bytes.
    pub memory_bytes: usize,
    /// Local disk, bytes.
    pub disk_bytes: u64,
}

/// Counters of the cache, for status.json.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheStats {
    /// Values found.
    pub hits: u64,
    /// Values that had to be computed.
    pub misses: u64,
    /// Memory held, bytes.
    pub memory_bytes: usize,
    /// Local disk held, bytes.
    pub disk_bytes: u64,
    /// Number of values.
    pub entries: usize,
}

/// Bytes charged for a key and its place in the cache, whatever the value.
const ENTRY_BYTES: usize = 160;

/// See the module text.
#[derive(Debug)]
pub struct Cache {
    memory_max: usize,
    disk_max: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    values: LruCache<CacheKey, (Arc<dyn Any + Send + Sync>, Cost)>,
    stats: CacheStats,
}

impl Cache {
    /// An empty cache of at most `memory_max` bytes of memory and `disk_max` bytes of local disk.
    pub fn new(memory_max: usize, disk_max: u64) -> Self {
        let inner = Inner {
            values: LruCache::unbounded(),
            stats: CacheStats::default(),
        };
        Cache {
            memory_max,
            disk_max,
            inner: Mutex::new(inner),
        }
    }

    /// The value of `key`, if it is there.
    pub fn get<T: Any + Send + Sync>(&self, key: &CacheKey) -> Option<Arc<T>> {
        let mut inner = self.lock();
        let found = inner
            .values
            .get(key)
            .and_then(|(value, _)| value.clone().downcast::<T>().ok());
        match found {
            Some(_) => inner.stats.hits += 1,
            None => inner.stats.misses += 1,
        }
        found
    }

    /// Keeps `value`, or charges anew the value that is kept; others make room, the longest unused first.
    pub fn put<T: Any + Send + Sync>(&self, key: CacheKey, value: Arc<T>, cost: Cost) {
        let cost = Cost {
            memory_bytes: cost.memory_bytes + ENTRY_BYTES,
            ..cost
        };
        let mut dropped = Vec::new();
        let mut inner = self.lock();
        if let Some((old, old_cost)) = inner.values.put(key, (value, cost)) {
            inner.discharge(old_cost);
            dropped.push(old);
        }
        inner.stats.memory_bytes += cost.memory_bytes;
        inner.stats.disk_bytes += cost.disk_bytes;
        while inner.stats.memory_bytes > self.memory_max || inner.stats.disk_bytes > self.disk_max {
            let Some((_, (old, old_cost))) = inner.values.pop_lru() else {
                break;
            };
            inner.discharge(old_cost);
            dropped.push(old);
        }
        drop(inner);
        // Values may be large: they are freed outside the lock.
        drop(dropped);
    }

    /// Forgets the value of `key`.
    pub fn remove(&self, key: &CacheKey) {
        let mut inner = self.lock();
        if let Some((old, cost)) = inner.values.pop(key) {
            inner.discharge(cost);
            drop(inner);
            drop(old);
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut dropped = Vec::new();
        let mut inner = self.lock();
        while let Some((_, (old, cost))) = inner.values.pop_lru() {
            inner.discharge(cost);
            dropped.push(old);
        }
        drop(inner);
        drop(dropped);
    }

    /// Forgets every value that holds local disk.
    pub fn free_disk(&self) {
        let mut inner = self.lock();
        let keys: Vec<CacheKey> = inner
            .values
            .iter()
            .filter(|(_, (_, cost))| cost.disk_bytes > 0)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            if let Some((_, cost)) = inner.values.pop(&key) {
                inner.discharge(cost);
            }
        }
    }

    /// The counters.
    pub fn stats(&self) -> CacheStats {
        let inner = self.lock();
        CacheStats {
            entries: inner.values.len(),
            ..inner.stats
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn discharge(&mut self, cost: Cost) {
        self.stats.memory_bytes = self.stats.memory_bytes.saturating_sub(cost.memory_bytes);
        self.stats.disk_bytes = self.stats.disk_bytes.saturating_sub(cost.disk_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> CacheKey {
        CacheKey::Session(SessionNo(n))
    }

    fn cost(memory_bytes: usize, disk_bytes: u64) -> Cost {
        Cost {
            memory_bytes,
            disk_bytes,
        }
    }

    #[test]
    fn the_longest_unused_goes_when_memory_is_full() {
        let cache = Cache::new(3 * (100 + ENTRY_BYTES), 0);
        for n in 0..3 {
            cache.put(key(n), Arc::new(n), cost(100, 0));
        }
        assert!(cache.get::<u32>(&key(0)).is_some());
        cache.put(key(3), Arc::new(3_u32), cost(100, 0));
        assert_eq!(
            (0..4)
                .map(|n| cache.get::<u32>(&key(n)).is_some())
                .collect::<Vec<_>>(),
            [true, false, true, true]
        );
    }

    #[test]
    fn a_value_put_again_is_charged_once() {
        let cache = Cache::new(10_000, 10_000);
        cache.put(key(1), Arc::new(1_u32), cost(100, 7));
        cache.put(key(1), Arc::new(2_u32), cost(300, 9));
        let stats = cache.stats();
        assert_eq!(
            (stats.memory_bytes, stats.disk_bytes, stats.entries),
            (300 + ENTRY_BYTES, 9, 1)
        );
    }

    #[test]
    fn a_value_larger_than_the_cache_is_not_kept() {
        let cache = Cache::new(1000, 1000);
        cache.put(key(1), Arc::new(1_u32), cost(5000, 0));
        assert_eq!(cache.stats().memory_bytes, 0);
    }
}
