//! The threads that answer: always one more than those that are busy, up to a bound.
//!
//! To look a path up can take as long as a file system of the job's own wants it to (FUSE), whose server may
//! itself wait for an answer. So nobody's answer waits for another's: when all are busy there is a further
//! thread, and when there may be none, calls go on without having been looked at.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Threads at most.
const MOST: usize = 24;
/// How long the last thread waits for another to be done, at first and while none is.
const PATIENCE: Duration = Duration::from_millis(200);
const IMPATIENCE: Duration = Duration::from_millis(1);

/// Who is there, and who is free.
#[derive(Debug, Default)]
pub(super) struct Crew {
    roster: Mutex<Roster>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Roster {
    all: usize,
    free: usize,
    /// The last one waits for another.
    awaited: bool,
    /// Nobody was done in time.
    stuck: bool,
}

/// What a thread that has a call in its hands is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Look at it: another waits for the next one.
    Look,
    /// Start one more thread, and then look at it; without one, ask again.
    Reinforce,
    /// Let it go on: it may be what the others wait for.
    Pass,
}

impl Crew {
    /// A thread that is about to start joins, and is free.
    pub(super) fn join(&self) {
        self.lock().all += 1;
        self.free(Turn::Look);
    }

    /// One that joined did not start.
    pub(super) fn leave(&self) {
        let mut roster = self.lock();
        roster.all -= 1;
        roster.free -= 1;
    }

    /// A thread is free again after its turn. One that looked was not stuck.
    pub(super) fn free(&self, after: Turn) {
        let mut roster = self.lock();
        roster.free += 1;
        roster.stuck &= after == Turn::Pass;
        if roster.awaited {
            self.freed.notify_one();
        }
    }

    /// A free thread has got a call. `may_grow` says whether further threads can be started.
    pub(super) fn take(&self, may_grow: bool) -> Turn {
        let mut roster = self.lock();
        roster.free -= 1;
        if roster.free > 0 {
            return Turn::Look;
        }
        if may_grow && roster.all < MOST {
            return Turn::Reinforce;
        }
        let patience = if roster.stuck { IMPATIENCE } else { PATIENCE };
        roster.awaited = true;
        let waited = self.freed.wait_timeout_while(roster, patience, |roster| roster.free == 0);
        let (mut roster, _) = waited.unwrap_or_else(PoisonError::into_inner);
        roster.awaited = false;
        roster.stuck = roster.free == 0;
        if roster.stuck { Turn::Pass } else { Turn::Look }
    }

    /// A thread that was to be started could not; the caller goes on as if it had just got its call.
    pub(super) fn take_alone(&self) -> Turn {
        self.lock().free += 1;
        self.take(false)
    }

    fn lock(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_always_free_for_the_next() {
        let crew = Crew::default();
        crew.join();
        crew.join();
        assert_eq!(crew.take(true), Turn::Look);
        for _ in 2..MOST {
            assert_eq!(crew.take(true), Turn::Reinforce);
            crew.join();
        }
        // The last one passes on what comes, for as long as nobody is done.
        for _ in 0..3 {
            assert_eq!(crew.take(true), Turn::Pass);
            crew.free(Turn::Pass);
            assert!(crew.lock().stuck, "the next one is not waited for as long");
        }
        crew.free(Turn::Look);
        assert!(!crew.lock().stuck);
        assert_eq!(crew.take(true), Turn::Look);
    }

    #[test]
    fn the_last_one_waits_for_another() {
        let crew = Crew::default();
        crew.join();
        crew.join();
        assert_eq!(crew.take(false), Turn::Look);
        std::thread::scope(|scope| {
            let last = scope.spawn(|| crew.take(false));
            while !crew.lock().awaited {
                std::thread::yield_now();
            }
            crew.free(Turn::Look);
            assert_eq!(last.join().unwrap(), Turn::Look);
        });
    }

    #[test]
    fn who_cannot_be_reinforced_is_the_last() {
        let crew = Crew::default();
        crew.join();
        assert_eq!(crew.take(true), Turn::Reinforce);
        crew.join();
        crew.leave();
        assert_eq!(crew.take_alone(), Turn::Pass);
        crew.free(Turn::Pass);
        assert_eq!(crew.take(true), Turn::Reinforce);
    }
}
