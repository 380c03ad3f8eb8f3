//! Process 1 of the job: builds the sandbox, starts the command, reaps, forwards signals.
//!
//! Runs in a copy of a single-threaded process and never returns to it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{MsgFlags, Shutdown, recv, send, shutdown};
use nix::unistd::{Pid, setpgid};

use crate::error::{During, Error, Result, Step};
use crate::net::enter_network;
use crate::userns::Privilege;

use super::control::{Event, MAX_MESSAGE, Order, receive_namespace};
use super::sensor::Sensor;
use super::{JobSpec, Terminal, capabilities, command, mounts, witness};

/// How long killed processes are waited for; those that the kernel holds up longer end with init.
const LINGERING: Duration = Duration::from_secs(1);
/// Children that are reaped before orders have their turn.
const TURN: usize = 64;

/// What init needs from before the clone.
pub(super) struct Setup<'a> {
    pub(super) spec: &'a JobSpec,
    pub(super) privilege: Privilege,
    pub(super) signal_mask: &'a SigSet,
    /// What the caller does about children; init itself wants to hear of them.
    pub(super) children: SigHandler,
    /// Where the command hears from the gateway that its network is complete.
    pub(super) go: &'a OwnedFd,
}

/// The ends of init's channels to the gateway beside the control socket.
pub(super) struct Outlets {
    /// Where the witness is asked.
    pub(super) questions: OwnedFd,
    /// Where the sensor tells, if there is one.
    pub(super) observations: Option<OwnedFd>,
}

/// Runs the job to its end and exits; the kernel then kills whatever is left of it.
pub(super) fn main(control: OwnedFd, outlets: Outlets, setup: &Setup<'_>) -> ! {
    if let Err(error) = run(&control, outlets, setup) {
        tell(&control, &failure(&error));
    }
    // SAFETY: _exit ends the process without running destructors or handlers that the copied
    // address space shares with the gateway.
    unsafe { libc::_exit(0) }
}

fn run(control: &OwnedFd, outlets: Outlets, setup: &Setup<'_>) -> Result<()> {
    die_with_gateway(control)?;
    // Out of the caller's process group, so that neither its signals reach init nor the job it.
    setpgid(Pid::from_raw(0), Pid::from_raw(0))
        .during(Step::Control, "leaving the caller's process group")?;
    // The gateway builds the network meanwhile.
    separate()?;
    mounts::apply(&setup.spec.mounts)?;
    let signals = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .during(Step::Control, "opening a signal descriptor")?;
    let job = command::start(setup)?;
    let listener = match setup.spec.watch.as_ref().map(|_| job.listener()).transpose()? {
        Some(Err(event)) => {
            tell(control, &event);
            return Ok(());
        }
        listener => listener.and_then(std::result::Result::ok),
    };
    let namespace = receive_namespace(control).during(Step::Control, "waiting for the job namespace")?;
    enter_network(&namespace).during(Step::NetworkNamespace, "entering the job namespace")?;
    prctl::set_dumpable(false).during(Step::Credentials, "closing init to debuggers")?;
    capabilities::keep_for_witness().during(Step::Credentials, "reducing init's capabilities")?;
    // The command is forked already: what is started now is a thread of init alone.
    witness::start(outlets.questions);
    let sensor = match (setup.spec.watch.clone(), listener, outlets.observations) {
        (Some(watch), Some(listener), Some(channel)) => {
            Some(Sensor::start(watch, listener, channel).during(Step::Sensor, "starting the sensor")?)
        }
        _ => None,
    };
    capabilities::keep_only_kill().during(Step::Credentials, "dropping init's capabilities")?;
    // Only now may the command go on: init has nothing left that it could take.
    job.give(&namespace).during(Step::Control, "handing the job namespace to the command")?;
    drop(namespace);
    let ended = supervise(control, &signals, &job, setup.spec.terminal.as_ref());
    if let Some(sensor) = sensor {
        sensor.finish();
    }
    if ended.is_ok() && end_survivors(&signals) {
        // The gateway need not wait for the kernel to take the namespaces down.
        let _ = shutdown(control.as_raw_fd(), Shutdown::Write);
    }
    ended
}

/// Puts the calling process into IPC, UTS and mount namespaces of its own.
pub(crate) fn separate() -> Result<()> {
    let flags = CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNS;
    unshare(flags).during(Step::JobNamespaces, "making the job's IPC, UTS and mount namespaces")
}

/// The kernel kills init when the gateway's thread ends. The socket shows an end that came before
/// the request: process ids do not cross the namespace.
fn die_with_gateway(control: &OwnedFd) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).during(Step::Control, "tying init to the gateway")?;
    match recv(control.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        // The network may be there already.
        Ok(1..) | Err(nix::Error::EAGAIN) => Ok(()),
        _ => Err(Error::new(Step::Control, "the gateway is gone", io::ErrorKind::BrokenPipe)),
    }
}

