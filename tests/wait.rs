//! Waiting with a deadline, for what has no event to wait for.

use std::thread;
use std::time::{Duration, Instant};

/// Asks again and again until there is an answer; `None` once `limit` has passed.
pub(crate) fn poll_for<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
}
