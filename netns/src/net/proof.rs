//! The proof that enforcement still works, repeated while the job runs: sockets in the job namespace, opened before
//! the job and held by the gateway, that try what must be denied.
//!
//! They are bound to ports of their own, so that a job that takes every other port cannot keep them from connecting.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, getsockopt, recv, send,
    socket, sockopt,
};

use super::plan::{DNS_PORT, GATEWAY_V4, JOB_V4, JOB_V6, PROBE_NAME, PROBE_V4, PROBE_V6, PROOF_PORT};
use super::setup::Family;

const HTTPS_PORT: u16 = 443;
const TRANSACTION: u16 = 0xc17a;
const NXDOMAIN: u8 = 3;

/// Something that must be denied, and the socket that tries it.
#[derive(Debug)]
pub struct Attempt {
    socket: OwnedFd,
    target: Target,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Name,
    Address(IpAddr),
}

/// Opens the sockets; the calling thread is in the job namespace and may bind low ports there.
pub(super) fn attempts(family: Family) -> io::Result<Vec<Attempt>> {
    let name = open(JOB_V4.into(), SockType::Datagram)?;
    connect(name.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(GATEWAY_V4.into(), DNS_PORT)))?;
    let mut attempts = vec![
        Attempt { socket: name, target: Target::Name },
        Attempt { socket: open(JOB_V4.into(), SockType::Stream)?, target: Target::Address(PROBE_V4.into()) },
    ];
    if family == Family::Both {
        let socket = open(JOB_V6.into(), SockType::Stream)?;
        attempts.push(Attempt { socket, target: Target::Address(PROBE_V6.into()) });
    }
    Ok(attempts)
}

fn open(own: IpAddr, kind: SockType) -> io::Result<OwnedFd> {
    let family = if own.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(own, PROOF_PORT)))?;
    Ok(socket)
}

impl Attempt {
    /// Sends the question, or the first packet of a connection.
    ///
    /// # Errors
    /// The job namespace takes no packet.
    pub fn begin(&self) -> io::Result<()> {
        match self.target {
            Target::Name => {
                send(self.socket.as_raw_fd(), &question(TRANSACTION), MsgFlags::MSG_DONTWAIT)?;
                Ok(())
            }
            Target::Address(address) => {
                self.forget()?;
                let target = SockaddrStorage::from(SocketAddr::new(address, HTTPS_PORT));
                match connect(self.socket.as_raw_fd(), &target) {
                    // What has become of it is told by the read.
                    Ok(()) | Err(nix::Error::EINPROGRESS | nix::Error::ECONNRESET) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// What came of it, once the socket is readable: nothing yet (`WouldBlock`), or a denial as it must be.
    ///
    /// # Errors
    /// It was not denied, or by somebody else than the gateway.
    pub fn outcome(&self) -> io::Result<()> {
        let mut answer = [0; 512];
        let received = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT);
        match (self.target, received) {
            (Target::Name, Ok(length)) if is_denial(&answer[..length]) => Ok(()),
            (Target::Name, Ok(_)) => Err(io::Error::other("the answer is not a denial")),
            // A handshake that is refused is another error.
            (Target::Address(_), Err(nix::Error::ECONNRESET)) => Ok(()),
            (Target::Address(_), Ok(_)) => Err(io::Error::other("the connection was not reset")),
            (_, Err(error)) => Err(error.into()),
        }
    }

    /// Takes a connected socket back to where it can connect again (connect(2), AF_UNSPEC).
    fn forget(&self) -> io::Result<()> {
        let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
        // SAFETY: the pointer and the length describe one live sockaddr, which the kernel only reads.
        let result = unsafe {
            libc::connect(
                self.socket.as_raw_fd(),
                &raw const nowhere,
                size_of::<libc::sockaddr>() as libc::socklen_t,
            )
        };
        nix::errno::Errno::result(result)?;
        // A connection that is given up leaves a reset behind, which must not be taken for the next one's.
        getsockopt(&self.socket, sockopt::SocketError)?;
        Ok(())
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target {
            Target::Name => f.write_str(PROBE_NAME),
            Target::Address(address) => write!(f, "{address}"),
        }
    }
}

impl AsRawFd for &Attempt {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_fd().as_raw_fd()
    }
}

/// A question for the probe name's address (RFC 1035 section 4.1).
pub(crate) fn question(transaction: u16) -> Vec<u8> {
    let mut bytes = transaction.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in PROBE_NAME.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// Whether these bytes answer a [`question`] with NXDOMAIN.
pub(crate) fn is_denial(answer: &[u8]) -> bool {
    matches!(answer, [_, _, flags, code, ..] if flags & 0x80 != 0 && code & 0x0f == NXDOMAIN)
}