fn supervise(
    control: &OwnedFd,
    signals: &SignalFd,
    job: &command::Starting,
    terminal: Option<&Terminal>,
) -> Result<()> {
    let mut report_open = true;
    let mut reaped = Reaped::All;
    loop {
        let mut descriptors = vec![
            PollFd::new(control.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        if report_open {
            descriptors.push(PollFd::new(job.report(), PollFlags::POLLIN));
        }
        let patience = if reaped == Reaped::Partly { PollTimeout::ZERO } else { PollTimeout::NONE };
        match poll(&mut descriptors, patience) {
            Ok(_) => {}
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(Error::new(Step::Control, "waiting for the job", error)),
        }
        let ready = |index: usize| {
            descriptors.get(index).and_then(|fd| fd.revents()).is_some_and(|events| !events.is_empty())
        };
        let (ordered, signalled, reported) = (ready(0), ready(1), ready(2));
        if reported && let Some(event) = job.read_report() {
            report_open = false;
            let fatal = event != Event::Started;
            tell(control, &event);
            if fatal {
                return Ok(());
            }
        }
        if signalled {
            drain(signals);
        }
        if signalled || reaped == Reaped::Partly {
            reaped = reap(control, job.pid);
            if reaped == Reaped::Command {
                return Ok(());
            }
        }
        if ordered && !obey(control, job.pid, terminal) {
            return Ok(());
        }
    }
}

/// Carries out one order; `false` when the gateway is gone.
fn obey(control: &OwnedFd, job: Pid, terminal: Option<&Terminal>) -> bool {
    let mut buffer = [0; MAX_MESSAGE];
    match recv(control.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
        Ok(0) => false,
        Ok(length) => {
            match Order::decode(&buffer[..length]) {
                Some(Order::Signal(number)) => {
                    if let Ok(signal) = Signal::try_from(number) {
                        // A command that left its group still gets its signal.
                        let _ = killpg(job, signal).or_else(|_| kill(job, signal));
                    }
                }
                Some(Order::Foreground) => {
                    if let Some(terminal) = terminal {
                        terminal.give_to(job);
                    }
                }
                None => {}
            }
            true
        }
        Err(nix::Error::EAGAIN | nix::Error::EINTR) => true,
        Err(_) => false,
    }
}

/// How far the reaping of children went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reaped {
    /// The command has ended.
    Command,
    All,
    /// More may have changed, and orders come first.
    Partly,
}

/// Reaps children that changed, for a turn.
fn reap(control: &OwnedFd, job: Pid) -> Reaped {
    for _ in 0..TURN {
        let Some((pid, change)) = next_change() else { return Reaped::All };
        if pid != job {
            continue;
        }
        tell(control, &change);
        if !matches!(change, Event::Stopped { .. }) {
            return Reaped::Command;
        }
    }
    Reaped::Partly
}

/// The next child that ended or stopped. By hand, as nix knows no realtime signals and loses a
/// child that one has killed.
fn next_change() -> Option<(Pid, Event)> {
    let flags = libc::WNOHANG | libc::WEXITED | libc::WSTOPPED;
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one siginfo_t, which lives here.
    if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) } != 0 {
        return None;
    }
    // SAFETY: waitid fills in the fields of SIGCHLD, or leaves zeroes when no child has changed.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return None;
    }
    let change = match info.si_code {
        libc::CLD_EXITED => Event::Exited { status },
        libc::CLD_STOPPED => Event::Stopped { signal: status },
        _ => Event::Signaled { signal: status },
    };
    Some((Pid::from_raw(pid), change))
}

/// Init's own signals carry nothing but the news that a child changed.
fn drain(signals: &SignalFd) {
    while signals.read_signal().ok().flatten().is_some() {}
}

/// Kills what outlives the command; whether nothing of the job is left. Its orphans are children of process 1
/// (pid_namespaces(7)), and what is being killed forks no more.
fn end_survivors(signals: &SignalFd) -> bool {
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    let begun = Instant::now();
    while begun.elapsed() < LINGERING {
        if next_change().is_some() {
            continue;
        }
        if childless() {
            return true;
        }
        let _ = poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], PollTimeout::from(10_u8));
        drain(signals);
    }
    false
}

/// Whether there is no child, not even one that has ended and was not reaped.
fn childless() -> bool {
    // SAFETY: without a siginfo_t the kernel writes nothing.
    let result = unsafe {
        libc::waitid(libc::P_ALL, 0, std::ptr::null_mut(), libc::WNOHANG | libc::WEXITED | libc::WNOWAIT)
    };
    result != 0 && nix::Error::last() == nix::Error::ECHILD
}

/// Says something to the gateway, waiting while its queue is full. A gateway that is gone has nobody
/// to tell; init ends on its own then.
fn tell(control: &OwnedFd, event: &Event) {
    while send(control.as_raw_fd(), &event.encode(), MsgFlags::MSG_NOSIGNAL) == Err(nix::Error::EAGAIN) {
        let mut writable = [PollFd::new(control.as_fd(), PollFlags::POLLOUT)];
        let _ = poll(&mut writable, PollTimeout::NONE);
    }
}

/// A failed set-up step as the gateway will read it.
pub(super) fn failure(error: &Error) -> Event {
    Event::Failed { step: error.step(), errno: error.errno(), detail: error.to_string() }
}
