//! Who uses which files: what a call's paths lead to.

use std::io;
use std::time::SystemTime;

use super::super::super::witness::lines;
use super::super::calls::{Last, Place, Touch};
use super::super::listener::Waiting;
use super::super::paths::Found;
use super::super::{Access, Observation, memory};
use super::{Record, Shared};

impl Shared {
    pub(super) fn files(&self, waiting: &Waiting, touches: &[Option<Touch>; 2]) -> Record {
        let Some(watched) = &self.watch.files else { return Record::Nothing };
        let mut used: Vec<(Vec<u8>, Access)> = Vec::new();
        for touch in touches.iter().flatten() {
            let found = match self.find(waiting.thread, touch.place, touch.last) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(_) => return self.missed(),
            };
            let Some(real) = found.real else { continue };
            let moves = matches!(touch.access, Access::Rename | Access::Mount);
            let is_watched = |path: &[u8]| watched.has(path) || (moves && watched.may_be_beneath(path));
            if let Some(path) = [real, found.named].into_iter().find(|path| is_watched(path)) {
                used.push((path, touch.access));
            }
        }
        if used.is_empty() {
            return Record::Nothing;
        }
        let process = self.paths.process(waiting.thread);
        let Some(program) = process.and_then(|process| self.processes.describe(process)) else {
            return self.missed();
        };
        let at = SystemTime::now();
        let told = |(path, access): (Vec<u8>, Access)| {
            let program = program.clone();
            Observation::File { at, program, path: lines::path(&path), access, times: 1 }
        };
        Record::Files(used.into_iter().map(told).collect())
    }

    /// Where a path leads; `None` if the call fails for what is no path.
    ///
    /// # Errors
    /// It cannot be read, or leads where only the caller can look.
    pub(super) fn find(&self, thread: u32, place: Place, last: Last) -> io::Result<Option<Found>> {
        let Some(text) = memory::text(thread, place.address)? else { return Ok(None) };
        if text.is_empty() && !place.may_be_empty {
            return Ok(None);
        }
        self.paths.find(thread, place.base, &text, last)
    }
}
