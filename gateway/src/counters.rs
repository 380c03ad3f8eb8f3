//! Octets carried, readable while they are: those that a host was sent and that it sent, so that what was
//! cut off on its way is told as far as it came.

use std::sync::atomic::{AtomicU64, Ordering};

/// Octets carried so far, readable while the relay runs.
#[derive(Debug, Default)]
pub struct Counters {
    up: AtomicU64,
    down: AtomicU64,
}

impl Counters {
    /// Octets sent to the host.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Octets that the host sent.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }

    /// Counts octets sent to the host.
    pub fn add_up(&self, octets: usize) {
        self.up.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// Counts octets that the host sent.
    pub fn add_down(&self, octets: usize) {
        self.down.fetch_add(octets as u64, Ordering::Relaxed);
    }
}
