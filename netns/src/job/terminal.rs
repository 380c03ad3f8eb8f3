//! The caller's terminal: who is in its foreground.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// The controlling terminal of the caller.
#[derive(Debug, Clone)]
pub struct Terminal(Arc<File>);

impl Terminal {
    /// The controlling terminal, if there is one.
    pub fn controlling() -> Option<Terminal> {
        // What is opened anew is nobody else's, so that nobody else notices that it never waits.
        let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
        let options = OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/tty");
        options.ok().map(|file| Terminal(Arc::new(file)))
    }

    /// Whether a descriptor is this terminal's: no other is the controlling one (tcgetpgrp(3)).
    pub fn is(&self, descriptor: impl AsFd) -> bool {
        tcgetpgrp(descriptor).is_ok()
    }

    /// Writes at once what there is room for, also from the background; how many octets that were.
    pub fn write(&self, text: &[u8]) -> usize {
        // A terminal that has been stopped, or has hung up, takes nothing.
        undisturbed(|| (&*self.0).write(text)).unwrap_or(0)
    }

    /// Whether the caller's process group is in the foreground.
    pub fn is_ours(&self) -> bool {
        tcgetpgrp(&*self.0).is_ok_and(|group| group == getpgrp())
    }

    /// Puts the process group `group` (as the caller's PID namespace numbers it) into the
    /// foreground. A terminal that has hung up is left as it is.
    pub fn give_to(&self, group: Pid) {
        let _ = undisturbed(|| tcsetpgrp(&*self.0, group).map_err(Into::into));
    }

    /// Puts the caller's own process group into the foreground.
    pub fn take_back(&self) {
        self.give_to(getpgrp());
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Uses the terminal as a background process may that has SIGTTOU blocked: one that has not would be
/// stopped (tcsetpgrp(3), termios(3)).
fn undisturbed<T>(action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut background_write = SigSet::empty();
    background_write.add(Signal::SIGTTOU);
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&background_write), Some(&mut before))?;
    let result = action();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    result
}
