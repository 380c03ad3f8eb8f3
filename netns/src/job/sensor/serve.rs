//! The sensor at work: takes calls from the kernel, looks at each, lets it go on, and tells.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::super::capabilities;
use super::super::witness::{arguments, lines, processes::Processes, urgency};
use super::attempts::{Attempt, Attempts, Now};
use super::calls::{self, Call, Last, Place, Touch};
use super::crew::{Crew, Turn};
use super::fold::Fold;
use super::listener::{Listener, Waiting};
use super::outlet::Outlet;
use super::paths::{Found, Paths};
use super::{Access, Ending, Observation, Watch, memory, proof};

/// Octets of a thread's stack.
const STACK: usize = 256 * 1024;
/// Threads at first: one looks while the other waits for the next call.
const FEW: usize = 2;
/// How often those are looked for that asked for a program and made no call since.
const PAUSE: Duration = Duration::from_millis(50);

/// The running sensor; cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::job) struct Sensor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    watch: Watch,
    listener: Listener,
    processes: Processes,
    paths: Paths,
    crew: Crew,
    outlet: Outlet,
    seen: Mutex<Seen>,
    /// The proof was seen; what comes before it is ours.
    proved: AtomicBool,
    /// The process that becomes the command, until it has: its search through PATH is ours as well.
    starting: AtomicU32,
}

#[derive(Debug, Default)]
struct Seen {
    attempts: Attempts,
    fold: Fold,
}

/// What is told of a call once it went on.
enum Record {
    Nothing,
    /// The process has an attempt under way, which counts only if the call goes on.
    Attempt(u32),
    Files(Vec<Observation>),
}

impl Sensor {
    /// Starts the sensor in the calling process, which is init in the job's namespaces, with the capabilities
    /// of [`capabilities::keep_for_witness`].
    ///
    /// # Errors
    /// The kernel has not what it takes, or no threads are left.
    pub(in crate::job) fn start(watch: Watch, listener: OwnedFd, channel: OwnedFd) -> io::Result<Sensor> {
        let shared = Arc::new(Shared {
            watch,
            listener: Listener::new(listener)?,
            processes: Processes::open(&channel)?,
            paths: Paths::open()?,
            crew: Crew::default(),
            outlet: Outlet::new(channel),
            seen: Mutex::default(),
            proved: AtomicBool::new(false),
            starting: AtomicU32::new(0),
        });
        for _ in 0..FEW {
            Shared::spawn(&shared)?;
        }
        if shared.watch.programs {
            let looking = shared.clone();
            builder().spawn(move || looking.look_around())?;
        }
        Ok(Sensor(shared))
    }

    /// Tells what is left to tell, once the command has ended and before everything else of the job does.
    pub(in crate::job) fn finish(&self) {
        let shared = &*self.0;
        let mut seen = shared.lock();
        for process in seen.attempts.processes() {
            // Who has not changed by now will hardly do so.
            shared.decide(&mut seen, process);
        }
        seen.fold.rest().iter().for_each(|observation| shared.outlet.tell(observation));
        shared.outlet.tell_missed();
    }
}

impl Shared {
    fn spawn(shared: &Arc<Shared>) -> io::Result<()> {
        let own = shared.clone();
        // Before it takes a call.
        shared.crew.join();
        let started = builder().spawn(move || {
            let unfinished = EndsTheJob;
            urgency::claim();
            if capabilities::keep_only_witness().is_ok() {
                Shared::serve(&own);
                std::mem::forget(unfinished);
            }
        });
        started.map(drop).inspect_err(|_| shared.crew.leave())
    }

    /// Answers until nobody is left under the filter.
    fn serve(shared: &Arc<Shared>) {
        while let Ok(Some(waiting)) = shared.listener.next() {
            let mut turn = shared.crew.take(true);
            if turn == Turn::Reinforce {
                turn = match Shared::spawn(shared) {
                    Ok(()) => Turn::Look,
                    Err(_) => shared.crew.take_alone(),
                };
            }
            if turn == Turn::Look {
                shared.answer(&waiting);
            } else {
                shared.outlet.miss(1);
                let _ = shared.listener.release(&waiting);
            }
            shared.crew.free(turn);
        }
    }

