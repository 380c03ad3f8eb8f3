//! The steps of the job's sandbox, each alone, for the doctor's checks. They change the calling
//! process for good, so each runs in a process of its own; those that mount, in the job's namespaces.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{MsgFlags, SockFlag, recv, send};
use nix::unistd::{ForkResult, fork, getegid, geteuid};

use crate::error::{During, Error, Result, Step};
use crate::userns::map_identity;

use super::control::{Event, MAX_MESSAGE, receive_descriptor};
use super::sensor::{Sensor, Watch};
use super::{MountPlan, capabilities, channel, command, init, is_root, mounts, seccomp};

/// Makes the mounts private, and mounts a file system in memory.
pub(crate) fn private_mounts() -> Result<()> {
    mounts::make_private()?;
    mounts::replaced(None)
}

/// Shows another file at the path of one that exists.
pub(crate) fn replaced_file(path: &Path) -> Result<()> {
    const CONTENT: &[u8] = b"# cijail-net doctor\n";
    let path = fs::canonicalize(path).during(Step::Mount, format!("finding {}", path.display()))?;
    mounts::replaced(Some((&path, CONTENT)))?;
    let shown = fs::read(&path).during(Step::Mount, format!("reading {}", path.display()))?;
    if shown == CONTENT {
        return Ok(());
    }
    let source = io::Error::other("it shows the old content");
    Err(Error::new(Step::Mount, format!("replacing {}", path.display()), source))
}

/// Makes the mounts private and no more.
pub(crate) fn own_mounts() -> Result<()> {
    mounts::make_private()
}

/// Makes everything of the job's view of the file system, with a `/proc` that shows the calling
/// process's PID namespace.
pub(crate) fn fresh_proc() -> Result<()> {
    mounts::apply(&MountPlan { guard_kernel: is_root(), ..MountPlan::default() })
}

/// The job's own user namespace, within the one that the run made.
pub(crate) fn nested_user_namespace() -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).during(Step::UserNamespace, "making the job's user namespace")?;
    map_identity(uid, gid).during(Step::UserNamespace, "mapping the user into the job's namespace")
}

/// The job's set of capabilities.
pub(crate) fn limited_capabilities() -> Result<()> {
    capabilities::limit_bounding_set().during(Step::Credentials, "limiting capabilities")
}

/// The job's system call filter, installed with CAP_SYS_ADMIN held (seccomp(2)).
pub(crate) fn system_call_filter() -> Result<()> {
    seccomp::install().during(Step::Credentials, "installing the system call filter")
}

/// The sensor: a call of a child's is seen, and goes on. The calling process has one thread.
pub(crate) fn sensor() -> Result<()> {
    let watch = Watch { programs: true, files: None };
    let (ours, theirs) = channel(SockFlag::empty())?;
    let (observer, observations) = channel(SockFlag::empty())?;
    // SAFETY: the process has one thread, so the child may do whatever the parent may.
    match unsafe { fork() }.during(Step::Sensor, "starting a process to look at")? {
        ForkResult::Child => {
            let tried = command::observed(&watch, &theirs).and_then(|()| command::proved(&watch));
            let event = tried.map_or_else(|error| init::failure(&error), |()| Event::Started);
            // Without a word the parent takes its end for a failure.
            let _ = send(theirs.as_raw_fd(), &event.encode(), MsgFlags::MSG_NOSIGNAL);
            // SAFETY: as in the job's own command: no destructor of the copied address space may run.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { .. } => {
            drop((theirs, observer));
            let listener = receive_descriptor(&ours).during(Step::Sensor, "waiting for the filter")?;
            let sensor = listener.map_err(|message| failed(&message)).and_then(|listener| {
                capabilities::keep_for_witness().during(Step::Credentials, "reducing capabilities")?;
                Sensor::start(watch, listener, observations).during(Step::Sensor, "starting the sensor")
            })?;
            let mut message = [0; MAX_MESSAGE];
            let length = recv(ours.as_raw_fd(), &mut message, MsgFlags::empty())
                .during(Step::Sensor, "waiting for the proof")?;
            drop(sensor);
            if Event::decode(&message[..length]) == Some(Event::Started) {
                Ok(())
            } else {
                Err(failed(&message[..length]))
            }
        }
    }
}

fn failed(message: &[u8]) -> Error {
    match Event::decode(message) {
        Some(Event::Failed { step, errno, detail }) => {
            Error::new(step, detail, io::Error::from_raw_os_error(errno))
        }
        _ => Error::new(Step::Sensor, "looking at a system call", io::ErrorKind::BrokenPipe),
    }
}

/// The call that keeps the caller's descriptors from the job (Linux 5.11).
pub(crate) fn closed_descriptors() -> Result<()> {
    // SAFETY: no descriptor has a number that high; the call touches no memory.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, u32::MAX - 1, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    nix::errno::Errno::result(result).map(drop).during(Step::Credentials, "closing inherited descriptors")
}
