//! The caller's terminal: who is in its foreground.

use std::fs::{File, OpenOptions};
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
        let options = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/tty");
        options.ok().map(|file| Terminal(Arc::new(file)))
    }

    /// Whether the caller's process group is in the foreground.
    pub fn is_ours(&self) -> bool {
        tcgetpgrp(&*self.0).is_ok_and(|group| group == getpgrp())
    }

    /// Puts the process group `group` (as the caller's PID namespace numbers it) into the
    /// foreground. A terminal that has hung up is left as it is.
    pub fn give_to(&self, group: Pid) {
        let mut background_write = SigSet::empty();
        background_write.add(Signal::SIGTTOU);
        let mut before = SigSet::empty();
        // A background process that asks would be stopped unless the signal is blocked (tcsetpgrp(3)).
        if sigprocmask(SigmaskHow::SIG_BLOCK, Some(&background_write), Some(&mut before)).is_err() {
            return;
        }
        let _ = tcsetpgrp(&*self.0, group);
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    }

    /// Puts the caller's own process group into the foreground.
    pub fn take_back(&self) {
        self.give_to(getpgrp());
    }
}
