//! Which programs run: what asks for one is kept until it shows what came of it.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

use super::super::super::capabilities;
use super::super::super::witness::{arguments, lines};
use super::super::attempts::{Attempt, State};
use super::super::calls::{Last, Place};
use super::super::listener::Waiting;
use super::super::{Ending, Observation, memory};
use super::{EndsTheJob, Record, Seen, Shared};

/// How often those are looked for that asked for a program and made no call since.
const PAUSE: Duration = Duration::from_millis(50);

impl Shared {
    /// A thread that asked for a program and makes another call has not got it, unless the process is another
    /// program now.
    pub(super) fn settle(&self, waiting: &Waiting) {
        let mut seen = self.lock();
        if seen.attempts.is_empty() {
            return;
        }
        let mut process = waiting.thread;
        if !seen.attempts.has(process) {
            drop(seen);
            let Some(its) = self.paths.process(waiting.thread).filter(|its| *its != process) else { return };
            process = its;
            seen = self.lock();
        }
        if seen.attempts.has(process) {
            let now = self.state(process);
            let told = seen.attempts.decide(process, waiting.thread, now.as_ref());
            self.tell_programs(&mut seen, told);
        }
    }

    /// Tells what is left of a process that will hardly change any more.
    pub(super) fn give_up(&self, seen: &mut Seen, process: u32) {
        let now = self.state(process);
        let told = seen.attempts.finish(process, now.as_ref());
        self.tell_programs(seen, told);
    }

    fn state(&self, process: u32) -> Option<State> {
        let image = self.processes.image(process)?;
        Some(State { image, exe: self.processes.executable(process), seed: self.seed(process) })
    }

    fn seed(&self, process: u32) -> Option<[u8; 16]> {
        memory::seed(process, self.processes.seed_address(process)?).ok()
    }

    fn tell_programs(&self, seen: &mut Seen, told: impl IntoIterator<Item = Observation>) {
        told.into_iter().for_each(|observation| self.tell_program(seen, observation));
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
        let Some(before) = self.state(process) else { return self.missed() };
        let parent = self.processes.parent(process).unwrap_or_default();
        let line = memory::arguments(thread, arguments, arguments::READ);
        let attempt = Attempt {
            thread,
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
        let oldest = seen.attempts.add(process, attempt);
        self.tell_programs(&mut seen, oldest);
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
        let now = self.state(process);
        let told = seen.attempts.look(process, now.as_ref());
        self.tell_programs(seen, told);
    }
}
