//! Octets carried, readable while they are.

use std::sync::atomic::{AtomicU64, Ordering};

/// Octets carried so far, readable while the relay runs.
#[derive(Debug, Default)]
pub struct Counters {
    up: AtomicU64,
    down: AtomicU64,
}

impl Counters {
    /// Octets from the job.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Octets to the job.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }

    /// Counts octets from the job.
    pub fn add_up(&self, octets: usize) {
        self.up.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// Counts octets to the job.
    pub fn add_down(&self, octets: usize) {
        self.down.fetch_add(octets as u64, Ordering::Relaxed);
    }

    pub(crate) fn up_cell(&self) -> &AtomicU64 {
        &self.up
    }

    pub(crate) fn down_cell(&self) -> &AtomicU64 {
        &self.down
    }
}