    fn answer(&self, waiting: &Waiting) {
        if !self.proved.load(Ordering::Acquire) {
            return self.answer_proof(waiting);
        }
        if self.watch.programs {
            self.settle(waiting);
        }
        let record = match calls::read(waiting.number, waiting.arguments) {
            Call::End => Record::Nothing,
            Call::Execute { place, last, arguments } => self.attempt(waiting, place, last, arguments),
            Call::Files(touches) => self.files(waiting, &touches),
            Call::OpenHow { place, how } => match memory::flags(waiting.thread, how) {
                Ok(flags) => self.files(waiting, &[calls::opened(place, flags), None]),
                Err(_) => self.missed(),
            },
        };
        // All that was read is true if the thread still waits. If it does not, it was killed, or a signal came
        // first, after which the same call may be made once more.
        let went_on = self.listener.release(waiting).is_ok();
        match record {
            Record::Attempt(process) if !went_on => self.lock().attempts.withdraw(process),
            Record::Files(observations) if went_on => {
                let mut seen = self.lock();
                observations.into_iter().for_each(|observation| self.tell(&mut seen, observation));
            }
            _ => {}
        }
    }

    /// What the command does before the proof is ours, and of nobody's interest.
    fn answer_proof(&self, waiting: &Waiting) {
        let place = match calls::read(waiting.number, waiting.arguments) {
            Call::Execute { place, .. } => Some(place),
            Call::Files([Some(touch), _]) => Some(touch.place),
            _ => None,
        };
        let text = place.map(|place| memory::text(waiting.thread, place.address));
        let refused = match text {
            Some(Ok(Some(text))) if proof::is_proof(&text) => {
                self.starting.store(waiting.thread, Ordering::Relaxed);
                self.proved.store(true, Ordering::Release);
                None
            }
            Some(Err(error)) => error.raw_os_error(),
            _ => None,
        };
        let answered = match refused {
            Some(errno) => self.listener.fail(waiting, errno),
            None => self.listener.release(waiting),
        };
        if answered.is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput) {
            // A kernel that cannot let calls go on; the command's proof fails by this.
            let _ = self.listener.fail(waiting, libc::ENOSYS);
        }
    }

    /// A process that asked for a program and makes another call has it, or has not got it.
    fn settle(&self, waiting: &Waiting) {
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

    fn decide(&self, seen: &mut Seen, process: u32) {
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

    fn tell(&self, seen: &mut Seen, observation: Observation) {
        match observation {
            Observation::Missed(calls) => self.outlet.miss(calls),
            told => seen.fold.add(told).iter().for_each(|observation| self.outlet.tell(observation)),
        }
    }

    fn attempt(&self, waiting: &Waiting, place: Place, last: Last, arguments: u64) -> Record {
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

    fn files(&self, waiting: &Waiting, touches: &[Option<Touch>; 2]) -> Record {
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
    fn find(&self, thread: u32, place: Place, last: Last) -> io::Result<Option<Found>> {
        let Some(text) = memory::text(thread, place.address)? else { return Ok(None) };
        if text.is_empty() && !place.may_be_empty {
            return Ok(None);
        }
        Ok(self.paths.find(thread, place.directory, &text, last))
    }

    /// What cannot be read may be hidden from all but the kernel (memfd_secret(2)).
    fn missed(&self) -> Record {
        self.outlet.miss(1);
        Record::Nothing
    }

    /// Looks now and then at programs that asked for another and make no call that is looked at.
    fn look_around(&self) {
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

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn builder() -> thread::Builder {
    thread::Builder::new().name("sensor".to_owned()).stack_size(STACK)
}

/// A sensor that breaks would leave calls without an answer: the job ends with it.
struct EndsTheJob;

impl Drop for EndsTheJob {
    fn drop(&mut self) {
        // SAFETY: _exit ends the process; as it is process 1, the kernel ends all others of the job.
        unsafe { libc::_exit(0) }
    }
}
