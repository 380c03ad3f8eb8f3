//! The job's command between `fork` and `execve`.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::unistd::{ForkResult, Pid, chdir, execve, fork, getegid, geteuid, getpid, pipe2, setpgid};

use crate::error::{During, Error, Result, Step};
use crate::userns::{Privilege, map_identity};

use super::control::{Event, MAX_MESSAGE};
use super::init::{Setup, failure};
use super::{JobSpec, capabilities, probe, search};

/// The forked command, which has not necessarily executed yet.
pub(super) struct Starting {
    pub(super) pid: Pid,
    report: std::fs::File,
}

/// Forks the command.
pub(super) fn start(setup: &Setup<'_>, both_families: bool) -> Result<Starting> {
    // The report pipe closes by itself when execve succeeds.
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).during(Step::Control, "making the start-up pipe")?;
    // SAFETY: init has one thread, so the child may do whatever init may.
    match unsafe { fork() }.during(Step::Control, "forking the command")? {
        ForkResult::Parent { child } => {
            // Both sides set the group, so that it exists whoever runs first; the loser's error is no news.
            let _ = setpgid(child, child);
            Ok(Starting { pid: child, report: reader.into() })
        }
        ForkResult::Child => {
            drop(reader);
            let event = match become_command(setup, both_families) {
                Ok(never) => match never {},
                Err(Outcome::Setup(error)) => failure(&error),
                Err(Outcome::Exec(errno)) => Event::ExecFailed { errno },
            };
            // The parent notices a failed write as an early end.
            let _ = std::fs::File::from(writer).write_all(&event.encode());
            // SAFETY: as in init: no destructor of the copied address space may run.
            unsafe { libc::_exit(127) }
        }
    }
}

impl Starting {
    /// Readable once the command has executed or failed.
    pub(super) fn report(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }

    /// What became of the start: `Started` when the pipe closed without a word.
    pub(super) fn read_report(&mut self) -> Option<Event> {
        let mut bytes = Vec::with_capacity(MAX_MESSAGE);
        match (&mut self.report).take(MAX_MESSAGE as u64).read_to_end(&mut bytes) {
            Ok(0) => Some(Event::Started),
            Ok(_) => Event::decode(&bytes),
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

fn become_command(setup: &Setup<'_>, both_families: bool) -> std::result::Result<Never, Outcome> {
    let spec = setup.spec;
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).during(Step::Control, "making the job's process group")?;
    probe::run(both_families)?;
    if let Some(terminal) = spec.terminal.as_ref().filter(|_| spec.foreground) {
        terminal.give_to(getpid());
    }
    take_credentials(spec, setup.privilege)?;
    chdir(&spec.directory).during(Step::Mount, format!("entering {}", spec.directory.display()))?;
    close_inherited().during(Step::Credentials, "closing inherited descriptors")?;
    restore_signals(setup.signal_mask).during(Step::Control, "restoring signals")?;
    execute(spec)
}

fn take_credentials(spec: &JobSpec, privilege: Privilege) -> Result<()> {
    capabilities::own_session_keyring();
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
fn restore_signals(mask: &SigSet) -> nix::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default disposition runs no handler.
    unsafe { sigaction(Signal::SIGPIPE, &default) }?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None)
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
