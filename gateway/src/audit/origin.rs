//! Which program caused an event: asked when it began, and known a moment later.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dns::Outcome;
use netns::job::Program;
use tokio::sync::Notify;

/// How long after the question the log waits for the answer.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long after the question a verdict that depends on the program waits.
const JUDGED: Duration = Duration::from_secs(1);

/// Octets of a program that is not known yet.
const USUAL: usize = 1024;

/// A question under way; cheap to clone.
#[derive(Debug, Clone)]
pub struct Origin(Arc<Cell>);

#[derive(Debug)]
struct Cell {
    asked: Instant,
    prompt: bool,
    answer: Mutex<Answer>,
    answered: Condvar,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Answer {
    /// `None` until there is one, which may be that nobody knows.
    given: Option<Option<Arc<Program>>>,
    /// The log's writer sleeps until then.
    awaited: bool,
}

impl Origin {
    /// How long after the question the job's answer is held back, so that who has it is still there to be seen.
    pub const HELD: Duration = Duration::from_millis(50);

    /// A question of `asked`; `prompt` if what is allowed may wait for it.
    pub fn new(asked: Instant, prompt: bool) -> Origin {
        let answer = Mutex::default();
        Origin(Arc::new(Cell { asked, prompt, answer, answered: Condvar::new(), notify: Notify::new() }))
    }

    /// Answers it, for all that hold it.
    pub fn settle(&self, program: Option<Arc<Program>>) {
        let mut answer = self.lock();
        answer.given.get_or_insert(program);
        if answer.awaited {
            self.0.answered.notify_all();
        }
        drop(answer);
        self.0.notify.notify_waiters();
    }

    /// Octets that the answer takes, or is expected to.
    pub(super) fn size(&self) -> usize {
        match &self.lock().given {
            None => USUAL,
            Some(None) => 0,
            Some(Some(program)) => size_of_program(program),
        }
    }

    /// Whether there is nothing to wait for any more.
    pub fn is_settled(&self) -> bool {
        self.lock().given.is_some() || self.0.asked.elapsed() >= Self::HELD
    }

    /// How long something allowed has waited for the answer by now, at most.
    pub fn waited(&self, now: Instant) -> Duration {
        if self.0.prompt {
            now.saturating_duration_since(self.0.asked).min(Self::HELD)
        } else {
            Duration::ZERO
        }
    }

    /// Whether what the job hears is to wait for the answer. Programs often end when they are refused, or when
    /// they have what they asked for; what is let through waits only while that costs little.
    pub fn holds(&self, verdict: Outcome) -> bool {
        (verdict == Outcome::Deny || self.0.prompt) && !self.is_settled()
    }

    /// Waits a moment for the answer.
    pub async fn settled(&self) {
        let notified = self.0.notify.notified();
        if self.is_settled() {
            return;
        }
        // An answer that comes later is still the log's.
        let _ = tokio::time::timeout_at((self.0.asked + Self::HELD).into(), notified).await;
    }

    /// The answer, if there is one by now.
    pub fn known(&self) -> Option<Arc<Program>> {
        self.lock().given.clone().flatten()
    }

    /// The answer, for a verdict that depends on it; `None` if nobody knows, or not in time.
    pub async fn answer(&self) -> Option<Arc<Program>> {
        let notified = self.0.notify.notified();
        if self.lock().given.is_none() {
            let _ = tokio::time::timeout_at((self.0.asked + JUDGED).into(), notified).await;
        }
        self.lock().given.clone().flatten()
    }

    /// The answer, for which the calling thread waits; `None` if there is none in time.
    pub(super) fn program(&self) -> Option<Arc<Program>> {
        let left = (self.0.asked + PATIENCE).saturating_duration_since(Instant::now());
        let mut answer = self.lock();
        answer.awaited = true;
        let waited = self.0.answered.wait_timeout_while(answer, left, |answer| answer.given.is_none());
        let (answer, _) = waited.unwrap_or_else(PoisonError::into_inner);
        answer.given.clone().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Answer> {
        self.0.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Octets that the texts about a program take.
pub(super) fn size_of_program(program: &Program) -> usize {
    let texts = program.args.iter().chain(&program.parents);
    texts.map(|text| size_of::<String>() + text.len()).sum::<usize>() + program.exe.len()
}

/// Waits a moment until it is known whose something with this verdict is, if it is to wait.
pub async fn hold(origin: Option<&Origin>, verdict: Outcome) {
    if let Some(origin) = origin
        && origin.holds(verdict)
    {
        origin.settled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_waited_for() {
        let origin = Origin::new(Instant::now(), true);
        let asked = origin.clone();
        let waiting = std::thread::spawn(move || asked.program());
        assert_eq!(origin.known(), None);
        origin.settle(Some(Arc::new(Program { pid: 7, ..Program::default() })));
        origin.settle(None);
        assert_eq!(origin.known().map(|program| program.pid), Some(7));
        assert_eq!(waiting.join().unwrap().map(|program| program.pid), Some(7));
    }

    #[test]
    fn what_is_allowed_waits_if_it_may() {
        let now = Instant::now();
        let holds = |prompt, verdict| Origin::new(now, prompt).holds(verdict);
        assert!(holds(true, Outcome::Allow) && holds(true, Outcome::Deny) && holds(false, Outcome::Deny));
        assert!(!holds(false, Outcome::Allow) && !holds(false, Outcome::WouldDeny));
        let answered = Origin::new(now, true);
        answered.settle(None);
        assert!(!answered.holds(Outcome::Deny));
    }

    #[test]
    fn no_answer_is_not_waited_for_long() {
        let start = Instant::now();
        assert_eq!(Origin::new(start, true).program(), None);
        assert!(start.elapsed() >= PATIENCE);
        let late = Origin::new(start, true);
        assert!(late.is_settled());
        let again = Instant::now();
        assert_eq!(late.program(), None);
        assert!(again.elapsed() < PATIENCE);
    }
}
