//! Reads the first bytes of a connection until they tell what it speaks.

use std::io;
use std::time::Duration;

use bytes::BufMut;
use policy::Limits;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::sniff::{Protocol, Sniff, Sniffer};

/// What the first bytes told, with the bytes themselves: they belong to the other side.
pub(super) enum Sniffed {
    /// This protocol.
    Protocol(Protocol, Vec<u8>),
    /// Almost TLS or HTTP, and this is wrong.
    Malformed(&'static str, Vec<u8>),
    /// Nothing more came within the patience, and what came does not tell.
    Quiet(Vec<u8>),
    /// The job has ended its side, and what came does not tell: it is all there will ever be.
    Ended(Vec<u8>),
    /// The job broke the connection.
    Broken,
    /// Too many bytes, or too slow.
    Limit(&'static str, Vec<u8>),
}

/// How long the job is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the first byte.
    pub(super) first: Duration,
    /// For each further byte; without it only the whole time counts.
    pub(super) pause: Option<Duration>,
}

/// Octets that room is made for; most first flights fit.
const FIRST_READ: usize = 2048;

/// Sniffs, beginning with what was already received, of which the sniffer may have seen a part.
pub(super) async fn sniff(
    stream: &TcpStream,
    sniffer: &mut Sniffer,
    mut received: Vec<u8>,
    limits: &Limits,
    patience: Patience,
) -> Sniffed {
    if !received.is_empty()
        && let Some(sniffed) = look(sniffer, &mut received)
    {
        return sniffed;
    }
    let mut whole = (!received.is_empty()).then(|| Instant::now() + limits.sniff_timeout);
    loop {
        if received.len() >= limits.sniff_bytes {
            return Sniffed::Limit("too many bytes before it was clear what is spoken", received);
        }
        let now = Instant::now();
        let pause = if received.is_empty() { Some(patience.first) } else { patience.pause };
        let deadline = match (pause.map(|pause| now + pause), whole) {
            (Some(pause), Some(whole)) => pause.min(whole),
            (Some(deadline), None) | (None, Some(deadline)) => deadline,
            (None, None) => now + limits.sniff_timeout,
        };
        match timeout_at(deadline, read_more(stream, &mut received, limits.sniff_bytes)).await {
            Err(_) if whole.is_some_and(|whole| whole <= deadline) => {
                return Sniffed::Limit("too slow in telling what is spoken", received);
            }
            Err(_) => return Sniffed::Quiet(received),
            Ok(Err(_)) => return Sniffed::Broken,
            Ok(Ok(0)) => return Sniffed::Ended(received),
            Ok(Ok(_)) => {}
        }
        whole.get_or_insert_with(|| Instant::now() + limits.sniff_timeout);
        if let Some(sniffed) = look(sniffer, &mut received) {
            return sniffed;
        }
    }
}

/// Reads once what is there; the room is made only then, so that a silent job costs none.
async fn read_more(stream: &TcpStream, received: &mut Vec<u8>, bound: usize) -> io::Result<usize> {
    let room = bound - received.len();
    loop {
        stream.readable().await?;
        received.reserve(FIRST_READ.min(room));
        match stream.try_read_buf(&mut (&mut *received).limit(room)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

fn look(sniffer: &mut Sniffer, received: &mut Vec<u8>) -> Option<Sniffed> {
    match sniffer.read(received) {
        Sniff::Complete(protocol) => Some(Sniffed::Protocol(protocol, std::mem::take(received))),
        Sniff::Malformed(why) => Some(Sniffed::Malformed(why, std::mem::take(received))),
        Sniff::Incomplete => None,
    }
}
