//! UDP flows: one upstream socket for each pair of the job's address and the original destination.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netns::net::RawSender;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::Upload;
use crate::counters::Counters;
use crate::packet;
use crate::scratch::Scratch;

/// Octets in the largest datagram.
const MAX_DATAGRAM: usize = 65_535;
/// An idle flow holds no buffer.
static DATAGRAM: Scratch<MAX_DATAGRAM> = Scratch::new();

/// Datagrams of a flow that may wait for its upstream address.
const MAX_WAITING: usize = 64;

/// The job's address and whom it sends to.
pub type Pair = (SocketAddr, SocketAddr);

/// What it takes to relay a flow.
#[derive(Debug)]
pub struct Way<'a> {
    /// Whose datagrams these are, and whom the answers seem to come from.
    pub pair: Pair,
    /// Where they go.
    pub upstream: SocketAddr,
    /// How long it may be silent.
    pub idle: Duration,
    /// Sends the answers.
    pub raw: &'a RawSender,
    /// What is carried is counted here.
    pub counters: Arc<Counters>,
}

/// The flows of a run.
#[derive(Debug, Clone, Default)]
pub struct Flows(Arc<Mutex<HashMap<Pair, Flow>>>);

#[derive(Debug)]
enum Flow {
    /// The upstream address is still being resolved; these datagrams wait, and the end of the run for them.
    Opening(Vec<Vec<u8>>, Upload),
    Open {
        upstream: Arc<UdpSocket>,
        shared: Arc<Shared>,
    },
}

#[derive(Debug)]
struct Shared {
    counters: Arc<Counters>,
    last: Mutex<Instant>,
    /// Upstream refused a datagram, as the kernel told whoever sent the next one.
    refused: Notify,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It belongs to a flow, and was sent or waits.
    Relayed,
    /// There is no such flow.
    NoFlow,
}

impl Flows {
    /// Sends a datagram of a flow that exists.
    pub fn send(&self, pair: Pair, payload: &[u8]) -> Sent {
        let mut flows = self.lock();
        match flows.get_mut(&pair) {
            None => Sent::NoFlow,
            Some(Flow::Opening(waiting, _)) => {
                if waiting.len() < MAX_WAITING {
                    waiting.push(payload.to_vec());
                }
                Sent::Relayed
            }
            Some(Flow::Open { upstream, shared }) => {
                forward(upstream, shared, payload);
                Sent::Relayed
            }
        }
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins a flow with its first datagram; [`Flows::run`] or [`Flows::forget`] must follow.
    pub fn begin(&self, pair: Pair, payload: &[u8], upload: Upload) {
        self.lock().insert(pair, Flow::Opening(vec![payload.to_vec()], upload));
    }

    /// Gives up a flow.
    pub fn forget(&self, pair: Pair) {
        self.lock().remove(&pair);
    }

    /// Relays a flow until it was idle; the job sees the answers come from the address that it sent to, once
    /// `answer` is done. `refused` is called when upstream refuses a datagram; the flow goes on, as somebody may
    /// listen there later.
    ///
    /// # Errors
    /// No socket could be opened.
    pub async fn run(
        &self,
        way: Way<'_>,
        answer: impl Future<Output = ()>,
        refused: impl FnMut(),
    ) -> io::Result<()> {
        let pair = way.pair;
        let result = self.relay(way, answer, refused).await;
        self.forget(pair);
        result
    }

    async fn relay(
        &self,
        way: Way<'_>,
        answer: impl Future<Output = ()>,
        mut refused: impl FnMut(),
    ) -> io::Result<()> {
        let Way { pair, upstream, idle, raw, counters } = way;
        let any: IpAddr =
            if upstream.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = Arc::new(UdpSocket::bind((any, 0)).await?);
        socket.connect(upstream).await?;
        // Until the event loop has seen the socket writable, `try_send` sends nothing.
        socket.writable().await?;
        let shared = Arc::new(Shared { counters, last: Mutex::new(Instant::now()), refused: Notify::new() });
        self.open(pair, &socket, &shared);
        answer.await;
        let (job, server) = pair;
        loop {
            let ready = tokio::select! {
                ready = tokio::time::timeout(idle, socket.ready(Interest::READABLE | Interest::ERROR)) => ready,
                () = shared.refused.notified() => {
                    refused();
                    continue;
                }
            };
            let Ok(ready) = ready else {
                if shared.idle_since() >= idle {
                    return Ok(());
                }
                continue;
            };
            let heard = if ready?.is_error() { take_error(&socket) } else { Ok(()) };
            let received = heard.and_then(|()| {
                DATAGRAM.with(|buffer| {
                    let length = socket.try_recv(buffer)?;
                    // The job's queue may be full, as anywhere on a network.
                    let _ = raw.send(&packet::udp(server, job, &buffer[..length]), job);
                    Ok(length)
                })
            });
            match received {
                Ok(length) => {
                    shared.counters.add_down(length);
                    shared.touch();
                }
                Err(error) => match io::Error::kind(&error) {
                    io::ErrorKind::WouldBlock => {}
                    io::ErrorKind::ConnectionRefused => refused(),
                    _ => return Err(error),
                },
            }
        }
    }

    fn open(&self, pair: Pair, socket: &Arc<UdpSocket>, shared: &Arc<Shared>) {
        let mut flows = self.lock();
        let open = Flow::Open { upstream: socket.clone(), shared: shared.clone() };
        if let Some(Flow::Opening(waiting, _upload)) = flows.insert(pair, open) {
            for payload in waiting {
                forward(socket, shared, &payload);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pair, Flow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle_since(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// Takes the error that the socket has, unless a sender was told of it; then another is waited for. Other errors than
/// refusals are those of lost datagrams: the kernel cuts the next ones as small as the way needs them.
fn take_error(socket: &UdpSocket) -> io::Result<()> {
    let error = socket.take_error()?;
    // Readiness is cleared by what would block.
    let _ = socket.try_io(Interest::ERROR, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    match error {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(error),
        _ => Ok(()),
    }
}

fn forward(upstream: &UdpSocket, shared: &Shared, payload: &[u8]) {
    shared.touch();
    let sent = upstream.try_send(payload).or_else(|error| match error.kind() {
        // A full queue loses datagrams, as anywhere on a network.
        io::ErrorKind::WouldBlock => Err(error),
        // Told of an earlier datagram; this one was not sent.
        kind => {
            if kind == io::ErrorKind::ConnectionRefused {
                shared.refused.notify_one();
            }
            upstream.try_send(payload)
        }
    });
    if sent.is_ok() {
        shared.counters.add_up(payload.len());
    }
}
