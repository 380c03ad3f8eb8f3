//! What may still hold words of the job that are not judged, or not on their way yet: connections,
//! flows that are being opened, questions.
//!
//! A job that sends its last bytes and exits expects the kernel to deliver them; the run ends only
//! once the relays have passed them on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Counts uploads under way; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Uploads(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    done: Notify,
}

/// One upload; dropping it says that all of its bytes are on their way.
#[derive(Debug)]
pub struct Upload(Uploads);

impl Uploads {
    /// Begins an upload.
    pub fn begin(&self) -> Upload {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Upload(self.clone())
    }

    /// Waits until none is under way, but not longer than `at_most`.
    pub async fn drained(&self, at_most: Duration) {
        let drained = async {
            while self.0.running.load(Ordering::Relaxed) > 0 {
                self.0.done.notified().await;
            }
        };
        // What is stuck at an upstream that takes nothing is given up.
        let _ = tokio::time::timeout(at_most, drained).await;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.0.done.notify_one();
    }
}
