//! How long the job may be kept waiting, in all, for it to be known whose something allowed is. Pure.

use std::time::{Duration, Instant};

use crate::audit::Origin;

/// Waiting counts as so many times what it took: a fifth of the time, summed over all that waits.
const PRICE: u32 = 5;
const CREDIT: Duration = Duration::from_secs(2);
/// The longest time without patience.
const LONGEST: Duration = Duration::from_secs(1);

/// Keeps account of it.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// When everything is paid for; before now by at most the credit.
    paid: Option<Instant>,
    /// A question without an answer so far.
    open: Option<(u32, Instant)>,
}

impl Patience {
    /// Whether something may wait for the answer to a question of now.
    pub(super) fn asked(&mut self, id: u32, now: Instant) -> bool {
        let (_, since) = *self.open.get_or_insert((id, now));
        // Who left another waiting would leave this one as well.
        self.paid.is_none_or(|paid| paid <= now) && now.saturating_duration_since(since) < Origin::HELD
    }

    /// There is an answer, for which something has waited so long.
    pub(super) fn answered(&mut self, id: u32, waited: Duration, now: Instant) {
        self.open.take_if(|(open, _)| *open == id);
        let paid = self.paid.max(now.checked_sub(CREDIT)).unwrap_or(now);
        self.paid = Some((paid + waited * PRICE).min(now + LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How many of these questions wait, if one comes each `interval` and its answer takes so long.
    fn waiting(count: u32, interval: Duration, answer: Duration) -> u32 {
        let mut patience = Patience::default();
        let mut now = Instant::now() + 10 * CREDIT;
        let mut waited = 0;
        for _ in 0..count {
            let waits = patience.asked(1, now);
            waited += u32::from(waits);
            patience.answered(1, if waits { answer } else { Duration::ZERO }, now + answer);
            now += interval;
        }
        waited
    }

    #[test]
    fn usual_jobs_wait() {
        assert_eq!(waiting(1000, 10 * MS, MS), 1000);
        assert_eq!(waiting(300, MS, MS), 300, "a burst");
    }

    #[test]
    fn long_searches_delay_little() {
        let waited = waiting(10_000, 20 * MS, 40 * MS);
        assert!(40 * waited < 20 * 10_000 / PRICE + 1000, "{waited}");
    }

    #[test]
    fn patience_comes_back() {
        let mut patience = Patience::default();
        let now = Instant::now();
        patience.answered(1, Duration::from_secs(100), now);
        assert!(!patience.asked(2, now + LONGEST - MS));
        patience.answered(2, Duration::ZERO, now);
        assert!(patience.asked(3, now + LONGEST));
    }

    #[test]
    fn nobody_waits_for_who_says_nothing() {
        let mut patience = Patience::default();
        let now = Instant::now();
        assert!(patience.asked(1, now));
        assert!(patience.asked(2, now + Origin::HELD - MS));
        patience.answered(2, Duration::ZERO, now);
        assert!(!patience.asked(3, now + Origin::HELD));
        patience.answered(1, Duration::ZERO, now);
        assert!(patience.asked(4, now + Origin::HELD));
    }
}
