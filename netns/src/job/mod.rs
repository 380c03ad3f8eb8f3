//! The job: a command in namespaces of its own, under a small init process.
//!
//! ```text
//! gateway ──clone──▶ init (pid 1 of the job's PID namespace) ──fork──▶ command
//!    ▲                  │  reaps, forwards signals                      probes, then execs
//!    └── control socket ┘
//! ```

mod capabilities;
mod command;
mod control;
mod init;
mod mounts;
mod probe;
mod search;
mod seccomp;
mod sensor;
pub mod signals;
pub mod streams;
mod terminal;
pub(crate) mod trial;
pub mod unix_sockets;
mod witness;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
pub use nix::unistd::{Gid, Uid};

use crate::error::{During, Error, Result, Step};
use crate::net::{Family, Network};
use crate::userns::Privilege;

pub(crate) use capabilities::bequeath_raw_sockets;
pub(crate) use capabilities::drop_all_but as drop_capabilities;
pub(crate) use capabilities::effective as effective_capabilities;
pub(crate) use capabilities::forget_bounding_set;
pub use control::{Event, Order};
pub(crate) use init::separate;
pub use mounts::{MountPlan, OwnFiles, default_masks, own_directory};
pub use sensor::{Access, Ending, Observation, Observer, Watch, WatchedFiles};
pub use terminal::Terminal;
pub use witness::arguments::shown_arguments;
pub use witness::{Program, Protocol, Question, Testimony, Witness};

/// The user that a root-mode job runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: Uid,
    /// Primary group.
    pub gid: Gid,
    /// Supplementary groups.
    pub groups: Vec<Gid>,
}

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// The program and its arguments; never empty. A program without a slash is searched in the
    /// job's `PATH`.
    pub argv: Vec<CString>,
    /// The whole environment, as `NAME=value`.
    pub env: Vec<CString>,
    /// Where the job starts; entered again by path after the mounts.
    pub directory: PathBuf,
    /// Another user to run as; only with [`Privilege::Root`].
    pub user: Option<User>,
    /// Files and directories that look different to the job.
    pub mounts: MountPlan,
    /// The caller's terminal, if it has one.
    pub terminal: Option<Terminal>,
    /// Whether the job's process group takes the terminal's foreground at once.
    pub foreground: bool,
    /// Which of its programs and files are told of, if any are.
    pub watch: Option<Watch>,
}

/// A started job. Its init process dies with the thread that started it, and everything in the
/// job dies with init. Dropping it ends the job.
#[derive(Debug)]
pub struct Job {
    init: Pid,
    control: OwnedFd,
    /// Where the command waits for its network to be complete.
    go: OwnedFd,
    /// Where init is asked who in the job uses a socket.
    questions: OwnedFd,
    /// Where the sensor tells what it sees, if there is one.
    observations: Option<OwnedFd>,
    reaped: AtomicBool,
}

/// The way by which the job receives its network namespace.
#[derive(Debug)]
pub struct Entrance(OwnedFd);

/// Starts the job's set-up, which waits for the job's network namespace after the mounts, and for
/// the word that the network is complete before the probe: see [`Job::entrance`] and [`Job::go`].
/// The calling process must have one thread, and the calling thread must outlive the job.
///
/// # Errors
/// No socket pair or no PID namespace; later failures arrive as [`Event::Failed`].
pub fn spawn(spec: &JobSpec, privilege: Privilege) -> Result<Job> {
    let (control, theirs) = channel(SockFlag::SOCK_NONBLOCK)?;
    let (go, gate) = channel(SockFlag::empty())?;
    let (questions, witness) = channel(SockFlag::empty())?;
    let (observations, sensor) = match &spec.watch {
        Some(_) => channel(SockFlag::empty()).map(|(ours, theirs)| (Some(ours), Some(theirs)))?,
        None => (None, None),
    };
    let children = signals::hear_of_children().during(Step::Control, "listening for ended children")?;
    // Signals wait until init has a handler for them and the command its own dispositions.
    let mut mask = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut mask))
        .during(Step::Control, "blocking signals")?;
    let cloned = clone_init();
    if let Ok(None) = cloned {
        drop((control, go, questions, observations));
        let outlets = init::Outlets { questions: witness, observations: sensor };
        init::main(
            theirs,
            outlets,
            &init::Setup { spec, privilege, signal_mask: &mask, children, go: &gate },
        );
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None).during(Step::Control, "restoring signals")?;
    match cloned.during(Step::JobNamespaces, "making the job's PID namespace")? {
        Some(init) => Ok(Job { init, control, go, questions, observations, reaped: AtomicBool::new(false) }),
        None => Err(Error::new(Step::Control, "the init process returned", io::ErrorKind::Other)),
    }
}

fn channel(flags: SockFlag) -> Result<(OwnedFd, OwnedFd)> {
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)
        .during(Step::Control, "making the job's control sockets")
}

