//! Waiting with a deadline, for what has no event to wait for.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// How many times longer everything may take: `CIJAIL_NET_TEST_PATIENCE`, for machines that are emulated.
pub(crate) fn patience() -> u32 {
    static PATIENCE: OnceLock<u32> = OnceLock::new();
    *PATIENCE.get_or_init(|| {
        let set = std::env::var("CIJAIL_NET_TEST_PATIENCE").ok();
        set.and_then(|number| number.parse().ok()).unwrap_or(1)
    })
}

/// Asks again and again until there is an answer; `None` once `limit`, with patience, has passed.
pub(crate) fn poll_for<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit * patience();
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
