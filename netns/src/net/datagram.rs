//! Datagrams together with the address that they were meant for.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
};

/// A non-blocking UDP socket in the gateway namespace that receives by TPROXY.
#[derive(Debug)]
pub struct DatagramSocket(UdpSocket);

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapturedDatagram {
    /// Octets written to the caller's buffer.
    pub length: usize,
    /// Who sent it.
    pub peer: SocketAddr,
    /// Whom the sender meant (IP_RECVORIGDSTADDR, IPV6_RECVORIGDSTADDR).
    pub original_dst: SocketAddr,
}

impl DatagramSocket {
    pub(super) fn new(socket: UdpSocket) -> DatagramSocket {
        DatagramSocket(socket)
    }

    /// Reads one datagram; `WouldBlock` when there is none. A datagram longer than the buffer is
    /// cut.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<CapturedDatagram> {
        let mut control = nix::cmsg_space!(libc::sockaddr_in6);
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(
            self.0.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let peer = message.address.as_ref().and_then(socket_address);
        let original_dst = message.cmsgs()?.find_map(|part| match part {
            ControlMessageOwned::Ipv4OrigDstAddr(address) => {
                Some(SocketAddr::V4(SocketAddrV4::from(SockaddrIn::from(address))))
            }
            ControlMessageOwned::Ipv6OrigDstAddr(address) => {
                Some(SocketAddr::V6(SocketAddrV6::from(SockaddrIn6::from(address))))
            }
            _ => None,
        });
        match (peer, original_dst) {
            (Some(peer), Some(original_dst)) => {
                Ok(CapturedDatagram { length: message.bytes, peer, original_dst })
            }
            _ => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "a datagram without its original destination"))
            }
        }
    }

    /// Sends `payload` to `peer` as if from `source`'s address. The source port is the socket's own,
    /// so this serves only a socket that sits on the port it answers for.
    pub fn send_from(&self, payload: &[u8], source: IpAddr, peer: SocketAddr) -> io::Result<usize> {
        let parts = [IoSlice::new(payload)];
        let to = SockaddrStorage::from(peer);
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = match source {
            IpAddr::V4(source) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(source.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                sendmsg(
                    self.0.as_raw_fd(),
                    &parts,
                    &[ControlMessage::Ipv4PacketInfo(&info)],
                    flags,
                    Some(&to),
                )
            }
            IpAddr::V6(source) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
                    ipi6_ifindex: 0,
                };
                sendmsg(
                    self.0.as_raw_fd(),
                    &parts,
                    &[ControlMessage::Ipv6PacketInfo(&info)],
                    flags,
                    Some(&to),
                )
            }
        };
        Ok(sent?)
    }
}

impl AsRawFd for DatagramSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()))
}
