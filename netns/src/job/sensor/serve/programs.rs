//! Which programs run: what asks for one is kept until it shows what came of it.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

use super::super::super::capabilities;
use super::super::super::witness::{arguments, lines};
use super::super::attempts::{Attempt, Now};
use super::super::calls::{self, Call, Last, Place};
use super::super::listener::Waiting;
use super::super::{Ending, Observation, memory};
use super::{EndsTheJob, Record, Seen, Shared};

/// How often those are looked for that asked for a program and made no call since.
const PAUSE: Duration = Duration::from_millis(50);

impl Shared {
    /// A process that asked for a program and makes another call has it, or has not got it.
    pub(super) fn settle(&self, waiting: &Waiting) {
        let mut seen = self.lock();
        if seen.attempts.is_empty() {
            return;
        }
        if seen.attempts.has(waiting.thread) {
            return self.decide(&mut seen, waiting.thread);
        }
        // Any thread may end the process.
        drop(seen);
        if calls::read(waiting.number, waiting.arguments) == Call::End
            && let Some(process) = self.paths.process(waiting.thread).filter(|it| *it != waiting.thread)
        {
            self.decide(&mut self.lock(), process);
        }
    }

    pub(super) fn decide(&self, seen: &mut Seen, process: u32) {
        if !seen.attempts.has(process) {
            return;
        }
        let now = self.now(process);
        if let Some(observation) = seen.attempts.decide(process, now) {
            self.tell_program(seen, observation);
        }
    }

    fn now(&self, process: u32) -> Now {
        let image = self.processes.image(process).map(|(image, _)| image);
        Now { image, exe: self.processes.executable(process) }
    }

    fn tell_program(&self, seen: &mut Seen, observation: Observation) {
        if let Observation::Program { program, ending, .. } = &observation
            && program.pid == self.starting.load(Ordering::Relaxed)
        {
            match ending {
                Ending::NotFound | Ending::Refused => return,
                Ending::Ran | Ending::Unseen => self.starting.store(0, Ordering::Relaxed),
            }
        }
        self.tell(seen, observation);
    }

    pub(super) fn attempt(&self, waiting: &Waiting, place: Place, last: Last, arguments: u64) -> Record {
        let thread = waiting.thread;
        // What hides its path shows by what it becomes.
        let found = self.find(thread, place, last);
        let is_there =
            found.as_ref().map_or(true, |found| found.as_ref().is_some_and(|it| it.real.is_some()));
        let path = found.ok().map(|found| found.map(|found| found.real.unwrap_or(found.named)));
        let path = path.map(|path| lines::path(&path.unwrap_or_default()));
        let Some(process) = self.paths.process(thread) else { return Record::Nothing };
        let Some((before, parent)) = self.processes.image(process) else { return self.missed() };
        let line = memory::arguments(thread, arguments, arguments::READ);
        let attempt = Attempt {
            at: SystemTime::now(),
            path,
            is_there,
            args: arguments::shown(&line),
            parents: self.processes.line_of(parent),
            before,
        };
        let mut seen = self.lock();
        // Its parent ran before it did, so it is told before.
        self.look(&mut seen, parent);
        // A thread that is not the first, while another one's attempt is under way.
        self.decide(&mut seen, process);
        seen.attempts.add(process, attempt);
        Record::Attempt(process)
    }

    /// Looks now and then at programs that asked for another and make no call that is looked at.
    pub(super) fn look_around(&self) {
        let _unfinished = EndsTheJob;
        if capabilities::keep_only_witness().is_err() {
            return;
        }
        loop {
            thread::sleep(PAUSE);
            let mut seen = self.lock();
            for process in seen.attempts.processes() {
                self.look(&mut seen, process);
            }
        }
    }

    fn look(&self, seen: &mut Seen, process: u32) {
        if !seen.attempts.has(process) {
            return;
        }
        let now = self.now(process);
        if let Some(observation) = seen.attempts.look(process, now) {
            self.tell_program(seen, observation);
        }
    }
}
