//! Moves bytes between sockets without copying them through the process (splice(2)).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;

/// Octets that a pipe is asked to hold: what any user may have (pipe(7), pipe-max-size).
const CAPACITY: i32 = 1024 * 1024;

/// A pipe between two sockets. It is empty whenever it is filled, so that "would block" always
/// speaks of the socket.
#[derive(Debug)]
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    held: usize,
}

impl Pipe {
    /// Makes an empty pipe.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> io::Result<Pipe> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // A user with many pipes gets small ones, which serve as well.
        let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(CAPACITY));
        Ok(Pipe { reader, writer, held: 0 })
    }

    /// Octets that are in the pipe.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes what a socket has into the empty pipe; zero is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; `InvalidInput` if the pipe is not empty.
    pub fn fill(&mut self, from: impl AsFd) -> io::Result<usize> {
        if self.held > 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.held = splice(from, None, &self.writer, None, CAPACITY as usize, flags())?;
        Ok(self.held)
    }

    /// Gives a socket what it takes of the pipe: so many octets.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing now.
    pub fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let length = splice(&self.reader, None, to, None, self.held, flags())?;
        self.held -= length.min(self.held);
        Ok(length)
    }
}

fn flags() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn moves_bytes_and_the_end() {
        let (mut source, from) = UnixStream::pair().unwrap();
        let (to, mut target) = UnixStream::pair().unwrap();
        from.set_nonblocking(true).unwrap();
        let mut pipe = Pipe::new().unwrap();
        assert_eq!(pipe.fill(&from).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        source.write_all(b"bytes").unwrap();
        assert_eq!(pipe.fill(&from).unwrap(), 5);
        assert_eq!(pipe.fill(&from).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(pipe.drain(&to).unwrap(), 5);
        assert_eq!(pipe.held(), 0);
        let mut read = [0; 5];
        target.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"bytes");
        drop(source);
        assert_eq!(pipe.fill(&from).unwrap(), 0);
    }
}
