//! How far away the other end of a connection is (tcp(7), `TCP_INFO`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// The kernel's smoothed round-trip time, in microseconds' resolution; `None` while it has no sample.
///
/// # Errors
/// The socket is not one of TCP.
pub fn round_trip(socket: impl AsFd) -> io::Result<Option<Duration>> {
    // SAFETY: all zeroes is a valid tcp_info.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` octets to memory that outlives the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut size,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((info.tcpi_rtt > 0).then(|| Duration::from_micros(info.tcpi_rtt.into())))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn a_connection_has_a_round_trip_and_others_do_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(round_trip(&stream).unwrap().unwrap() < Duration::from_secs(1));
        assert_eq!(round_trip(&listener).unwrap(), None);
        round_trip(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap_err();
    }
}
