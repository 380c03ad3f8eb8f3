//! What a run does now, for who asks while it goes on: `cijail-net top`, and the terminal's title.
//!
//! The state is kept by what writes events, beside the log; a socket in the host's network namespace
//! gives it away, to the same user and root. Nobody can change anything by it.

pub mod ask;
pub mod name;
pub mod serve;
pub mod snapshot;
mod state;
pub mod table;
pub mod title;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::audit::Event;
use crate::counters::Counters;
use snapshot::{Run, Snapshot};
use state::State;

pub use state::Sum;

/// What goes on in a run; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<Mutex<State>>);

impl Live {
    /// Notes what begins, until the ticket is dropped.
    pub fn begin(&self, event: &Event, counters: Arc<Counters>, started: Instant) -> Ticket {
        Ticket { number: self.lock().begin(event, counters, started), live: self.clone() }
    }

    /// Notes what was decided, or has ended.
    pub fn add(&self, event: &Event) {
        self.lock().add(event);
    }

    /// Everything in figures.
    pub fn sum(&self) -> Sum {
        self.lock().sum()
    }

    /// Everything, as far as an answer has room for it.
    pub fn snapshot(&self, run: &Run) -> Snapshot {
        self.lock().snapshot(run, Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that goes on as long as this lives.
#[derive(Debug)]
pub struct Ticket {
    live: Live,
    number: u64,
}

impl Ticket {
    /// Shows besides what this connection carries from now on.
    pub fn shows(&self, connection: Arc<Counters>) {
        self.live.lock().shows(self.number, connection);
    }

    /// It never was.
    pub fn withdraw(self) {
        self.live.lock().withdraw(self.number);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.live.lock().end(self.number);
    }
}
