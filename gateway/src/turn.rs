//! Turns of tasks that find something to do whenever they look. All tasks share a thread, and waiting for a socket
//! that is ready already is no pause: without turns one stream could keep every other waiting.

use tokio::task::yield_now;

/// Octets of a turn.
const MOST: usize = 256 * 1024;
/// What a step counts for at least, as it is a system call or two.
const LEAST: usize = 16 * 1024;

/// What a task has done in its turn.
#[derive(Debug, Default)]
pub(crate) struct Turn(usize);

impl Turn {
    /// Notes a step that moved so many octets; at the end of the turn it lets others have theirs.
    pub(crate) async fn step(&mut self, octets: usize) {
        self.0 += octets.max(LEAST);
        if self.0 >= MOST {
            self.0 = 0;
            yield_now().await;
        }
    }
}
