//! A check in a process of its own: whatever it makes ends with it, and nothing stays behind.

use std::fs::File;
use std::io::{self, Read, Write};

use nix::fcntl::OFlag;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, alarm, fork, pipe2};

use crate::error::Error;

/// Seconds that a check may take; each is done within a few milliseconds.
const PATIENCE: u32 = 10;
/// Octets of a report that are read.
const MAX_REPORT: u64 = 4096;

/// What came out of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    /// It works; what there is to say about it may be empty.
    Works(String),
    /// The kernel or a policy refused it.
    Refused {
        /// The system's error number, or zero.
        errno: i32,
        /// What was being done, and what the system said.
        problem: String,
    },
    /// Something that it needs does not work.
    Unreached(String),
}

/// How the process of a check comes about: `None` in the child, as fork(2) does.
pub(super) type Fork = fn() -> io::Result<Option<Pid>>;

/// Runs a check in a child and waits for it. The calling process must have one thread.
pub(super) fn run(fork: Fork, check: impl FnOnce() -> Report) -> io::Result<Report> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let Some(child) = fork()? else {
        // A panic ends here as well, as nothing may return into the copy of the caller.
        let _exit = ExitOnDrop;
        drop(reader);
        limit_life();
        let report = check();
        // Without a report the parent tells by the status.
        let _ = File::from(writer).write_all(&report.encode());
        exit();
    };
    drop(writer);
    let mut bytes = Vec::new();
    let read = File::from(reader).take(MAX_REPORT).read_to_end(&mut bytes);
    let status = loop {
        match waitpid(child, None) {
            Err(nix::Error::EINTR) => {}
            other => break other,
        }
    };
    read?;
    Ok(Report::decode(&bytes).unwrap_or_else(|| died(status.ok())))
}

/// fork(2).
pub(super) fn plain() -> io::Result<Option<Pid>> {
    // SAFETY: the caller has one thread, so the child may do whatever the parent may.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

struct ExitOnDrop;

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        exit();
    }
}

fn exit() -> ! {
    // SAFETY: _exit runs no destructor of the copied address space.
    unsafe { libc::_exit(0) }
}

/// Dies with the parent, and after a while in any case.
fn limit_life() {
    // Both only matter to a check that hangs.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    alarm::set(PATIENCE);
}

fn died(status: Option<WaitStatus>) -> Report {
    match status {
        Some(WaitStatus::Signaled(_, Signal::SIGSYS, _)) => {
            Report::Refused { errno: libc::EPERM, problem: "the check was killed by SIGSYS".to_owned() }
        }
        Some(WaitStatus::Signaled(_, Signal::SIGALRM, _)) => Report::Refused {
            errno: libc::ETIMEDOUT,
            problem: format!("the check took more than {PATIENCE} s"),
        },
        Some(WaitStatus::Signaled(_, signal, _)) => {
            Report::Refused { errno: 0, problem: format!("the check was killed by {signal}") }
        }
        _ => Report::Refused { errno: 0, problem: "the check ended without a word".to_owned() },
    }
}

impl From<&Error> for Report {
    fn from(error: &Error) -> Report {
        let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        Report::Refused { errno: error.errno(), problem: format!("{error}{cause}") }
    }
}

/// Both ends are one binary, so the encoding is private and has no version.
impl Report {
    fn encode(&self) -> Vec<u8> {
        let (tag, errno, text) = match self {
            Report::Works(note) => (0, 0, note),
            Report::Refused { errno, problem } => (1, *errno, problem),
            Report::Unreached(needs) => (2, 0, needs),
        };
        let mut bytes = vec![tag];
        bytes.extend(errno.to_ne_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Report> {
        let (head, text) = bytes.split_first_chunk::<5>()?;
        let [tag, errno @ ..] = *head;
        let text = String::from_utf8_lossy(text).into_owned();
        Some(match tag {
            0 => Report::Works(text),
            1 => Report::Refused { errno: i32::from_ne_bytes(errno), problem: text },
            _ => Report::Unreached(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_pipe() {
        let reports = [
            Report::Works(String::new()),
            Report::Works("as root".to_owned()),
            Report::Refused { errno: -1, problem: "making a user namespace".to_owned() },
            Report::Unreached("user namespace".to_owned()),
        ];
        for report in reports {
            assert_eq!(Report::decode(&report.encode()), Some(report));
        }
        assert_eq!(Report::decode(&[0, 0]), None);
    }
}
