//! Becoming a user without capabilities, between fork and exec.

use std::io;

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode as FileMode;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid, write};

use crate::enter;

/// The user that rootless jobs and servers run as; `world::files` gives it a name and a home.
pub(crate) const UID: u32 = 65533;

/// What has to be known before the fork: afterwards only system calls are allowed.
#[derive(Clone, Copy)]
pub(crate) struct PrivateUser {
    real_root: bool,
}

impl PrivateUser {
    pub(crate) fn new() -> Self {
        Self { real_root: enter::as_real_root() }
    }

    /// To be called in a child before exec, which then drops every capability. Where the tests themselves
    /// are unprivileged there is one user only: a user namespace shows it under the other number.
    pub(crate) fn assume(self) -> io::Result<()> {
        if self.real_root {
            setgroups(&[])?;
            let (user, group) = (Uid::from_raw(UID), Gid::from_raw(UID));
            setresgid(group, group, group)?;
            setresuid(user, user, user)?;
            return Ok(());
        }
        unshare(CloneFlags::CLONE_NEWUSER)?;
        write_file(c"/proc/self/setgroups", b"deny")?;
        write_file(c"/proc/self/uid_map", b"65533 0 1")?;
        write_file(c"/proc/self/gid_map", b"65533 0 1")
    }
}

fn write_file(path: &std::ffi::CStr, content: &[u8]) -> io::Result<()> {
    let file = open(path, OFlag::O_WRONLY, FileMode::empty())?;
    write(&file, content)?;
    Ok(())
}
