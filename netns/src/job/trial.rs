//! The steps of the job's sandbox, each alone, for the doctor's checks. They change the calling
//! process for good, so each runs in a process of its own; those that mount, in the job's namespaces.

use std::fs;
use std::io;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use crate::error::{During, Error, Result, Step};
use crate::userns::map_identity;

use super::{MountPlan, capabilities, is_root, mounts, seccomp};

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

/// The call that keeps the caller's descriptors from the job (Linux 5.11).
pub(crate) fn closed_descriptors() -> Result<()> {
    // SAFETY: no descriptor has a number that high; the call touches no memory.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, u32::MAX - 1, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    nix::errno::Errno::result(result).map(drop).during(Step::Credentials, "closing inherited descriptors")
}
