//! Keys as they are pressed (termios(3)): neither gathered into lines nor shown.

use std::io::{self, Stdin, stdin};
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

/// Standard input, a terminal, gives single keys as long as this lives. Those that send signals still do.
pub struct Keys {
    stdin: Stdin,
    before: Termios,
}

impl Keys {
    /// `None` if standard input is no terminal.
    pub fn take() -> Option<Keys> {
        let stdin = stdin();
        let before = tcgetattr(&stdin).ok()?;
        let mut single = before.clone();
        single.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        // Never waits: who reads has been told that there is something.
        single.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        single.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(&stdin, SetArg::TCSANOW, &single).ok()?;
        Some(Keys { stdin, before })
    }

    /// Those that were pressed and have not been read yet, at once.
    ///
    /// # Errors
    /// The terminal has hung up.
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let length = nix::unistd::read(&self.stdin, buffer)?;
        Ok(&buffer[..length])
    }
}

impl AsRawFd for Keys {
    fn as_raw_fd(&self) -> RawFd {
        self.stdin.as_fd().as_raw_fd()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that has hung up needs nothing.
        let _ = tcsetattr(&self.stdin, SetArg::TCSADRAIN, &self.before);
    }
}
