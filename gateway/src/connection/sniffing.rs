//! Reads the first bytes of a connection until they tell what it speaks.

use std::io;
use std::time::Duration;

use policy::Limits;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::sniff::{Protocol, Sniff, Sniffer};

/// What the first bytes told, with the bytes themselves: they belong to the other side.
pub(super) enum Sniffed {
    /// This protocol.
    Protocol(Protocol, Vec<u8>),
    /// Almost TLS or HTTP, and this is wrong.
    Malformed(&'static str, Vec<u8>),
    /// Not one byte within the patience.
    Silent,
    /// The job ended or broke the connection before it was clear.
    Ended,
    /// Too many bytes, or too slow.
    Limit(&'static str),
}

/// Octets of the first read; most first flights fit.
const FIRST_READ: usize = 2048;

/// Sniffs, beginning with what was already received. `patience` is for the first byte alone.
pub(super) async fn sniff(
    stream: &mut TcpStream,
    mut received: Vec<u8>,
    limits: &Limits,
    patience: Duration,
) -> Sniffed {
    let mut sniffer = Sniffer::default();
    let mut deadline = Instant::now() + patience;
    if !received.is_empty() {
        deadline = Instant::now() + limits.sniff_timeout;
        if let Some(sniffed) = look(&mut sniffer, &mut received) {
            return sniffed;
        }
    }
    received.reserve(FIRST_READ);
    loop {
        if received.len() >= limits.sniff_bytes {
            return Sniffed::Limit("too many bytes before it was clear what is spoken");
        }
        match timeout_at(deadline, read_more(stream, &mut received, limits.sniff_bytes)).await {
            Err(_) if received.is_empty() => return Sniffed::Silent,
            Err(_) => return Sniffed::Limit("too slow in telling what is spoken"),
            Ok(Err(_)) => return Sniffed::Ended,
            // A first flight that ends before it is clear is all there will ever be.
            Ok(Ok(0)) if received.is_empty() => return Sniffed::Ended,
            Ok(Ok(0)) => return Sniffed::Malformed("ended within its first message", received),
            Ok(Ok(length)) => {
                if received.len() == length {
                    deadline = Instant::now() + limits.sniff_timeout;
                }
            }
        }
        if let Some(sniffed) = look(&mut sniffer, &mut received) {
            return sniffed;
        }
    }
}

async fn read_more(stream: &mut TcpStream, received: &mut Vec<u8>, bound: usize) -> io::Result<usize> {
    let room = (bound - received.len()) as u64;
    stream.take(room).read_buf(received).await
}

fn look(sniffer: &mut Sniffer, received: &mut Vec<u8>) -> Option<Sniffed> {
    match sniffer.read(received) {
        Sniff::Complete(protocol) => Some(Sniffed::Protocol(protocol, std::mem::take(received))),
        Sniff::Malformed(why) => Some(Sniffed::Malformed(why, std::mem::take(received))),
        Sniff::Incomplete => None,
    }
}
