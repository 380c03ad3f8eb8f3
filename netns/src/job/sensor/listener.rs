//! The kernel's side of observed calls (seccomp_unotify(2)): a thread of the job waits in its call until
//! it is told to go on.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libc::{
    SECCOMP_USER_NOTIF_FLAG_CONTINUE, c_long, seccomp_notif, seccomp_notif_resp, seccomp_notif_sizes,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

// linux/seccomp.h
nix::ioctl_readwrite!(receive, b'!', 0, seccomp_notif);
nix::ioctl_readwrite!(answer, b'!', 1, seccomp_notif_resp);
nix::ioctl_write_int_bad!(set_flags, nix::request_code_write!(b'!', 4, size_of::<u64>()));
const SYNC_WAKE_UP: i32 = 1;

/// Where the calls of a filter are told.
#[derive(Debug)]
pub(super) struct Listener(OwnedFd);

/// A thread that waits in a call. As long as [`Listener::release`] has not let it go on, its number is
/// its own and everything that is read about it is true; if that fails, it was not.
#[derive(Debug)]
pub(super) struct Waiting {
    id: u64,
    /// The thread's number as the calling process sees it.
    pub(super) thread: u32,
    pub(super) number: c_long,
    pub(super) arguments: [u64; 6],
}

impl Listener {
    /// # Errors
    /// The kernel speaks of calls in another way than is known here.
    pub(super) fn new(descriptor: OwnedFd) -> io::Result<Listener> {
        let mut sizes = seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
        // SAFETY: the kernel writes one record of sizes, which lives here.
        let result = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0usize, &raw mut sizes)
        };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
        // It writes as much as it says.
        let fits = usize::from(sizes.seccomp_notif) <= size_of::<seccomp_notif>()
            && usize::from(sizes.seccomp_notif_resp) <= size_of::<seccomp_notif_resp>();
        if !fits {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // SAFETY: the request takes a number. Caller and answerer take turns on one processor then (Linux
        // 6.6); older kernels refuse, and wake each other the slow way.
        let _ = unsafe { set_flags(descriptor.as_raw_fd(), SYNC_WAKE_UP) };
        Ok(Listener(descriptor))
    }

    /// Waits for the next call; `None` when nobody is left under the filter.
    ///
    /// # Errors
    /// The descriptor broke.
    pub(super) fn next(&self) -> io::Result<Option<Waiting>> {
        loop {
            // SAFETY: all zeroes is a valid record, and what the kernel demands.
            let mut call: seccomp_notif = unsafe { std::mem::zeroed() };
            // SAFETY: the kernel writes one record of a size that was asked for, which lives here.
            match unsafe { receive(self.0.as_raw_fd(), &raw mut call) } {
                Ok(_) => {
                    return Ok(Some(Waiting {
                        id: call.id,
                        thread: call.pid,
                        number: call.data.nr.into(),
                        arguments: call.data.args,
                    }));
                }
                Err(nix::Error::EINTR) => {}
                // The caller was killed, or was the last one.
                Err(nix::Error::ENOENT) if !self.is_over() => {}
                Err(nix::Error::ENOENT) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Lets the thread carry out its call. An error of the kind `NotFound` says that it is not waiting
    /// any more: killed, or interrupted by a signal, after which the same call may come once more.
    ///
    /// # Errors
    /// See above; `InvalidInput` from kernels before 5.5, which cannot.
    pub(super) fn release(&self, waiting: &Waiting) -> io::Result<()> {
        self.respond(waiting, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// Lets the call fail.
    ///
    /// # Errors
    /// As for [`Listener::release`].
    pub(super) fn fail(&self, waiting: &Waiting, errno: i32) -> io::Result<()> {
        self.respond(waiting, -errno, 0)
    }

    fn respond(&self, waiting: &Waiting, error: i32, flags: u32) -> io::Result<()> {
        let mut response = seccomp_notif_resp { id: waiting.id, val: 0, error, flags };
        // SAFETY: the kernel reads one record, which lives here.
        unsafe { answer(self.0.as_raw_fd(), &raw mut response) }?;
        Ok(())
    }

    fn is_over(&self) -> bool {
        let mut descriptors = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        let ready = poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        ready && descriptors[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }
}
