//! The gateway's sockets, opened by a thread that is in the gateway or the job namespace.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket, sockopt,
};

use super::datagram::DatagramSocket;
use super::plan::CONGESTION_CONTROL;

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// Octets of datagrams that may wait to be read.
const DATAGRAM_BUFFER: usize = 4 * 1024 * 1024;

/// The wildcard address of a family, as TPROXY listeners bind it.
pub(super) fn any(v6: bool) -> IpAddr {
    if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// A TCP listener that accepts connections meant for any address.
pub(super) fn tproxy_listener(address: SocketAddr) -> io::Result<TcpListener> {
    let fd = open(address, SockType::Stream)?;
    transparent(&fd, address)?;
    // Accepted connections inherit it.
    setsockopt(&fd, sockopt::TcpCongestion, &OsString::from(CONGESTION_CONTROL))?;
    listen_on(fd, address)
}

/// An ordinary TCP listener.
pub(super) fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let fd = open(address, SockType::Stream)?;
    listen_on(fd, address)
}

/// A UDP socket that receives datagrams meant for any address and learns which it was.
pub(super) fn tproxy_datagrams(address: SocketAddr) -> io::Result<DatagramSocket> {
    let fd = open(address, SockType::Datagram)?;
    transparent(&fd, address)?;
    if address.is_ipv4() {
        setsockopt(&fd, sockopt::Ipv4OrigDstAddr, &true)?;
    } else {
        setsockopt(&fd, sockopt::Ipv6OrigDstAddr, &true)?;
    }
    // The larger buffer needs a capability over the namespace; the default serves as well.
    if setsockopt(&fd, sockopt::RcvBufForce, &DATAGRAM_BUFFER).is_err() {
        setsockopt(&fd, sockopt::RcvBuf, &DATAGRAM_BUFFER)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(DatagramSocket::new(UdpSocket::from(fd)))
}

fn open(address: SocketAddr, kind: SockType) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    Ok(fd)
}

fn listen_on(fd: OwnedFd, address: SocketAddr) -> io::Result<TcpListener> {
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(TcpListener::from(fd))
}

/// Allows a socket to own addresses that are not local (IP_TRANSPARENT, IPV6_TRANSPARENT).
fn transparent(fd: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv4() {
        return Ok(setsockopt(fd, sockopt::IpTransparent, &true)?);
    }
    crate::net::raw::set_flag(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT)
}
