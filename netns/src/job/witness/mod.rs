//! Who in the job uses a socket: a thread of init asks the kernel, and tells the gateway.
//!
//! The gateway gives up all that it would take to look at processes, and is outside the job's PID
//! namespace. Init is in it, and in the job's network and mount namespaces. A process of its own could be
//! killed by a job of the same user, a thread of process 1 cannot. What it reads of processes may be
//! chosen by the job, so every read has a bound.

pub(super) mod arguments;
mod diag;
pub(super) mod lines;
mod pace;
pub(super) mod processes;
mod search;
pub(super) mod urgency;
pub(super) mod wire;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::thread;
use std::time::Instant;

use nix::sys::socket::{MsgFlags, recv, send};
use nix::unistd::gettid;

use super::capabilities;
use diag::Sockets;
use pace::Pace;
use search::{Search, spent};

pub(super) use wire::MAX_MESSAGE;

/// Questions at once of which each gets every attempt.
const FEW: usize = 16;
/// Octets of the thread's stack.
const STACK: usize = 256 * 1024;

/// What carries what is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// A TCP connection.
    Tcp,
    /// A UDP socket.
    Udp,
}

/// Who has a socket of these addresses?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Comes back with the answer.
    pub id: u32,
    /// The socket's protocol.
    pub protocol: Protocol,
    /// The socket's own address.
    pub local: SocketAddr,
    /// Whom it speaks to.
    pub remote: SocketAddr,
}

/// A process of the job. All text is the job's choice, and cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// Its number in the job's PID namespace.
    pub pid: u32,
    /// Where its executable is, as the job sees it (`/proc/PID/exe`); a long path lacks its front.
    pub exe: String,
    /// Its command line, with what looks like a secret masked.
    pub args: Vec<String>,
    /// The executables of its ancestors within the job, the nearest first.
    pub parents: Vec<String>,
}

/// What the witness says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Testimony {
    /// The sockets of these questions are this program's.
    Seen(Vec<u32>, Program),
    /// Nobody was found who has them: closed already, or hidden.
    Unknown(Vec<u32>),
    /// The kernel does not tell who has a socket.
    Blind,
}

/// The gateway's way to the witness.
#[derive(Debug)]
pub struct Witness(OwnedFd);

impl Witness {
    pub(super) fn new(channel: OwnedFd) -> Witness {
        Witness(channel)
    }

    /// Asks, without waiting. Takes as many questions as one message holds, and returns their number.
    ///
    /// # Errors
    /// `WouldBlock` while the witness is behind; anything else when it is gone.
    pub fn ask(&self, questions: &[Question]) -> io::Result<usize> {
        let questions = &questions[..questions.len().min(wire::MAX_QUESTIONS)];
        let message = wire::encode_questions(questions);
        send(self.0.as_raw_fd(), &message, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)?;
        Ok(questions.len())
    }

    /// Reads what it says next; `None` once it is gone.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing yet.
    pub fn hear(&self, buffer: &mut Vec<u8>) -> io::Result<Option<Testimony>> {
        buffer.resize(MAX_MESSAGE, 0);
        match recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)? {
            0 => Ok(None),
            length => wire::decode_testimony(&buffer[..length])
                .map(Some)
                .ok_or_else(|| io::ErrorKind::InvalidData.into()),
        }
    }
}

impl AsRawFd for Witness {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Process 1 of the job, which the witness is a thread of.
pub(super) const INIT: u32 = 1;
/// The witness's own number, as it is started once the command (2) is forked and before that may fork. With another
/// one it does not serve, as the job could set its limits.
pub(super) const THREAD: u32 = 3;

/// Starts the witness in the calling process, which is init in the job's namespaces. Whatever fails leaves
/// the gateway without answers, and the job as it is. The caller's capabilities are
/// [`capabilities::keep_for_witness`]'s.
pub(super) fn start(channel: OwnedFd) {
    let opened = Sockets::open().and_then(|sockets| Ok((sockets, Search::open(&channel)?)));
    let Ok((sockets, search)) = opened else {
        // A gateway that is gone needs no word.
        let _ = send(channel.as_raw_fd(), &wire::encode_testimony(&Testimony::Blind), MsgFlags::MSG_NOSIGNAL);
        return;
    };
    // The thread's end closes the channel.
    let _ = thread::Builder::new().name("witness".to_owned()).stack_size(STACK).spawn(move || {
        urgency::claim();
        if gettid().as_raw() as u32 == THREAD && capabilities::keep_only_witness().is_ok() {
            serve(&channel, sockets, search);
        }
    });
}

fn processors() -> u32 {
    thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

fn serve(channel: &OwnedFd, mut sockets: Sockets, mut search: Search) {
    let tell = |testimony: &Testimony| {
        send(channel.as_raw_fd(), &wire::encode_testimony(testimony), MsgFlags::MSG_NOSIGNAL).is_ok()
    };
    if !sockets.can_tell() && !tell(&Testimony::Blind) {
        return;
    }
    let mut pace = None;
    let mut before = spent();
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        let mut wanted = Vec::new();
        let mut unknown = Vec::new();
        let mut flags = MsgFlags::empty();
        while wanted.len() < wire::MAX_IDS && unknown.len() < wire::MAX_IDS {
            let length = match recv(channel.as_raw_fd(), &mut buffer, flags) {
                Ok(0) => return,
                Ok(length) => length,
                Err(nix::Error::EINTR) => continue,
                Err(nix::Error::EAGAIN) => break,
                Err(_) => return,
            };
            // A socket may be closed while the next one is looked for.
            for question in wire::decode_questions(&buffer[..length]) {
                let thorough = wanted.len() + unknown.len() < FEW;
                match sockets.inode(&question, thorough) {
                    Some(inode) => wanted.push((question.id, inode)),
                    None => unknown.push(question.id),
                }
            }
            flags = MsgFlags::MSG_DONTWAIT;
        }
        let asked = wanted.len() + unknown.len();
        let found = search.find(wanted);
        let mut told =
            found.programs.iter().all(|(ids, program)| tell(&Testimony::Seen(ids.clone(), program.clone())));
        unknown.extend(found.nobodys);
        for ids in unknown.chunks(wire::MAX_IDS) {
            told &= tell(&Testimony::Unknown(ids.to_vec()));
        }
        if !told {
            return;
        }
        let now = spent();
        // A job that nobody asks about ends sooner than its processors are counted.
        let pace = pace.get_or_insert_with(|| Pace::new(processors(), Instant::now()));
        thread::sleep(pace.pause(asked as u32, now.saturating_sub(before), Instant::now()));
        before = now;
    }
}
