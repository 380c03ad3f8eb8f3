//! Sockets at addresses that the internet namespace has by route only.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

const BACKLOG: i32 = 4096;

pub(crate) fn tcp_listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address, Type::STREAM, Protocol::TCP)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

pub(crate) fn udp_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::from_std(bound(address, Type::DGRAM, Protocol::UDP)?.into())
}

/// Transparent, which lets it have any address and take packets that a TPROXY rule gives it.
pub(crate) fn bound(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), Some(protocol))?;
    socket.set_reuse_address(true)?;
    match address.ip() {
        IpAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
        IpAddr::V6(_) => {
            socket.set_only_v6(true)?;
            set_transparent_v6(&socket)?;
        }
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn set_transparent_v6(socket: &Socket) -> io::Result<()> {
    set_flag(socket, libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT)
}

/// Asks for each datagram's original destination.
pub(crate) fn receive_original_destination(socket: &Socket, address: IpAddr) -> io::Result<()> {
    match address {
        IpAddr::V4(_) => set_flag(socket, libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR),
        IpAddr::V6(_) => set_flag(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVORIGDSTADDR),
    }
}

fn set_flag(socket: &Socket, level: i32, option: i32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open for the call and the value is as long as its length says.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), size_of_val(&on) as u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
