//! Which refused flows have an event already. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::relay::udp::Pair;

/// Flows that are remembered; at the bound those that have ended are forgotten, and then all.
const REMEMBERED: usize = 4096;

/// Refused UDP flows: a sender that does not take no for an answer is recorded once.
#[derive(Debug)]
pub(super) struct Refusals {
    last: HashMap<Pair, Instant>,
    /// After so long without a datagram a flow has ended.
    idle: Duration,
}

impl Refusals {
    pub(super) fn new(idle: Duration) -> Refusals {
        Refusals { last: HashMap::new(), idle }
    }

    /// Whether a datagram that is refused now begins a flow.
    pub(super) fn begins(&mut self, pair: Pair, now: Instant) -> bool {
        let idle = self.idle;
        let is_over = |last: Instant| now.duration_since(last) >= idle;
        if let Some(last) = self.last.get_mut(&pair) {
            return is_over(std::mem::replace(last, now));
        }
        if self.last.len() >= REMEMBERED {
            self.last.retain(|_, last| !is_over(*last));
        }
        if self.last.len() >= REMEMBERED {
            self.last.clear();
        }
        self.last.insert(pair, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);

    fn pair(port: u16) -> Pair {
        (([192, 0, 0, 9], port).into(), ([192, 0, 2, 1], 53).into())
    }

    #[test]
    fn a_flow_begins_once() {
        let mut refusals = Refusals::new(IDLE);
        let start = Instant::now();
        assert!(refusals.begins(pair(1), start));
        assert!(!refusals.begins(pair(1), start + IDLE / 2));
        assert!(!refusals.begins(pair(1), start + IDLE));
        assert!(refusals.begins(pair(1), start + IDLE * 2));
        assert!(refusals.begins(pair(2), start + IDLE * 2));
    }

    #[test]
    fn is_bounded() {
        let mut refusals = Refusals::new(IDLE);
        let start = Instant::now();
        for port in 0..=u16::MAX {
            assert!(refusals.begins(pair(port), start));
        }
        assert!(refusals.last.len() <= REMEMBERED);
    }
}
