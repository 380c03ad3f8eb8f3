//! When things happened, in bounded memory: counts in intervals that double when a run outgrows them. Pure.

use std::time::{Duration, SystemTime};

use crate::audit::{Event, Kind, Outcome};

/// Intervals at most. At least half of them cover the run, once it is longer than all first ones.
const MOST: usize = 120;
/// The first width of an interval.
const FINEST: Duration = Duration::from_millis(10);

/// What happened when, from the start of the run.
#[derive(Debug)]
pub(super) struct Timeline {
    start: SystemTime,
    width: Duration,
    /// Those up to the last in which something happened.
    intervals: Vec<Interval>,
}

/// Connections and requests that began within one interval.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) allowed: u64,
    pub(super) blocked: u64,
}

impl Timeline {
    pub(super) fn new(start: SystemTime) -> Timeline {
        Timeline { start, width: FINEST, intervals: Vec::new() }
    }

    /// Counts an event. A question that is answered is no connection.
    pub(super) fn add(&mut self, event: &Event) {
        if event.kind == Kind::Dns && event.verdict == Outcome::Allow {
            return;
        }
        let interval = self.at(event.at);
        match event.verdict {
            Outcome::Allow => interval.allowed += 1,
            Outcome::Deny | Outcome::WouldDeny => interval.blocked += 1,
        }
    }

    /// How long each interval is.
    pub(super) fn width(&self) -> Duration {
        self.width
    }

    pub(super) fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// The interval of a time, made if there is none yet. A clock that was set back counts as the start.
    fn at(&mut self, at: SystemTime) -> &mut Interval {
        let since = at.duration_since(self.start).unwrap_or_default();
        while since.as_nanos() / self.width.as_nanos() >= MOST as u128 {
            self.coarsen();
        }
        let index = (since.as_nanos() / self.width.as_nanos()) as usize;
        if self.intervals.len() <= index {
            self.intervals.resize(index + 1, Interval::default());
        }
        &mut self.intervals[index]
    }

    fn coarsen(&mut self) {
        self.width *= 2;
        let sum = |pair: &[Interval]| Interval {
            allowed: pair.iter().map(|interval| interval.allowed).sum(),
            blocked: pair.iter().map(|interval| interval.blocked).sum(),
        };
        self.intervals = self.intervals.chunks(2).map(sum).collect();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(verdict: Outcome, kind: Kind, at: SystemTime) -> Event {
        Event { at, ..Event::new(verdict, kind) }
    }

    #[test]
    fn a_short_run_is_fine_grained() {
        let start = SystemTime::UNIX_EPOCH;
        let mut timeline = Timeline::new(start);
        timeline.add(&event(Outcome::Allow, Kind::Tls, start));
        timeline.add(&event(Outcome::Allow, Kind::Dns, start));
        timeline.add(&event(Outcome::Deny, Kind::Dns, start + Duration::from_millis(25)));
        let none = Interval::default();
        let (allowed, blocked) = (Interval { allowed: 1, ..none }, Interval { blocked: 1, ..none });
        assert_eq!(timeline.intervals(), [allowed, none, blocked]);
        timeline.add(&event(Outcome::Deny, Kind::Tls, start + Duration::from_millis(1200)));
        assert_eq!((timeline.width(), timeline.intervals().len()), (FINEST * 2, 61));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_memory_is_bounded(seconds in proptest::collection::vec(-9.0e8..9.0e8f64, 0..99)) {
            let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
            let mut timeline = Timeline::new(start);
            for seconds in &seconds {
                let offset = Duration::from_secs_f64(seconds.abs());
                let at = if *seconds < 0.0 { start - offset } else { start + offset };
                timeline.add(&event(Outcome::Deny, Kind::Tls, at));
            }
            let total: u64 = timeline.intervals().iter().map(|interval| interval.blocked).sum();
            prop_assert_eq!(total as usize, seconds.len());
            prop_assert!(timeline.intervals().len() <= MOST);
        }
    }
}
