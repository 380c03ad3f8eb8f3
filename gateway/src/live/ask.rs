//! Asks a run what it does.

use std::fs;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use netns::job::Uid;
use socket2::{Domain, SockAddr, Socket, Type};

use super::name::{RunName, listening};
use super::snapshot::Snapshot;

/// How long a run may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Octets of an answer: several times what one can have.
const LONGEST: usize = 4 << 20;

/// A run that does not tell what it does.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens any more.
    #[error("the run has ended")]
    Ended,
    /// Somebody else listens at its name.
    #[error(
        "process {pid} of user {uid} answers in the name of another run; nothing that it says is believed"
    )]
    Impostor {
        /// Who it is.
        pid: i32,
        /// Whose.
        uid: u32,
    },
    /// It answers whose it is, and root.
    #[error("the run is another user's, or too busy to answer")]
    Refused,
    /// It takes too long, says too much, or the connection broke.
    #[error("asking the run what it does")]
    Io(#[from] io::Error),
    /// It is not understood.
    #[error("the run's answer is none; is it of another version of cijail-net?")]
    Unreadable(#[source] serde_json::Error),
}

/// The names at which runs answer in this network namespace, of all users. Who listens is not known by them.
///
/// # Errors
/// The kernel's table cannot be read.
pub fn names() -> io::Result<Vec<RunName>> {
    // Others may use any bytes in their names.
    fs::read("/proc/net/unix").map(|table| listening(&String::from_utf8_lossy(&table)))
}

/// What this run does.
///
/// # Errors
/// It has ended, will not say, or is not who it is taken for.
pub fn ask(name: &RunName) -> Result<Snapshot, AskError> {
    let mut socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Also bounds how long a full queue is waited for (unix(7), connect(2)).
    socket.set_write_timeout(Some(PATIENCE))?;
    let address = SockAddr::unix(format!("\0{name}"))?;
    // A run knows its own user, and in a user namespace nobody else, so that root asks as that user.
    let own = Uid::effective();
    let uid = if own.is_root() { Uid::from_raw(name.uid) } else { own };
    netns::as_user(uid, || socket.connect(&address)).map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => AskError::Ended,
        _ => AskError::Io(error),
    })?;
    let peer = netns::peer(&socket)?;
    if (peer.pid, peer.uid.as_raw()) != (name.pid as i32, name.uid) {
        return Err(AskError::Impostor { pid: peer.pid, uid: peer.uid.as_raw() });
    }
    let text = read(&mut socket).map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionReset => AskError::Ended,
        _ => AskError::Io(error),
    })?;
    match serde_json::from_slice(&text) {
        Ok(snapshot) => Ok(snapshot),
        Err(_) if text.is_empty() => Err(AskError::Refused),
        // Cut off: it ended while it answered.
        Err(error) if error.is_eof() => Err(AskError::Ended),
        Err(error) => Err(AskError::Unreadable(error)),
    }
}

/// Everything up to the end, within a time and a size.
fn read(socket: &mut Socket) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    let mut text = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if text.len() > LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        socket.set_read_timeout(Some(left))?;
        match socket.read(&mut buffer)? {
            0 => return Ok(text),
            length => text.extend_from_slice(&buffer[..length]),
        }
    }
}
