//! Signals of job control, as numbers that cross the crate's border.

use std::mem::MaybeUninit;

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::{Pid, getpid};

/// SIGCONT.
pub const CONTINUE: i32 = Signal::SIGCONT as i32;
/// SIGTSTP.
pub const TERMINAL_STOP: i32 = Signal::SIGTSTP as i32;

/// Whether a background process was stopped because it used the terminal.
pub fn wants_terminal(number: i32) -> bool {
    number == Signal::SIGTTIN as i32 || number == Signal::SIGTTOU as i32
}

/// Whether a person at the terminal sends this signal by a key.
pub fn is_keyboard(number: i32) -> bool {
    number == Signal::SIGINT as i32 || number == Signal::SIGQUIT as i32
}

/// Whether the caller has the process ignore a signal, as `nohup` and shells do for what they start in the background.
pub fn is_ignored(number: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only fills in the old one, which is read only if it did.
    unsafe {
        libc::sigaction(number, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Has the kernel tell of ended children, which whoever ignores `SIGCHLD` never hears of (waitpid(2)), and returns
/// what was done about them before.
pub(super) fn hear_of_children() -> nix::Result<SigHandler> {
    // SAFETY: the default disposition runs no handler.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }
}

/// Stops the calling process until somebody continues it.
pub fn stop_self() {
    // SIGSTOP to oneself cannot fail.
    let _ = to_self(Signal::SIGSTOP);
}

/// Sends a signal to the caller's process group, the caller included, which does not handle it any
/// more. Returns only if the signal does not end it.
pub fn die_with_own_group(number: i32) {
    // A group of ours exists as long as we do.
    unhandled(number, |signal| kill(Pid::from_raw(0), signal));
}

/// Ends the calling process by a signal. Returns only if the signal does not end it.
pub fn die(number: i32) {
    unhandled(number, to_self);
}

/// Not by raise(3), which names a thread: the gateway's filter of system calls knows processes only.
fn to_self(signal: Signal) -> nix::Result<()> {
    kill(getpid(), signal)
}

fn unhandled(number: i32, send: impl FnOnce(Signal) -> nix::Result<()>) {
    let Ok(number) = Signal::try_from(number) else { return };
    // SAFETY: the default disposition runs no handler.
    if unsafe { signal(number, SigHandler::SigDfl) }.is_ok() {
        let _ = send(number);
    }
}
