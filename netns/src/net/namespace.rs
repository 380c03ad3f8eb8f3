//! Making and entering network namespaces, one thread at a time.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{CloneFlags, setns, unshare};

/// Puts the calling thread into a network namespace of its own and returns a descriptor of it.
pub(super) fn unshare_network() -> io::Result<OwnedFd> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// Puts the calling thread into the network namespace of `fd`.
pub(crate) fn enter_network(fd: impl AsFd) -> io::Result<()> {
    setns(fd, CloneFlags::CLONE_NEWNET)?;
    Ok(())
}
