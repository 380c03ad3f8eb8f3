//! Packets towards the job that carry an address the gateway does not own: UDP replies and ICMP
//! errors, sent as they are built.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, sendto};

/// Sends whole IP packets into the gateway namespace. Opened there; needs no thread to stay.
#[derive(Debug)]
pub struct RawSender {
    v4: OwnedFd,
    v6: Option<OwnedFd>,
}

impl RawSender {
    pub(super) fn open(v6: bool) -> io::Result<RawSender> {
        // IPPROTO_RAW implies IP_HDRINCL (raw(7)); IPv6 has a flag of its own.
        let v4 = raw_socket(AddressFamily::Inet)?;
        let v6 = if v6 {
            let fd = raw_socket(AddressFamily::Inet6)?;
            set_flag(std::os::fd::AsFd::as_fd(&fd), libc::IPPROTO_IPV6, libc::IPV6_HDRINCL)?;
            Some(fd)
        } else {
            None
        };
        Ok(RawSender { v4, v6 })
    }

    /// Sends one packet that starts with its IP header to `job`, of the same family.
    pub fn send(&self, packet: &[u8], job: SocketAddr) -> io::Result<()> {
        let fd = match (job, &self.v6) {
            (SocketAddr::V4(_), _) => &self.v4,
            (SocketAddr::V6(_), Some(fd)) => fd,
            (SocketAddr::V6(_), None) => return Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        // The port means a protocol number here and must be zero.
        let to = SockaddrStorage::from(SocketAddr::new(job.ip(), 0));
        sendto(fd.as_raw_fd(), packet, &to, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}

fn raw_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(nix::sys::socket::socket(family, SockType::Raw, flags, nix::sys::socket::SockProtocol::Raw)?)
}

/// Sets an integer socket option to one, for options that nix does not name.
pub(super) fn set_flag(fd: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let one: libc::c_int = 1;
    // SAFETY: the pointer and the length describe one live c_int, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const one).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
