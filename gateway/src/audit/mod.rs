//! The audit log: one event a decision, written by a thread of its own.
//!
//! The network side only sends; nothing here calls back. A slow or full destination never stops a
//! relay: events wait in memory, and those that find no room there are counted, which fails the run.

mod escape;
mod event;
mod fold;
mod json;
mod origin;
mod pending;
mod run_outcome;
mod shortage;
mod sink;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::live::Live;

pub use dns::Outcome;
pub use escape::{printable, shell_quoted, shell_word};
pub use event::{Event, Kind, ending};
pub use origin::{Origin, hold};
pub use pending::Pending;
pub use run_outcome::RunOutcome;
use shortage::Shortage;
pub use sink::{FILE_COLUMNS, Format, LogError, Reports, Sinks};
pub use text::chain;

#[cfg(test)]
pub(crate) use {
    json::{Line, line as json_line},
    text::line as text_line,
};

/// How long the end of a run waits for the log to take a line.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits for a log that goes on taking lines.
const MOST_PATIENCE: Duration = Duration::from_secs(60);
/// How long it waits at least, as a caller may send a signal twice to a job that is slow to die.
const GRACE: Duration = Duration::from_secs(1);
/// How often it is asked meanwhile whether to go on waiting. Waits are counted rather than timed: while the process is
/// suspended nothing can be written.
const ASKED: Duration = Duration::from_millis(100);
/// How often standard error without room is looked at.
const RETRY: Duration = Duration::from_millis(50);
/// Octets of events that may wait for the writer: more than fifty thousand usual ones.
const QUEUE: usize = 96 * 1024 * 1024;

/// A handle for sending events; cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {
    sender: Sender<Message>,
    shared: Arc<Shared>,
    live: Live,
}

#[derive(Debug, Default)]
struct Shared {
    blocked: AtomicBool,
    /// Nobody reads the events.
    silent: AtomicBool,
    /// Octets of the events that wait.
    queued: AtomicUsize,
    /// Events and reports written.
    written: AtomicU64,
    lost: AtomicU64,
    /// Which shortages have been told.
    short: [AtomicBool; Shortage::KINDS],
}

impl Shared {
    fn step(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }
}

enum Message {
    /// With its octets in the queue.
    Event(Box<Event>, usize),
    Notice(String),
    End(RunOutcome),
}

/// The writer's end of the log.
#[derive(Debug)]
pub struct Writer {
    audit: Audit,
    /// What came of it, once the writer has ended; disconnected if it panicked.
    done: Receiver<Result<bool, LogError>>,
}

/// Starts the writer.
///
/// # Errors
/// No thread could be started.
pub fn start(sinks: Sinks) -> std::io::Result<Writer> {
    // Bounded by `queued`: a channel with a bound of its own pays for all of it at start-up.
    let (sender, receiver) = channel();
    let shared = Arc::<Shared>::default();
    shared.silent.store(sinks.is_silent(), Ordering::Relaxed);
    let progress = shared.clone();
    let (finished, done) = channel();
    std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
        let written = write(&receiver, sinks, &progress);
        // Nobody waits any more if this took too long.
        let _ = finished.send(written);
    })?;
    Ok(Writer { audit: Audit { sender, shared, live: Live::default() }, done })
}

/// Writes messages until the last one.
fn write(receiver: &Receiver<Message>, mut sinks: Sinks, progress: &Shared) -> Result<bool, LogError> {
    // Every destination is open.
    netns::guard::confine_helper()?;
    // If nobody says how the run went, we failed.
    let mut outcome = RunOutcome { command: None, objected: false };
    while let Some(message) = next(receiver, &mut sinks) {
        match message {
            Message::Event(mut event, size) => {
                event.complete();
                sinks.event(&event);
                progress.queued.fetch_sub(size, Ordering::Relaxed);
                progress.step();
            }
            Message::Notice(text) => sinks.notice(&text),
            Message::End(told) => {
                outcome = told;
                break;
            }
        }
    }
    sinks.finish(outcome, || progress.step())
}

/// The next message, before which what waits for standard error may go.
fn next(receiver: &Receiver<Message>, sinks: &mut Sinks) -> Option<Message> {
    while sinks.is_behind() {
        match receiver.recv_timeout(RETRY) {
            Ok(message) => return Some(message),
            Err(RecvTimeoutError::Timeout) => sinks.catch_up(),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    receiver.recv().ok()
}

impl Audit {
    /// Logs a decision.
    pub fn record(&self, event: Event) {
        if event.verdict == Outcome::Deny {
            self.shared.blocked.store(true, Ordering::Relaxed);
        }
        self.live.add(&event);
        if self.is_silent() {
            return;
        }
        let size = event.size();
        if self.shared.queued.fetch_add(size, Ordering::Relaxed) + size > QUEUE {
            self.shared.queued.fetch_sub(size, Ordering::Relaxed);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The writer ends only after the last event.
        let _ = self.sender.send(Message::Event(Box::new(event), size));
    }

    /// Tells the user something that is no decision, on standard error.
    pub fn notice(&self, text: impl Into<String>) {
        // As with events.
        let _ = self.sender.send(Message::Notice(text.into()));
    }

    /// Tells the user, once, of what there is a shortage, if the error is one.
    pub fn shortage(&self, error: &(dyn std::error::Error + 'static)) {
        if let Some(shortage) = Shortage::of(error)
            && !self.shared.short[shortage as usize].swap(true, Ordering::Relaxed)
        {
            self.notice(shortage.text());
        }
    }

    /// Whether the writer keeps up: what can wait does so otherwise, instead of being lost.
    pub fn has_room(&self) -> bool {
        self.shared.queued.load(Ordering::Relaxed) < QUEUE / 2
    }

    /// What goes on now.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Whether nobody reads the events.
    pub fn is_silent(&self) -> bool {
        self.shared.silent.load(Ordering::Relaxed)
    }

    /// Whether anything was denied so far.
    pub fn blocked(&self) -> bool {
        self.shared.blocked.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// A handle for sending.
    pub fn audit(&self) -> Audit {
        self.audit.clone()
    }

    /// Lets the writer end with what is queued.
    pub fn end(&self, outcome: RunOutcome) {
        // The writer cannot be gone: it ends only on this message.
        let _ = self.audit.sender.send(Message::End(outcome));
    }

    /// Waits for the end; `true` if there was a destination that the baseline of the reports has not.
    /// `is_wanted` says whether somebody still waits for the log.
    ///
    /// # Errors
    /// A log destination failed at some point, events were lost, or the last ones are not written yet and nobody waits.
    pub fn wait(self, is_wanted: impl Fn() -> bool) -> Result<bool, LogError> {
        let written = || self.audit.shared.written.load(Ordering::Relaxed);
        let mut before = written();
        let (mut whole, mut idle) = (Duration::ZERO, Duration::ZERO);
        let written = loop {
            match self.done.recv_timeout(ASKED) {
                Ok(written) => break written,
                Err(RecvTimeoutError::Disconnected) => break Err(LogError::Panicked),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = written();
            whole += ASKED;
            idle = if std::mem::replace(&mut before, now) == now { idle + ASKED } else { Duration::ZERO };
            if whole > GRACE && !is_wanted() {
                return Err(LogError::Interrupted);
            }
            if idle > PATIENCE || whole > MOST_PATIENCE {
                return Err(LogError::Stuck);
            }
        };
        match self.audit.shared.lost.load(Ordering::Relaxed) {
            0 => written,
            count => written.and(Err(LogError::Lost(count))),
        }
    }
}
