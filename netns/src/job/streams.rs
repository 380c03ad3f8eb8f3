//! The three streams that the job has from its caller: none may be a way out by itself. `judge` is
//! pure; `unfit` looks at the descriptors.
//!
//! A socket belongs to the network namespace that it was made in for good. Whoever holds one of the
//! internet can take it off its connection and use it for another (connect(2), AF_UNSPEC), and one for
//! datagrams needs not even that. From a directory paths lead beneath every mask.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockname, getsockopt, sockopt,
};
use nix::sys::stat::{SFlag, fstat};

/// What a stream is that no job may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// A socket that can be sent or connected to somebody else than who is at its other end.
    Socket,
    /// A directory.
    Directory,
}

/// What a descriptor is, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    Socket { family: Option<AddressFamily>, kind: Option<SockType>, connected: bool },
    Other,
}

/// The first of the calling process's streams that a job must not have, by its number.
pub fn unfit() -> Option<(usize, Unfit)> {
    let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
    let streams = [input.as_fd(), output.as_fd(), error.as_fd()];
    streams.into_iter().enumerate().find_map(|(number, stream)| Some((number, judge(look(stream))?)))
}

/// A conversation of the host's own processes cannot be led elsewhere: a stream that is connected
/// stays so (unix(7)).
fn judge(kind: Kind) -> Option<Unfit> {
    match kind {
        Kind::Directory => Some(Unfit::Directory),
        Kind::Socket {
            family: Some(AddressFamily::Unix),
            kind: Some(SockType::Stream | SockType::SeqPacket),
            connected: true,
        }
        | Kind::Other => None,
        Kind::Socket { .. } => Some(Unfit::Socket),
    }
}

fn look(stream: BorrowedFd<'_>) -> Kind {
    // One that is closed is nothing.
    let Ok(status) = fstat(stream) else { return Kind::Other };
    match SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFSOCK => Kind::Socket {
            family: getsockname::<SockaddrStorage>(stream.as_raw_fd()).ok().and_then(|name| name.family()),
            kind: getsockopt(&stream, sockopt::SockType).ok(),
            connected: getpeername::<SockaddrStorage>(stream.as_raw_fd()).is_ok(),
        },
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

    use nix::sys::socket::{SockFlag, SockProtocol, socket, socketpair};

    use super::*;

    fn verdict(stream: impl AsFd) -> Option<Unfit> {
        judge(look(stream.as_fd()))
    }

    #[test]
    fn streams_of_the_host_itself_are_fit() {
        let (pipe, _other) = nix::unistd::pipe().unwrap();
        let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::empty()).unwrap();
        assert_eq!(verdict(pipe), None);
        assert_eq!(verdict(pair.0), None);
        assert_eq!(verdict(File::open("/dev/null").unwrap()), None);
        assert_eq!(verdict(File::open("/etc/passwd").unwrap()), None);
        let (one, other) = UnixStream::pair().unwrap();
        drop(other);
        assert_eq!(verdict(one), None, "the end of a stream is no way out");
    }

    #[test]
    fn what_can_be_led_elsewhere_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let netlink =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), SockProtocol::NetlinkRoute);
        let fresh = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None);
        assert_eq!(verdict(listener), Some(Unfit::Socket));
        assert_eq!(verdict(connected), Some(Unfit::Socket));
        assert_eq!(verdict(UdpSocket::bind("127.0.0.1:0").unwrap()), Some(Unfit::Socket));
        assert_eq!(verdict(UnixDatagram::pair().unwrap().0), Some(Unfit::Socket));
        assert_eq!(verdict(netlink.unwrap()), Some(Unfit::Socket));
        assert_eq!(verdict(fresh.unwrap()), Some(Unfit::Socket));
        let name = SocketAddr::from_abstract_name("cijail-net-streams-test").unwrap();
        assert_eq!(verdict(UnixListener::bind_addr(&name).unwrap()), Some(Unfit::Socket));
        assert_eq!(verdict(File::open("/").unwrap()), Some(Unfit::Directory));
    }
}
