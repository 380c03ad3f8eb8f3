//! How often processes are searched: at once while little is asked, seldom under load. Pure.

use std::time::{Duration, Instant};

/// A search counts as so many times what it took of a processor: under load it gets a part of one.
const PRICE: u32 = 5;
const CREDIT: Duration = Duration::from_millis(1250);
/// What a question counts as, on one processor: short-lived programs are never started at this rate, so
/// more questions than that come from few programs, and many can be answered by one search.
const INTERVAL: Duration = Duration::from_millis(2);
const BURST: Duration = Duration::from_millis(64);
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(20);

/// Keeps account of searches.
#[derive(Debug)]
pub(super) struct Pace {
    time: Account,
    number: Account,
    interval: Duration,
}

/// When everything is paid for; before now by at most the credit.
#[derive(Debug)]
struct Account {
    paid: Instant,
    credit: Duration,
}

impl Pace {
    /// For a machine with so many processors.
    pub(super) fn new(processors: u32, now: Instant) -> Pace {
        let account = |credit| Account { paid: now.checked_sub(credit).unwrap_or(now), credit };
        Pace { time: account(CREDIT), number: account(BURST), interval: INTERVAL / processors.max(1) }
    }

    /// How long to pause after a search for the answers to so many questions, which took `cost` of a
    /// processor and ended `now`.
    pub(super) fn pause(&mut self, questions: u32, cost: Duration, now: Instant) -> Duration {
        self.time.charge(cost * PRICE, now).max(self.number.charge(self.interval * questions, now))
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
            let pause = pace.pause(1, cost, now);
            now += pause;
            pauses.push(pause);
        }
        pauses
    }

    #[test]
    fn a_burst_is_served_at_once() {
        let start = Instant::now();
        let pauses = pauses(&mut Pace::new(2, start), start, MS / 100, 200);
        assert!(pauses[..60].iter().all(Duration::is_zero), "{pauses:?}");
        let later: Duration = pauses[100..].iter().sum();
        assert!(later > MS * 95 && later < MS * 101, "{later:?}");
    }

    #[test]
    fn dear_searches_get_their_share() {
        let start = Instant::now();
        let mut pace = Pace::new(2, start);
        let first: Duration = pauses(&mut pace, start, 10 * MS, 20).iter().sum();
        assert!(first < 20 * MS, "the credit: {first:?}");
        let now = start + Duration::from_secs(1);
        let later: Duration = pauses(&mut pace, now, 4 * MS, 400).iter().skip(300).sum();
        assert!(later >= 4 * MS * (PRICE - 2) * 100, "{later:?}");
    }

    #[test]
    fn no_pause_is_long() {
        let now = Instant::now();
        let mut pace = Pace::new(2, now);
        assert_eq!(pace.pause(1, Duration::from_secs(5), now), LONGEST);
        assert_eq!(pace.pause(1000, Duration::ZERO, now), LONGEST);
        assert_eq!(pace.pause(1, Duration::ZERO, now + 10 * LONGEST), Duration::ZERO);
    }
}
