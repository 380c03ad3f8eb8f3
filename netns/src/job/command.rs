//! The job's command between `fork` and `execve`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigHandler, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::unistd::{ForkResult, Pid, chdir, execve, fork, getegid, geteuid, getpid, setpgid};

use crate::error::{During, Error, Result, Step};
use crate::net::enter_network;
use crate::userns::{Privilege, map_identity};

use super::control::{
    Event, MAX_MESSAGE, receive_descriptor, receive_go, receive_namespace, send_descriptor, send_prepared,
};
use super::init::{Setup, failure};
use super::sensor::Watch;
use super::{JobSpec, capabilities, probe, search, seccomp, sensor};

/// The forked command, which has not necessarily executed yet.
pub(super) struct Starting {
    pub(super) pid: Pid,
    /// Brings the command its network namespace, and us word of a start that failed. The command's end closes
    /// by itself when execve succeeds.
    channel: OwnedFd,
}

/// Forks the command, which prepares itself and waits for its network namespace from us and for the
/// word to go on from the gateway.
pub(super) fn start(setup: &Setup<'_>) -> Result<Starting> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .during(Step::Control, "making the start-up channel")?;
    // SAFETY: init has one thread, so the child may do whatever init may.
    match unsafe { fork() }.during(Step::Control, "forking the command")? {
        ForkResult::Parent { child } => {
            // Both sides set the group, so that it exists whoever runs first; the loser's error is no news.
            let _ = setpgid(child, child);
            Ok(Starting { pid: child, channel: ours })
        }
        ForkResult::Child => {
            drop(ours);
            let event = match become_command(setup, &theirs) {
                Ok(never) => match never {},
                Err(Outcome::Setup(error)) => failure(&error),
                Err(Outcome::Exec(errno)) => Event::ExecFailed { errno },
            };
            // The parent notices a failed send as an early end.
            let _ = send(theirs.as_raw_fd(), &event.encode(), MsgFlags::MSG_NOSIGNAL);
            // SAFETY: as in init: no destructor of the copied address space may run.
            unsafe { libc::_exit(127) }
        }
    }
}

impl Starting {
    /// Gives the command its network namespace.
    pub(super) fn give(&self, namespace: &OwnedFd) -> nix::Result<()> {
        send_descriptor(&self.channel, namespace.as_fd())
    }

    /// Waits for the listener of the command's filter, or for word of why there is none.
    pub(super) fn listener(&self) -> Result<std::result::Result<OwnedFd, Event>> {
        let received =
            receive_descriptor(&self.channel).during(Step::Sensor, "waiting for the command's filter")?;
        Ok(received.map_err(|message| Event::decode(&message).unwrap_or(Event::Gone)))
    }

    /// Readable once the command has executed or failed.
    pub(super) fn report(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// What became of the start: `Started` when the channel closed without a word.
    pub(super) fn read_report(&self) -> Option<Event> {
        let mut bytes = [0; MAX_MESSAGE];
        match recv(self.channel.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Some(Event::Started),
            Ok(length) => Event::decode(&bytes[..length]),
            Err(_) => None,
        }
    }
}

enum Outcome {
    Setup(Error),
    Exec(i32),
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Outcome {
        Outcome::Setup(error)
    }
}

enum Never {}

fn become_command(setup: &Setup<'_>, channel: &OwnedFd) -> std::result::Result<Never, Outcome> {
    let spec = setup.spec;
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).during(Step::Control, "making the job's process group")?;
    // The filter refuses another keyring, and needs CAP_SYS_ADMIN. Both are done while the gateway builds
    // the network.
    capabilities::own_session_keyring();
    match &spec.watch {
        None => seccomp::install().during(Step::Credentials, "installing the system call filter")?,
        Some(watch) => observed(watch, channel)?,
    }
    // Init has nothing left then that the command could take.
    let namespace = receive_namespace(channel).during(Step::Control, "waiting for the job namespace")?;
    enter_network(&namespace).during(Step::NetworkNamespace, "entering the job namespace")?;
    take_credentials(spec, setup.privilege)?;
    send_prepared(setup.go).during(Step::Control, "telling that the command is prepared")?;
    let both_families = receive_go(setup.go).during(Step::Control, "waiting for the network")?;
    probe::run(both_families)?;
    if let Some(terminal) = spec.terminal.as_ref().filter(|_| spec.foreground) {
        terminal.give_to(getpid());
    }
    chdir(&spec.directory).during(Step::Mount, format!("entering {}", spec.directory.display()))?;
    close_inherited().during(Step::Credentials, "closing inherited descriptors")?;
    if let Some(watch) = &spec.watch {
        proved(watch)?;
    }
    restore_signals(setup).during(Step::Control, "restoring signals")?;
    execute(spec)
}

/// The filter, whose listener goes to init: a job that had it could answer for itself.
pub(super) fn observed(watch: &Watch, channel: &OwnedFd) -> Result<()> {
    let listener = seccomp::install_observed(&watch.calls())
        .during(Step::Sensor, "installing a system call filter that asks")?;
    send_descriptor(channel, listener.as_fd()).during(Step::Sensor, "handing over the filter's listener")
}

/// Shows that calls under that filter are seen.
pub(super) fn proved(watch: &Watch) -> Result<()> {
    sensor::prove(watch).during(Step::Sensor, "looking at the job's system calls")
}

fn take_credentials(spec: &JobSpec, privilege: Privilege) -> Result<()> {
    match privilege {
        Privilege::Root => {
            capabilities::limit_bounding_set().during(Step::Credentials, "limiting capabilities")?;
            if let Some(user) = &spec.user {
                capabilities::become_user(user).during(Step::Credentials, "becoming the job's user")?;
            }
        }
        Privilege::UserNamespace => {
            let (uid, gid) = (geteuid(), getegid());
            unshare(CloneFlags::CLONE_NEWUSER)
                .during(Step::UserNamespace, "making the job's user namespace")?;
            map_identity(uid, gid)
                .during(Step::UserNamespace, "mapping the user into the job's namespace")?;
            capabilities::limit_bounding_set().during(Step::Credentials, "limiting capabilities")?;
        }
    }
    Ok(())
}

/// Marks everything above standard error to close on exec: the report pipe must stay open until
/// then.
fn close_inherited() -> nix::Result<()> {
    // SAFETY: the call changes flags of descriptors and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    nix::errno::Errno::result(result).map(drop)
}

/// Gives the command the signal dispositions that it would have had without us: what the caller
/// ignored stays ignored, and SIGPIPE, which Rust's runtime ignores, is the default again.
fn restore_signals(setup: &Setup<'_>) -> nix::Result<()> {
    // SAFETY: the default disposition runs no handler.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    // SAFETY: the caller's disposition is no handler either, as none survives execve(2).
    unsafe { signal(Signal::SIGCHLD, setup.children) }?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(setup.signal_mask), None)
}

fn execute(spec: &JobSpec) -> std::result::Result<Never, Outcome> {
    let mut denied = None;
    let mut last = libc::ENOENT;
    for candidate in search::candidates(&spec.argv[0], &spec.env) {
        let Err(errno) = execve(&candidate, &spec.argv, &spec.env);
        match errno {
            nix::Error::ENOENT | nix::Error::ENOTDIR => {}
            nix::Error::EACCES => denied = Some(errno as i32),
            _ => {
                last = errno as i32;
                break;
            }
        }
    }
    // As execvp(3): a file that was found but may not be executed outranks one that was not found.
    Err(Outcome::Exec(denied.unwrap_or(last)))
}
