//! Who is at the other end of a UNIX socket, as the kernel tells it (unix(7), SO_PEERCRED).

use std::fs;
use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Uid, seteuid};

/// What the kernel shows in the place of a user that has no number here, unless it is told otherwise.
const OVERFLOW: u32 = 65534;

/// The process that connected a socket, or that listens on it: at that time, and as it is numbered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Zero if it has no number in this PID namespace.
    pub pid: i32,
    /// Its effective user.
    pub uid: Uid,
}

/// Who is at the other end.
///
/// # Errors
/// It is no UNIX socket.
pub fn peer(socket: impl AsFd) -> io::Result<Peer> {
    let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok(Peer { pid: credentials.pid(), uid: Uid::from_raw(credentials.uid()) })
}

/// The calling user, unless everybody whom this user namespace does not know has the same number
/// (user_namespaces(7), `/proc/sys/kernel/overflowuid`).
pub fn distinct_user() -> Option<Uid> {
    let told = fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    let overflow = told.and_then(|text| text.trim().parse().ok()).unwrap_or(OVERFLOW);
    Some(Uid::current()).filter(|uid| ![overflow, OVERFLOW].contains(&uid.as_raw()))
}

/// Does something as this user, as far as the other end of a socket can tell by it.
///
/// # Errors
/// The caller may not be that user, or `action` failed.
pub fn as_user<T>(uid: Uid, action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let before = Uid::effective();
    if uid == before {
        return action();
    }
    seteuid(uid)?;
    let result = action();
    // Its real and its saved user are what they were, so that it can become its own again.
    seteuid(before)?;
    result
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_other_end_is_known() {
        let (one, _other) = UnixStream::pair().unwrap();
        let own = Peer { pid: std::process::id() as i32, uid: Uid::current() };
        assert_eq!(peer(&one).unwrap(), own);
        assert!(peer(fs::File::open("/dev/null").unwrap()).is_err());
    }
}
