//! Standard error, which may be a full pipe that nobody reads: what finds no room waits, and neither
//! the run nor the log file waits with it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How long a message outside the log, and the end of the log, wait for room.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// Lines that may wait.
const MAX_WAITING: usize = 16_384;
/// What fits wherever there is room at all, and what no other writer cuts in two (pipe(7), PIPE_BUF).
const CHUNK: usize = 4096;

/// Writes a message. It is lost if there is no room for it: the exit status tells as well.
pub(crate) fn say(text: &str) {
    let mut stderr = Stderr::default();
    stderr.print(text);
    stderr.flush(PATIENCE);
}

/// Whether there is room for something, at once or before long.
pub(crate) fn has_room(patience: Duration) -> bool {
    netns::writable_within(io::stderr(), patience)
}

/// Lines on their way to standard error.
#[derive(Debug, Default)]
pub(crate) struct Stderr {
    waiting: VecDeque<Vec<u8>>,
    lost: u64,
}

impl Stderr {
    /// Writes a text if there is room, after those that wait; otherwise it waits as well.
    pub(crate) fn print(&mut self, text: &str) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(text.as_bytes().to_vec());
        } else {
            self.lost += 1;
        }
        self.flush(Duration::ZERO);
    }

    /// Whether texts wait.
    pub(crate) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many texts were lost, once nothing waits any more.
    pub(crate) fn take_lost(&mut self) -> u64 {
        if self.is_behind() { 0 } else { std::mem::take(&mut self.lost) }
    }

    /// Writes what waits, for which it may take this long to get room.
    pub(crate) fn flush(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while let Some(text) = self.waiting.front_mut() {
            if !has_room(deadline.saturating_duration_since(Instant::now())) {
                return;
            }
            let chunk: Vec<u8> = text.drain(..text.len().min(CHUNK)).collect();
            // A closed standard error is the caller's wish.
            let _ = io::stderr().write_all(&chunk);
            if text.is_empty() {
                self.waiting.pop_front();
            }
        }
    }
}
