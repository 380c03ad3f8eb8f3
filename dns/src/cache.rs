//! Answers within their time to live; identical questions at the same time are one question.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::OnceCell;

/// Something that is true for a while.
pub(crate) trait Expires {
    fn expires(&self) -> Instant;
}

/// At most `capacity` answers; beyond it expired ones go, and then any.
pub(crate) struct Cache<K, V> {
    capacity: usize,
    entries: Mutex<HashMap<K, Arc<OnceCell<Arc<V>>>>>,
}

impl<K: Hash + Eq + Clone, V: Expires> Cache<K, V> {
    pub(crate) fn new(capacity: usize) -> Cache<K, V> {
        Cache { capacity, entries: Mutex::default() }
    }

    /// An answer that is there and has not expired.
    pub(crate) fn peek(&self, key: &K, now: Instant) -> Option<Arc<V>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key)?.get().filter(|value| value.expires() > now).cloned()
    }

    /// The answer, from `ask` if there is none. Only one `ask` runs for a key; when its caller
    /// goes away, the next one that waits takes over.
    pub(crate) async fn get_or_ask<F>(&self, key: K, now: Instant, ask: impl FnOnce() -> F) -> Arc<V>
    where
        F: Future<Output = V>,
    {
        let cell = self.cell(key.clone(), now);
        let value = cell.get_or_init(async || Arc::new(ask().await)).await.clone();
        if value.expires() <= Instant::now() {
            // Only for those who waited for it.
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if entries.get(&key).is_some_and(|held| Arc::ptr_eq(held, &cell)) {
                entries.remove(&key);
            }
        }
        value
    }

    fn cell(&self, key: K, now: Instant) -> Arc<OnceCell<Arc<V>>> {
        let is_live = |cell: &Arc<OnceCell<Arc<V>>>| match cell.get() {
            Some(value) => value.expires() > now,
            // Being asked, unless everybody who asked has gone.
            None => Arc::strong_count(cell) > 1,
        };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = entries.get(&key).filter(|cell| is_live(cell)) {
            return cell.clone();
        }
        if entries.len() >= self.capacity {
            entries.retain(|_, cell| is_live(cell));
        }
        if entries.len() >= self.capacity {
            let victim = entries.keys().next().cloned();
            victim.and_then(|victim| entries.remove(&victim));
        }
        let cell = Arc::<OnceCell<Arc<V>>>::default();
        entries.insert(key, cell.clone());
        cell
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    struct Until(Instant, u32);

    impl Expires for Until {
        fn expires(&self) -> Instant {
            self.0
        }
    }

    #[tokio::test]
    async fn asks_once_within_the_time_to_live() {
        let (cache, now, asked) = (Cache::new(4), Instant::now(), Cell::new(0));
        let until = now + Duration::from_secs(5);
        let ask = async || {
            asked.set(asked.get() + 1);
            tokio::task::yield_now().await;
            Until(until, asked.get())
        };
        let (first, second) = tokio::join!(cache.get_or_ask(1, now, ask), cache.get_or_ask(1, now, ask));
        assert_eq!((first.1, second.1, asked.get()), (1, 1, 1));
        assert!(cache.peek(&1, now).is_some());
        assert!(cache.peek(&1, until).is_none());
        cache.get_or_ask(1, until, ask).await;
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_hands_over() {
        let (cache, now) = (Cache::new(4), Instant::now());
        let stuck = cache.get_or_ask(1, now, std::future::pending::<Until>);
        let answered = cache.get_or_ask(1, now, async || Until(now, 7));
        tokio::select! {
            biased;
            _ = stuck => unreachable!("never answers"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(answered.await.1, 7);
    }

    #[tokio::test]
    async fn is_bounded() {
        let (cache, now) = (Cache::new(4), Instant::now());
        for key in 0..100 {
            cache.get_or_ask(key, now, async || Until(now + Duration::from_secs(9), key)).await;
        }
        assert_eq!(cache.entries.lock().expect("not poisoned").len(), 4);
    }
}
