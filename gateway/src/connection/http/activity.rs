//! When a connection of the job last carried something, and how long it may carry nothing: HTTP's own
//! counterpart of what the relay does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::io::Observer;

/// How long nothing may happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Between the first octet of a request's head and its last.
    pub(super) head: Duration,
    /// In a request, and between requests.
    pub(super) idle: Duration,
}

/// What a connection does.
pub(super) struct Activity {
    patience: Patience,
    state: Mutex<State>,
    /// Told when a head begins, as the wait ends sooner then.
    begun: Notify,
}

/// Pure: the time is given.
#[derive(Debug)]
struct State {
    /// Octets between requests are the head of the next one. In HTTP/2 they need not be: it has pings.
    serial: bool,
    /// Bodies and answers under way.
    open: usize,
    /// The last octet; of HTTP/2 between requests the end of the last one.
    moved: Instant,
    /// The first octet of a head that is not complete.
    head: Option<Instant>,
}

/// A request, or its body, is under way as long as this lives.
pub(super) struct Busy {
    activity: Arc<Activity>,
    /// Its place among those that may be under way at once, where they are counted.
    place: Option<OwnedSemaphorePermit>,
}

/// Why a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stalled {
    /// Nothing was asked for too long.
    Unused,
    /// Half a head came, and not the rest.
    Head,
    /// A request or its answer came to a halt.
    Request,
}

impl Activity {
    pub(super) fn new(patience: Patience, serial: bool) -> Arc<Activity> {
        let state = Mutex::new(State::new(serial, Instant::now()));
        Arc::new(Activity { patience, state, begun: Notify::new() })
    }

    pub(super) fn begin(self: &Arc<Activity>) -> Busy {
        self.state().begin();
        Busy { activity: self.clone(), place: None }
    }

    /// Whether a head has begun that is not complete.
    pub(super) fn is_within_head(&self) -> bool {
        self.state().head.is_some()
    }

    /// Returns once nothing has happened for too long.
    pub(super) async fn stalled(&self) -> Stalled {
        loop {
            let (deadline, why) = self.state().deadline(self.patience);
            if deadline <= Instant::now() {
                return why;
            }
            // Either it is time to look again, or there is less time.
            let _ = timeout_at(deadline, self.begun.notified()).await;
        }
    }

    fn moved(&self, is_read: bool) {
        if self.state().moved(is_read, Instant::now()) {
            self.begun.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(serial: bool, now: Instant) -> State {
        State { serial, open: 0, moved: now, head: None }
    }

    fn begin(&mut self) {
        self.open += 1;
        self.head = None;
    }

    fn end(&mut self, now: Instant) {
        self.open = self.open.saturating_sub(1);
        self.moved = now;
    }

    /// Notes octets; whether they begin a head.
    fn moved(&mut self, is_read: bool, now: Instant) -> bool {
        let between = self.open == 0;
        if self.serial || !between {
            self.moved = now;
        }
        let begins = self.serial && between && is_read && self.head.is_none();
        if begins {
            self.head = Some(now);
        }
        begins
    }

    /// When it has been too long, if nothing happens until then.
    fn deadline(&self, patience: Patience) -> (Instant, Stalled) {
        match (self.open, self.head) {
            (0, Some(head)) => (head + patience.head, Stalled::Head),
            (0, None) => (self.moved + patience.idle, Stalled::Unused),
            _ => (self.moved + patience.idle, Stalled::Request),
        }
    }
}

impl Busy {
    pub(super) fn activity(&self) -> Arc<Activity> {
        self.activity.clone()
    }

    /// Takes one of so many places; `false` if none is left.
    pub(super) fn takes(&mut self, places: &Arc<Semaphore>) -> bool {
        self.place = places.clone().try_acquire_owned().ok();
        self.place.is_some()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.state().end(Instant::now());
    }
}

/// A stream of requests is noted when it carries something.
impl Observer for Arc<Activity> {
    fn read(&self, octets: usize) {
        if octets > 0 {
            self.moved(true);
        }
    }

    fn written(&self, _: usize) {
        self.moved(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(100) };

    type Step = (u64, fn(&mut State, Instant));

    /// Does each at its second, and says when it will have been too long.
    fn after(serial: bool, steps: &[Step]) -> (u64, Stalled) {
        let start = Instant::now();
        let mut state = State::new(serial, start);
        for (second, step) in steps {
            step(&mut state, start + Duration::from_secs(*second));
        }
        let (deadline, why) = state.deadline(PATIENCE);
        ((deadline - start).as_secs(), why)
    }

    fn read(state: &mut State, now: Instant) {
        state.moved(true, now);
    }

    fn written(state: &mut State, now: Instant) {
        state.moved(false, now);
    }

    fn begin(state: &mut State, _: Instant) {
        state.begin();
    }

    #[test]
    fn half_a_head_has_less_time_than_none() {
        assert_eq!(after(true, &[]), (100, Stalled::Unused));
        // Further octets give no further time.
        assert_eq!(after(true, &[(50, read), (55, read), (58, written)]), (60, Stalled::Head));
    }

    #[test]
    fn requests_may_take_their_time() {
        let answer_and_body: [Step; 4] = [(5, read), (5, begin), (6, begin), (7, read)];
        assert_eq!(after(true, &answer_and_body), (107, Stalled::Request));
        let further = |steps: &[Step]| after(true, &[&answer_and_body, steps].concat());
        assert_eq!(further(&[(20, State::end), (30, written)]), (130, Stalled::Request));
        assert_eq!(further(&[(20, State::end), (40, State::end)]), (140, Stalled::Unused));
    }

    #[test]
    fn places_are_given_back() {
        let activity = Activity::new(PATIENCE, false);
        let places = Arc::new(Semaphore::new(1));
        let mut first = activity.begin();
        assert!(first.takes(&places) && !activity.begin().takes(&places));
        drop(first);
        assert!(activity.begin().takes(&places));
    }

    #[test]
    fn pings_are_no_requests() {
        assert_eq!(after(false, &[(60, read)]), (100, Stalled::Unused));
        assert_eq!(after(false, &[(10, begin), (60, read)]), (160, Stalled::Request));
        assert_eq!(after(false, &[(10, begin), (20, State::end), (60, read)]), (120, Stalled::Unused));
    }
}
