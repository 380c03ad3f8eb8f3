//! The sensor at work: takes calls from the kernel, looks at each, lets it go on, and tells.

mod files;
mod programs;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::capabilities;
use super::super::witness::{processes::Processes, urgency};
use super::attempts::Attempts;
use super::calls::{self, Call};
use super::crew::{Crew, Turn};
use super::fold::Fold;
use super::listener::{Listener, Waiting};
use super::outlet::Outlet;
use super::paths::Paths;
use super::{Observation, Watch, memory, proof};

/// Octets of a thread's stack.
const STACK: usize = 256 * 1024;
/// Threads at first: one looks while the other waits for the next call.
const FEW: usize = 2;

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
            shared.give_up(&mut seen, process);
        }
        seen.fold.rest().iter().for_each(|observation| shared.outlet.tell(observation));
        shared.outlet.tell_missed();
        // The job has a moment left, in which nothing happens that would not be told.
        std::mem::forget(seen);
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
            Call::OpenHow { place, how } => match memory::how(waiting.thread, how) {
                Ok((flags, resolve)) => {
                    self.files(waiting, &[calls::opened_how(place, flags, resolve), None])
                }
                Err(_) => self.missed(),
            },
        };
        // Who used a file may end the job at once, and `finish` waits for what is told of it.
        let mut seen = matches!(record, Record::Files(_)).then(|| self.lock());
        // All that was read is true if the thread still waits. If it does not, it was killed, or a signal came
        // first, after which the same call may be made once more.
        let went_on = self.listener.release(waiting).is_ok();
        match (record, &mut seen) {
            (Record::Attempt(process), _) if !went_on => {
                self.lock().attempts.withdraw(process, waiting.thread);
            }
            (Record::Files(observations), Some(seen)) if went_on => {
                observations.into_iter().for_each(|observation| self.tell(seen, observation));
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

    fn tell(&self, seen: &mut Seen, observation: Observation) {
        match observation {
            Observation::Missed(calls) => self.outlet.miss(calls),
            told => seen.fold.add(told).iter().for_each(|observation| self.outlet.tell(observation)),
        }
    }

    /// What cannot be read may be hidden from all but the kernel (memfd_secret(2)).
    fn missed(&self) -> Record {
        self.outlet.miss(1);
        Record::Nothing
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
