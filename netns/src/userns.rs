//! The privilege to make namespaces: what the process has, or a user namespace of its own.

use std::fs;
use std::io;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, getegid, geteuid};

use crate::error::{During, Result, Step};
use crate::job::effective_capabilities;

/// CAP_NET_ADMIN and CAP_SYS_ADMIN (linux/capability.h).
const NEEDED: u64 = 1 << 12 | 1 << 21;

/// Where the capabilities over the run's namespaces come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// The process had them: the job keeps its user namespace and loses capabilities.
    Root,
    /// A user namespace with an identity mapping was made: the job gets a nested one.
    UserNamespace,
}

/// Makes sure that the process may make namespaces. The process must have one thread, and stays in
/// the host's network namespace.
///
/// # Errors
/// The kernel or a policy refuses user namespaces; the error tells the remedy.
pub fn acquire() -> Result<Privilege> {
    if effective_capabilities().during(Step::UserNamespace, "reading the process's capabilities")? & NEEDED
        == NEEDED
    {
        return Ok(Privilege::Root);
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).during(Step::UserNamespace, "making a user namespace")?;
    map_identity(uid, gid).during(Step::UserNamespace, "mapping the user into its namespace")?;
    Ok(Privilege::UserNamespace)
}

/// Whether ids and capabilities mean the machine's own.
pub(crate) fn is_initial_user_namespace() -> bool {
    // All ids, mapped to themselves (user_namespaces(7)).
    fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// Maps the caller's ids onto themselves (user_namespaces(7)): files keep their owners, and
/// `setgroups` is denied as the kernel demands.
pub(crate) fn map_identity(uid: Uid, gid: Gid) -> io::Result<()> {
    // Kernels before 3.19 have no such file, and need no denial.
    match fs::write("/proc/self/setgroups", "deny") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1\n"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1\n"))
}
