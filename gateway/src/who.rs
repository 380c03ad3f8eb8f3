//! Asks the witness in the job which program has a socket, and brings its answers to who waits.
//!
//! Asking costs a message, and nothing here waits: an event carries an [`Origin`], for which the log's
//! writer waits.

mod patience;

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use netns::job::{Protocol, Question, Testimony, Witness};
use tokio::io::unix::AsyncFd;

use crate::audit::{Audit, Origin};

use patience::Patience;

/// Questions that may be under way; further ones are not asked.
const UNDER_WAY: usize = 4096;
/// Questions in one message under load.
const MESSAGE: usize = 32;
/// Answers that are read before others have their turn.
const TURN: usize = 64;
const BLIND: &str = "the kernel does not tell whose a socket is, so the log does not name programs: sudo modprobe -a tcp_diag udp_diag";

/// The socket that is asked about.
type Subject = (Protocol, SocketAddr, SocketAddr);

/// The way to ask; cheap to clone.
#[derive(Debug, Clone)]
pub struct Who {
    /// `None` if nobody reads the answers.
    shared: Option<Arc<Shared>>,
    audit: Audit,
}

#[derive(Debug)]
struct Shared {
    witness: AsyncFd<Witness>,
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    next: u32,
    waiting: HashMap<u32, Origin>,
    last: Option<(Subject, Origin)>,
    patience: Patience,
    /// Questions that the witness has no room for yet.
    unsent: VecDeque<Question>,
    /// Nobody answers any more.
    over: bool,
}

impl Who {
    /// Asks this witness, unless nobody reads the log and no verdict is `needy` of its answers.
    ///
    /// # Errors
    /// The event loop takes no more descriptors.
    pub fn new(witness: Witness, audit: Audit, needy: bool) -> std::io::Result<Who> {
        if audit.is_silent() && !needy {
            return Ok(Who { shared: None, audit });
        }
        let shared = Shared { witness: netns::watch(witness)?, asked: Mutex::default() };
        Ok(Who { shared: Some(Arc::new(shared)), audit })
    }

    /// Asks whose the connection between these addresses is; `None` if nobody can be asked.
    pub fn connected(&self, local: SocketAddr, remote: SocketAddr) -> Option<Origin> {
        self.ask(Protocol::Tcp, local, remote)
    }

    /// Asks who sent a datagram.
    pub fn sent(&self, local: SocketAddr, remote: SocketAddr) -> Option<Origin> {
        self.ask(Protocol::Udp, local, remote)
    }

    fn ask(&self, protocol: Protocol, local: SocketAddr, remote: SocketAddr) -> Option<Origin> {
        let shared = self.shared.as_ref()?;
        let mut asked = shared.lock();
        if asked.over || asked.waiting.len() >= UNDER_WAY {
            return None;
        }
        let subject = (protocol, plain(local), plain(remote));
        // A resolver asks for both kinds of addresses at once, by one socket.
        if let Some((last, origin)) = &asked.last
            && *last == subject
            && !origin.is_settled()
        {
            return Some(origin.clone());
        }
        let now = Instant::now();
        let id = asked.next;
        let origin = Origin::new(now, asked.patience.asked(id, now));
        asked.next = id.wrapping_add(1);
        asked.waiting.insert(id, origin.clone());
        asked.last = Some((subject, origin.clone()));
        // Under load a message has many: the answers to those that are under way bring the rest on its way.
        let is_full = asked.unsent.len() + 1 >= MESSAGE;
        let is_idle = asked.waiting.len() <= asked.unsent.len() + MESSAGE;
        asked.unsent.push_back(Question { id, protocol, local: subject.1, remote: subject.2 });
        if is_idle || is_full {
            shared.send(&mut asked);
        }
        Some(origin)
    }

    /// Reads answers for as long as the run lasts.
    pub async fn serve(&self) {
        let Some(shared) = &self.shared else { return std::future::pending().await };
        loop {
            let Ok(mut ready) = shared.witness.readable().await else { return self.finish() };
            match ready.try_io(|_| shared.hear(&self.audit, TURN)) {
                Ok(Err(_)) => return self.finish(),
                // A job that floods the gateway keeps nobody else from their turn.
                Ok(Ok(())) => tokio::task::yield_now().await,
                Err(_) => {}
            }
        }
    }

    /// Reads the answers that are there, and lets nobody wait for others.
    pub fn finish(&self) {
        let Some(shared) = &self.shared else { return };
        // At the latest the end of the witness ends this.
        while shared.hear(&self.audit, TURN).is_ok() {}
        let mut asked = shared.lock();
        asked.over = true;
        asked.unsent.clear();
        for (_, origin) in asked.waiting.drain() {
            origin.settle(None);
        }
    }
}

impl Shared {
    /// Reads up to so many answers.
    fn hear(&self, audit: &Audit, turn: usize) -> std::io::Result<()> {
        let mut buffer = Vec::new();
        for _ in 0..turn {
            match self.witness.get_ref().hear(&mut buffer) {
                Ok(Some(Testimony::Seen(ids, program))) => {
                    let program = Arc::new(program);
                    self.settle(&ids, |origin| origin.settle(Some(program.clone())));
                }
                Ok(Some(Testimony::Unknown(ids))) => self.settle(&ids, |origin| origin.settle(None)),
                Ok(Some(Testimony::Blind)) => audit.notice(BLIND),
                Ok(None) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn settle(&self, ids: &[u32], settle: impl Fn(&Origin)) {
        let mut asked = self.lock();
        let now = Instant::now();
        for id in ids {
            if let Some(origin) = asked.waiting.remove(id) {
                asked.patience.answered(*id, origin.waited(now), now);
                settle(&origin);
            }
        }
        self.send(&mut asked);
    }

    /// Sends what the witness has room for.
    fn send(&self, asked: &mut Asked) {
        while !asked.unsent.is_empty() {
            match self.witness.get_ref().ask(asked.unsent.make_contiguous()) {
                Ok(sent) => drop(asked.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Its end is read as well, and settles all.
                Err(_) => asked.unsent.clear(),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without IPv4 in the clothes of IPv6.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
