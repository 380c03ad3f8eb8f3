//! The thin part: hands a program to the kernel.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use libc::{c_long, c_ulong, sock_filter};

/// Puts the calling thread, and all that it starts, under the filter for good; with
/// SECCOMP_FILTER_FLAG_TSYNC all threads of the process, which must be without one of their own.
/// The thread needs CAP_SYS_ADMIN in its user namespace, or `no_new_privs`.
pub(crate) fn install(program: &[sock_filter], flags: c_ulong) -> io::Result<()> {
    match hand_over(program, flags)? {
        0 => Ok(()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

/// The same for the calling thread alone, with a descriptor for whoever answers the calls that the program
/// asks about (seccomp_unotify(2)). There can be one such descriptor above a process: EBUSY. Without
/// it, when all copies are closed, these calls fail with ENOSYS.
pub(crate) fn install_with_listener(program: &[sock_filter], flags: c_ulong) -> io::Result<OwnedFd> {
    let flags = flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // Once the listener has taken a call, only what kills the process interrupts it (Linux 5.19).
    let listener = match hand_over(program, flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => hand_over(program, flags)?,
        other => other?,
    };
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(listener as i32) })
}

fn hand_over(program: &[sock_filter], flags: c_ulong) -> io::Result<c_long> {
    let len = program.len().try_into().map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let operation = c_ulong::from(libc::SECCOMP_SET_MODE_FILTER);
    // SAFETY: the program and its instructions live here; the kernel copies both and writes neither.
    match unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) } {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}
