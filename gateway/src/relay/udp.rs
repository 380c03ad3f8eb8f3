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
use crate::turn::Turn;

/// Octets in the largest datagram.
const MAX_DATAGRAM: usize = 65_535;
/// An idle flow holds no buffer.
static DATAGRAM: Scratch<MAX_DATAGRAM> = Scratch::new();

/// Datagrams of a flow that may wait for its upstream address, and octets of all flows.
const MAX_WAITING: usize = 64;
const MAX_OCTETS: usize = 4 * 1024 * 1024;

/// The job's address and whom it sends to.
pub type Pair = (SocketAddr, SocketAddr);

/// The flows of a run.
#[derive(Debug, Clone, Default)]
pub struct Flows(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    flows: HashMap<Pair, Flow>,
    /// Octets that wait in them.
    waiting: usize,
}

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
    /// What a sender was told, by which the flow ends.
    failed: Mutex<Option<io::Error>>,
    told: Notify,
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
        let mut table = self.lock();
        let Table { flows, waiting } = &mut *table;
        match flows.get_mut(&pair) {
            None => return Sent::NoFlow,
            Some(Flow::Opening(datagrams, _)) => keep(datagrams, waiting, payload),
            Some(Flow::Open { upstream, shared }) => forward(upstream, shared, payload),
        }
        Sent::Relayed
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.lock().flows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins a flow with its first datagram; [`Flows::run`] or [`Flows::forget`] must follow.
    pub fn begin(&self, pair: Pair, payload: &[u8], upload: Upload) {
        let mut table = self.lock();
        let mut datagrams = Vec::new();
        keep(&mut datagrams, &mut table.waiting, payload);
        table.flows.insert(pair, Flow::Opening(datagrams, upload));
    }

    /// Gives up a flow.
    pub fn forget(&self, pair: Pair) {
        let mut table = self.lock();
        let flow = table.flows.remove(&pair);
        table.no_longer_waiting(flow);
    }

    /// Relays a flow to `upstream` until it was idle for `idle`; the job sees the answers come from
    /// the address that it sent to, once `answer` is done.
    ///
    /// # Errors
    /// No socket could be opened, or the way is closed: upstream refused a datagram, or a host on the way, or this one.
    pub async fn run(
        &self,
        pair: Pair,
        upstream: SocketAddr,
        raw: &RawSender,
        counters: Arc<Counters>,
        idle: Duration,
        answer: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let result = self.relay(pair, upstream, raw, counters, idle, answer).await;
        self.forget(pair);
        result
    }

    async fn relay(
        &self,
        pair: Pair,
        upstream: SocketAddr,
        raw: &RawSender,
        counters: Arc<Counters>,
        idle: Duration,
        answer: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let socket = match connected(upstream).await {
            Ok(socket) => Arc::new(socket),
            Err(error) => {
                answer.await;
                return Err(error);
            }
        };
        let shared = Arc::new(Shared {
            counters,
            last: Mutex::new(Instant::now()),
            failed: Mutex::default(),
            told: Notify::new(),
        });
        self.open(pair, &socket, &shared);
        answer.await;
        let hand_on = || hand_on(&socket, &shared, raw, pair);
        let mut turn = Turn::default();
        loop {
            let ready = tokio::select! {
                ready = tokio::time::timeout(idle, socket.ready(Interest::READABLE | Interest::ERROR)) => ready,
                error = shared.failed() => {
                    hand_on_all(hand_on);
                    return Err(error);
                }
            };
            let result = match ready {
                Ok(Ok(ready)) if ready.is_error() => take_error(&socket),
                Ok(ready) => ready.and_then(|_| hand_on()),
                Err(_) if shared.idle_since() >= idle => return Ok(()),
                Err(_) => Ok(()),
            };
            match result {
                Err(error) if !is_loss(&error) => {
                    hand_on_all(hand_on);
                    return Err(error);
                }
                _ => turn.step(0).await,
            }
        }
    }

    fn open(&self, pair: Pair, socket: &Arc<UdpSocket>, shared: &Arc<Shared>) {
        let mut table = self.lock();
        let open = Flow::Open { upstream: socket.clone(), shared: shared.clone() };
        let opening = table.flows.insert(pair, open);
        if let Some((datagrams, _upload)) = table.no_longer_waiting(opening) {
            for payload in datagrams {
                forward(socket, shared, &payload);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// What waited in a flow that is not in the table any more.
    fn no_longer_waiting(&mut self, flow: Option<Flow>) -> Option<(Vec<Vec<u8>>, Upload)> {
        let Some(Flow::Opening(datagrams, upload)) = flow else { return None };
        self.waiting -= datagrams.iter().map(Vec::len).sum::<usize>();
        Some((datagrams, upload))
    }
}

/// Lets a datagram wait if there is room: a full queue loses datagrams, as anywhere on a network.
fn keep(datagrams: &mut Vec<Vec<u8>>, waiting: &mut usize, payload: &[u8]) {
    if datagrams.len() < MAX_WAITING && *waiting + payload.len() <= MAX_OCTETS {
        *waiting += payload.len();
        datagrams.push(payload.to_vec());
    }
}

impl Shared {
    fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Waits until a sender was told of an error, which the kernel tells once.
    async fn failed(&self) -> io::Error {
        loop {
            self.told.notified().await;
            if let Some(error) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return error;
            }
        }
    }

    fn idle_since(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

async fn connected(upstream: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if upstream.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(upstream).await?;
    // Until the event loop has seen the socket writable, `try_send` sends nothing.
    socket.writable().await?;
    Ok(socket)
}

/// Hands one answer on to the job.
fn hand_on(socket: &UdpSocket, shared: &Shared, raw: &RawSender, (job, server): Pair) -> io::Result<()> {
    let length = DATAGRAM.with(|buffer| {
        let length = socket.try_recv(buffer)?;
        // The job's queue may be full, as anywhere on a network.
        let _ = raw.send(&packet::udp(server, job, &buffer[..length]), job);
        Ok::<_, io::Error>(length)
    })?;
    shared.counters.add_down(length);
    shared.touch();
    Ok(())
}

/// What came before the end.
fn hand_on_all(hand_on: impl Fn() -> io::Result<()>) {
    for _ in 0..MAX_WAITING {
        if hand_on().is_err() {
            return;
        }
    }
}

/// The error that the socket has, unless a sender was told of it; then another is waited for.
fn take_error(socket: &UdpSocket) -> io::Result<()> {
    let error = socket.take_error()?;
    // Readiness is cleared by what would block.
    let _ = socket.try_io(Interest::ERROR, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    error.map_or(Ok(()), Err)
}

/// Whether an error means no more than that a datagram is lost, as anywhere on a network: a queue is full, or the way
/// takes only smaller ones, and the kernel cuts the next ones. The numbers are those of Linux, on all architectures that
/// this runs on.
fn is_loss(error: &io::Error) -> bool {
    const EMSGSIZE: i32 = 90;
    const ENOBUFS: i32 = 105;
    error.kind() == io::ErrorKind::WouldBlock || matches!(error.raw_os_error(), Some(EMSGSIZE | ENOBUFS))
}

fn forward(upstream: &UdpSocket, shared: &Shared, payload: &[u8]) {
    shared.touch();
    // The first error may be about an earlier datagram, and this one was not sent then.
    let mut first = None;
    let sent = upstream.try_send(payload).or_else(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            return Err(error);
        }
        first = Some(error);
        upstream.try_send(payload)
    });
    if sent.is_ok() {
        shared.counters.add_up(payload.len());
    }
    let failed = sent.err().into_iter().chain(first).find(|error| !is_loss(error));
    if let Some(error) = failed {
        *shared.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        shared.told.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_comes_free() {
        let flows = Flows::default();
        let uploads = crate::relay::Uploads::default();
        let pair = |port| (SocketAddr::from(([192, 0, 0, 2], port)), SocketAddr::from(([192, 0, 2, 1], 9)));
        let waiting = || flows.lock().waiting;
        for port in 0..200 {
            flows.begin(pair(port), &[0; 60_000], uploads.begin());
            for _ in 0..100 {
                assert_eq!(flows.send(pair(port), &[0; 60_000]), Sent::Relayed);
            }
        }
        assert!((MAX_OCTETS - 60_000..=MAX_OCTETS).contains(&waiting()), "{}", waiting());
        (0..200).for_each(|port| flows.forget(pair(port)));
        assert_eq!((flows.len(), waiting()), (0, 0));
        flows.begin(pair(1), &[0; 10], uploads.begin());
        (0..100).for_each(|_| assert_eq!(flows.send(pair(1), &[0; 10]), Sent::Relayed));
        assert_eq!(waiting(), MAX_WAITING * 10);
    }
}
