//! When the reader of a socket is woken (socket(7), `SO_RCVLOWAT`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Has the socket count as readable only with that many octets, or at the end of the stream; one is
/// the usual. A read still takes whatever is there. If so many are there, the kernel says so anew.
///
/// # Errors
/// The socket has no such option.
pub fn set_low_water(socket: impl AsFd, octets: i32) -> io::Result<()> {
    let size = size_of_val(&octets) as libc::socklen_t;
    // SAFETY: the kernel reads `size` octets of an integer that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const octets).cast(),
            size,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn readable(stream: &TcpStream) -> bool {
        poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], PollTimeout::from(50_u8)).unwrap() > 0
    }

    #[test]
    fn a_reader_is_woken_by_enough_or_by_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        set_low_water(&near, 1000).unwrap();
        far.write_all(&[0; 999]).unwrap();
        assert!(!readable(&near));
        far.write_all(&[0]).unwrap();
        assert!(readable(&near));
        set_low_water(&near, 2000).unwrap();
        assert!(!readable(&near));
        drop(far);
        assert!(readable(&near));
    }
}