impl Entrance {
    /// Sends the job into this network namespace, which may still be empty.
    ///
    /// # Errors
    /// The control socket broke; a job that is already gone tells why by its events.
    pub fn admit(self, namespace: BorrowedFd<'_>) -> Result<()> {
        match control::send_descriptor(&self.0, namespace) {
            Ok(()) | Err(nix::Error::EPIPE | nix::Error::ECONNRESET) => Ok(()),
            Err(error) => Err(Error::new(Step::Control, "handing the namespace to the job's init", error)),
        }
    }
}

impl Job {
    /// The way in for the job's network namespace. It is used once, and before any order.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn entrance(&self) -> Result<Entrance> {
        let control = self.control.try_clone().during(Step::Control, "sharing the job's control socket")?;
        Ok(Entrance(control))
    }

    /// The way to ask who in the job uses a socket.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn witness(&self) -> Result<Witness> {
        let questions = self.questions.try_clone().during(Step::Control, "sharing the witness's socket")?;
        Ok(Witness::new(questions))
    }

    /// The way to hear which programs and files the job uses; `None` if nobody looks.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn observer(&self) -> Result<Option<Observer>> {
        let Some(observations) = &self.observations else { return Ok(None) };
        let observations = observations.try_clone().during(Step::Control, "sharing the sensor's socket")?;
        Ok(Some(Observer::new(observations)))
    }

    /// Waits until the command has everything but its network: whatever else of the set-up can fail has
    /// not failed. `false` if the job is gone, and tells why by its events.
    ///
    /// # Errors
    /// The socket broke.
    pub fn prepared(&self) -> Result<bool> {
        control::receive_prepared(&self.go).during(Step::Control, "waiting for the command to be prepared")
    }

    /// Says that the network is complete. The command runs once the probe from inside has succeeded,
    /// so the gateway must serve the network's sockets from here on.
    ///
    /// # Errors
    /// The socket broke; a job that is already gone tells why by its events.
    pub fn go(&self, network: &Network) -> Result<()> {
        match control::send_go(&self.go, network.family == Family::Both) {
            Ok(()) | Err(nix::Error::EPIPE | nix::Error::ECONNRESET) => Ok(()),
            Err(error) => Err(Error::new(Step::Control, "letting the job go on", error)),
        }
    }

    /// Reads the next event; `None` when there is none yet, [`Event::Gone`] after the last.
    ///
    /// # Errors
    /// The control socket broke.
    pub fn event(&self) -> Result<Option<Event>> {
        let mut buffer = [0; control::MAX_MESSAGE];
        loop {
            match recv(self.control.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Ok(Some(Event::Gone)),
                Ok(length) => return Ok(Event::decode(&buffer[..length])),
                // Said once, when init ended with an order unread, and before what init said last.
                Err(nix::Error::ECONNRESET | nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => return Ok(None),
                Err(error) => return Err(Error::new(Step::Control, "reading from the job's init", error)),
            }
        }
    }

    /// Tells init something; a job that is already gone is no error.
    ///
    /// # Errors
    /// The control socket broke.
    pub fn order(&self, order: Order) -> Result<()> {
        match send(self.control.as_raw_fd(), &order.encode(), MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)
        {
            Ok(_) | Err(nix::Error::EPIPE | nix::Error::ECONNRESET) => Ok(()),
            Err(error) => Err(Error::new(Step::Control, "writing to the job's init", error)),
        }
    }

    /// Kills everything in the job at once.
    pub fn kill(&self) {
        if !self.reaped.load(Ordering::Relaxed) {
            // Init cannot refuse SIGKILL from outside its PID namespace; ESRCH means it is gone already.
            let _ = kill(self.init, Signal::SIGKILL);
        }
    }

    /// Waits until init and with it every process of the job has ended. Call it after
    /// [`Event::Gone`] or [`Job::kill`].
    pub fn wait(&self) {
        while !self.reaped.load(Ordering::Relaxed) {
            match waitpid(self.init, None) {
                Err(nix::Error::EINTR) => {}
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_) => {
                    self.reaped.store(true, Ordering::Relaxed);
                }
                Ok(_) => {}
            }
        }
    }

    /// The id of init in the caller's PID namespace.
    pub fn init_pid(&self) -> i32 {
        self.init.as_raw()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.kill();
        self.wait();
    }
}

impl AsRawFd for &Job {
    fn as_raw_fd(&self) -> RawFd {
        self.control.as_raw_fd()
    }
}

/// Whether the calling process runs as user 0.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Like `fork`, with the child in a new PID namespace; `None` in the child. The other namespaces
/// are the child's to make, while the gateway goes on: [`separate`].
pub(crate) fn clone_init() -> io::Result<Option<Pid>> {
    let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with a null stack this is fork(2): the child gets a copy of the
    // address space and returns on the same stack. The caller has one thread, so no lock is held by
    // a thread that the child lacks.
    let result =
        unsafe { libc::syscall(libc::SYS_clone, flags as libc::c_ulong, 0usize, 0usize, 0usize, 0usize) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(Pid::from_raw(pid as i32))),
    }
}
