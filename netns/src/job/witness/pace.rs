//! How often processes are searched: at once while little is asked, seldom under load. Pure.

use std::time::{Duration, Instant};

/// The search may take one part in so many of a processor's time.
const SHARE: u32 = 20;
/// Time that it may take at once after it was idle.
const CREDIT: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(20);

/// Keeps account of the time that searches took.
#[derive(Debug)]
pub(super) struct Pace {
    /// When everything is paid for; before now by at most the credit, in its price.
    paid: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Pace {
        Pace { paid: now }
    }

    /// How long to pause after a search that took `cost` and ended `now`.
    pub(super) fn pause(&mut self, cost: Duration, now: Instant) -> Duration {
        let since = now.duration_since(self.paid).min(CREDIT * SHARE);
        let owed = cost * SHARE;
        self.paid = now - since + owed;
        let pause = self.paid.saturating_duration_since(now).min(LONGEST);
        // What one long search costs is not paid by later ones.
        self.paid = self.paid.min(now + LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_is_served_at_once_and_load_in_its_share() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut now = start + Duration::from_secs(10);
        let mut spent = Duration::ZERO;
        while pace.pause(MS, now).is_zero() {
            spent += MS;
            now += MS;
        }
        assert!(spent >= CREDIT - 2 * MS && spent < CREDIT * 2, "{spent:?}");
        let mut paused = Duration::ZERO;
        for _ in 0..100 {
            let pause = pace.pause(MS, now);
            paused += pause;
            now += pause + MS;
        }
        assert!(paused >= MS * 100 * (SHARE - 3), "{paused:?}");
    }

    #[test]
    fn no_pause_is_long() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert_eq!(pace.pause(Duration::from_secs(5), now), LONGEST);
        assert_eq!(pace.pause(Duration::ZERO, now + LONGEST), Duration::ZERO);
    }
}
