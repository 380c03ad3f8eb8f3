//! How often processes are searched: at once while little is asked, seldom under load. Pure.

use std::time::{Duration, Instant};

/// A search counts as so many times what it took of a processor: under load it gets a part of one.
const PRICE: u32 = 5;
const CREDIT: Duration = Duration::from_millis(1250);
/// Time between two searches under load: many sockets are looked for at once then.
const INTERVAL: Duration = Duration::from_millis(2);
const BURST: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(20);

/// Keeps account of searches.
#[derive(Debug)]
pub(super) struct Pace {
    time: Account,
    number: Account,
}

/// When everything is paid for; before now by at most the credit.
#[derive(Debug)]
struct Account {
    paid: Instant,
    credit: Duration,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Pace {
        let account = |credit| Account { paid: now.checked_sub(credit).unwrap_or(now), credit };
        Pace { time: account(CREDIT), number: account(BURST) }
    }

    /// How long to pause after a search that took `cost` of a processor and ended `now`.
    pub(super) fn pause(&mut self, cost: Duration, now: Instant) -> Duration {
        self.time.charge(cost * PRICE, now).max(self.number.charge(INTERVAL, now))
    }
}

impl Account {
    fn charge(&mut self, price: Duration, now: Instant) -> Duration {
        let start = now.checked_sub(self.credit).map_or(self.paid, |earliest| earliest.max(self.paid));
        // What one long search costs is not paid by all later ones.
        self.paid = (start + price).min(now + LONGEST);
        self.paid.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The pauses after searches that follow each other.
    fn pauses(pace: &mut Pace, mut now: Instant, cost: Duration, count: u32) -> Vec<Duration> {
        let mut pauses = Vec::new();
        for _ in 0..count {
            now += cost;
            let pause = pace.pause(cost, now);
            now += pause;
            pauses.push(pause);
        }
        pauses
    }

    #[test]
    fn a_burst_is_served_at_once() {
        let start = Instant::now();
        let pauses = pauses(&mut Pace::new(start), start, MS / 100, 200);
        assert!(pauses[..100].iter().all(Duration::is_zero), "{pauses:?}");
        let later: Duration = pauses[110..].iter().sum();
        assert!(later > INTERVAL * 85 && later < INTERVAL * 91, "{later:?}");
    }

    #[test]
    fn dear_searches_get_their_share() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let first: Duration = pauses(&mut pace, start, 10 * MS, 20).iter().sum();
        assert!(first < 20 * MS, "the credit: {first:?}");
        let now = start + Duration::from_secs(1);
        let later: Duration = pauses(&mut pace, now, 4 * MS, 400).iter().skip(300).sum();
        assert!(later >= 4 * MS * (PRICE - 2) * 100, "{later:?}");
    }

    #[test]
    fn no_pause_is_long() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert_eq!(pace.pause(Duration::from_secs(5), now), LONGEST);
        assert_eq!(pace.pause(Duration::ZERO, now + 10 * LONGEST), Duration::ZERO);
    }
}
