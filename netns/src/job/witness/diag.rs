//! The kernel's table of sockets (sock_diag(7)): which inode a socket of given addresses has.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

use super::{Protocol, Question};
use crate::net::JOB_LINK;

/// Octets of struct nlmsghdr (linux/netlink.h).
const HEADER: usize = 16;
/// Octets of struct inet_diag_req_v2 (linux/inet_diag.h).
const REQUEST: usize = 56;
/// Where struct inet_diag_msg has its inode, and its end.
const INODE: usize = 68;
const ANSWER: usize = INODE + 4;
/// SOCK_DIAG_BY_FAMILY (linux/sock_diag.h).
const BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_DONE: u16 = 3;
/// TCP_LISTEN (net/tcp_states.h).
const LISTENING: u8 = 10;

/// A socket for questions about those of its network namespace.
#[derive(Debug)]
pub(super) struct Sockets {
    netlink: OwnedFd,
    sequence: u32,
    /// The job's link, once it was needed.
    link: Option<u32>,
}

impl Sockets {
    /// Opens one in the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel has no such protocol.
    pub(super) fn open() -> io::Result<Sockets> {
        let (kind, flags) = (SockType::Raw, SockFlag::SOCK_CLOEXEC);
        let netlink = socket(AddressFamily::Netlink, kind, flags, SockProtocol::NetlinkSockDiag)?;
        bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Sockets { netlink, sequence: 0, link: None })
    }

    /// Whether the kernel answers for both protocols: parts of it may be modules that are not there. Asks
    /// for all sockets in no state.
    pub(super) fn can_tell(&mut self) -> bool {
        let any = SocketAddr::new([0, 0, 0, 0].into(), 0);
        [Protocol::Tcp, Protocol::Udp].into_iter().all(|protocol| {
            self.sequence += 1;
            let request = request(self.sequence, NLM_F_DUMP, protocol, 0, (any, any), 0);
            self.exchange(&request, is_whole_dump)
        })
    }

    /// The inode of a socket, if there is one and a file of it is open. Only a `thorough` look finds one that
    /// is bound to a link.
    pub(super) fn inode(&mut self, question: &Question, thorough: bool) -> Option<u64> {
        self.look(question, 0).or_else(|| {
            if !thorough {
                return None;
            }
            // A socket that is bound to a link is found by the link only.
            let link = *self.link.get_or_insert_with(|| if_nametoindex(JOB_LINK).unwrap_or(0));
            self.look(question, link)
        })
    }

    fn look(&mut self, question: &Question, link: u32) -> Option<u64> {
        self.sequence += 1;
        // For UDP the kernel takes the addresses as a datagram to the socket has them (udp_dump_one).
        let addresses = match question.protocol {
            Protocol::Tcp => (question.local, question.remote),
            Protocol::Udp => (question.remote, question.local),
        };
        let request = request(self.sequence, 0, question.protocol, u32::MAX, addresses, link);
        self.exchange(&request, inode)
    }

    /// The kernel answers before the request's call returns.
    fn exchange<T: Default>(&self, request: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
        if send(self.netlink.as_raw_fd(), request, MsgFlags::empty()).is_err() {
            return T::default();
        }
        let mut answer = [0; 512];
        while let Ok(length) = recv(self.netlink.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT) {
            // Anything else is what an earlier exchange left.
            if answer.get(8..12) == request.get(8..12) {
                return read(&answer[..length.min(answer.len())]);
            }
        }
        T::default()
    }
}

fn request(
    sequence: u32,
    flags: u16,
    protocol: Protocol,
    states: u32,
    (source, destination): (SocketAddr, SocketAddr),
    link: u32,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + REQUEST);
    bytes.extend(((HEADER + REQUEST) as u32).to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    let family = if source.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let protocol = match protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
    };
    bytes.extend([family as u8, protocol as u8, 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend(source.port().to_be_bytes());
    bytes.extend(destination.port().to_be_bytes());
    for address in [source.ip(), destination.ip()] {
        match address {
            IpAddr::V4(address) => {
                bytes.extend(address.octets());
                bytes.extend([0; 12]);
            }
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    bytes.extend(link.to_ne_bytes());
    // INET_DIAG_NOCOOKIE
    bytes.extend([0xff; 8]);
    bytes
}

/// The inode in an answer. A listener is no connection, and what no process
/// has has no inode.
fn inode(answer: &[u8]) -> Option<u64> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let message = answer.get(HEADER..HEADER + ANSWER)?;
    let inode = u32::from_ne_bytes(message[INODE..].try_into().ok()?);
    (kind == BY_FAMILY && message[1] != LISTENING && inode != 0).then_some(inode.into())
}

/// A dump that had nothing to show ends with its first message, and the error in it, if any.
fn is_whole_dump(answer: &[u8]) -> bool {
    let kind = answer.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes);
    kind == Some(NLMSG_DONE) && answer.get(HEADER..HEADER + 4) == Some(&[0; 4])
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;

    use nix::sys::stat::fstat;

    use super::*;

    fn asked(protocol: Protocol, local: SocketAddr, remote: SocketAddr) -> Option<u64> {
        Sockets::open().unwrap().inode(&Question { id: 0, protocol, local, remote }, true)
    }

    fn own(socket: impl AsFd) -> Option<u64> {
        Some(fstat(socket).unwrap().st_ino)
    }

    #[test]
    fn finds_sockets_by_their_addresses() {
        assert!(Sockets::open().unwrap().can_tell());
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(loopback).unwrap();
            let server = listener.local_addr().unwrap();
            let client = TcpStream::connect(server).unwrap();
            let local = client.local_addr().unwrap();
            assert_eq!(asked(Protocol::Tcp, local, server), own(&client));
            drop(client);
            assert_eq!(asked(Protocol::Tcp, local, server), None, "no listener is taken for it");

            let receiver = UdpSocket::bind(loopback).unwrap();
            let server = receiver.local_addr().unwrap();
            let unconnected = UdpSocket::bind(loopback).unwrap();
            let local = unconnected.local_addr().unwrap();
            assert_eq!(asked(Protocol::Udp, local, server), own(&unconnected));
            unconnected.connect(server).unwrap();
            assert_eq!(asked(Protocol::Udp, local, server), own(&unconnected));
            let port = unconnected.local_addr().unwrap().port();
            drop(unconnected);
            let any = UdpSocket::bind((if local.is_ipv4() { "0.0.0.0" } else { "::" }, port)).unwrap();
            assert_eq!(asked(Protocol::Udp, local, server), own(&any));
        }
    }

    #[test]
    fn a_dual_stack_socket_speaks_ipv4() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let dual = UdpSocket::bind("[::]:0").unwrap();
        let local = SocketAddr::from(([127, 0, 0, 1], dual.local_addr().unwrap().port()));
        assert_eq!(asked(Protocol::Udp, local, receiver.local_addr().unwrap()), own(&dual));
    }

    #[test]
    fn answers_are_read_defensively() {
        let mut answer = vec![0; HEADER + ANSWER];
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        answer[HEADER + INODE..].copy_from_slice(&99u32.to_ne_bytes());
        assert_eq!(inode(&answer), Some(99));
        for cut in 0..answer.len() {
            assert_eq!(inode(&answer[..cut]), None);
            assert!(!is_whole_dump(&answer[..cut]));
        }
        answer[HEADER + 1] = LISTENING;
        assert_eq!(inode(&answer), None);
    }
}
