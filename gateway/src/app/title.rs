//! The terminal's title while a job goes on: what `live::title` says, from the second second on.

use std::time::Duration;

use netns::job::Terminal;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::live::Live;
use crate::live::title::{RESTORE, SAVE, setting, title};

/// How long a run must last to be told of.
const AFTER: Duration = Duration::from_secs(2);
/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// How long the old title waits for room.
const LAST: Duration = Duration::from_millis(200);

/// A title that is put back when this is dropped.
pub(super) struct Title {
    terminal: Terminal,
    live: Live,
    ticks: Interval,
    /// What it says, if it is ours.
    shown: Option<String>,
    /// What found no room and must not be left half written.
    rest: Vec<u8>,
}

impl Title {
    pub(super) fn new(terminal: Terminal, live: Live) -> Title {
        let mut ticks = interval_at(Instant::now() + AFTER, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Title { terminal, live, ticks, shown: None, rest: Vec::new() }
    }

    /// Returns when it is time to look.
    pub(super) async fn due(&mut self) {
        self.ticks.tick().await;
    }

    /// Says what the run does, if that has changed.
    pub(super) fn show(&mut self) {
        let text = title(&self.live.sum());
        if !self.complete() || self.shown.as_ref() == Some(&text) {
            return;
        }
        let save = if self.shown.is_none() { SAVE } else { "" };
        self.rest = format!("{save}{}", setting(&text)).into();
        self.complete();
        self.shown = Some(text);
    }

    /// Puts the title back that was there before us.
    pub(super) fn hide(&mut self) {
        if self.shown.take().is_some() {
            self.rest.extend(RESTORE.as_bytes());
            // A terminal that goes on taking nothing keeps the title.
            netns::writable_within(&self.terminal, LAST);
            self.complete();
        }
    }

    /// Writes what is left; whether that was all.
    fn complete(&mut self) -> bool {
        let written = if self.rest.is_empty() { 0 } else { self.terminal.write(&self.rest) };
        self.rest.drain(..written);
        self.rest.is_empty()
    }
}

impl Drop for Title {
    fn drop(&mut self) {
        self.hide();
    }
}
