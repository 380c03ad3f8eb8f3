//! The thin part: hands a program to the kernel.

use std::io;

use libc::{c_ulong, sock_filter};

/// Puts the calling thread, and all that it starts, under the filter for good; with
/// SECCOMP_FILTER_FLAG_TSYNC all threads of the process, which must be without one of their own.
/// The thread needs CAP_SYS_ADMIN in its user namespace, or `no_new_privs`.
pub(crate) fn install(program: &[sock_filter], flags: c_ulong) -> io::Result<()> {
    let len = program.len().try_into().map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let operation = c_ulong::from(libc::SECCOMP_SET_MODE_FILTER);
    // SAFETY: the program and its instructions live here; the kernel copies both and writes neither.
    match unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) } {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}
