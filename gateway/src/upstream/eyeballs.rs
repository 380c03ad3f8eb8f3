//! Tries the addresses of a host one after another, each with a short head start (Happy Eyeballs,
//! RFC 8305 section 5).

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::near;

/// Head start of an attempt before the next one begins (RFC 8305: 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses that are tried at most.
const MAX_ATTEMPTS: usize = 16;

/// More addresses, asked for once the first attempts have failed or are slow.
pub(super) type MoreAddresses<'a> = Pin<Box<dyn Future<Output = Vec<SocketAddr>> + Send + 'a>>;

/// Connects to the first address that answers.
///
/// # Errors
/// What the last attempt said, or `TimedOut` at the deadline.
pub(super) async fn connect(
    first: Vec<SocketAddr>,
    more: Option<MoreAddresses<'_>>,
    deadline: Instant,
) -> io::Result<TcpStream> {
    let mut waiting: VecDeque<SocketAddr> = first.into_iter().collect();
    let mut more = more;
    let mut attempts = JoinSet::new();
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    // The first attempt mostly succeeds, and needs no task of its own before the second begins.
    if let Some(address) = waiting.pop_front() {
        tried.push(address);
        let mut attempt = Box::pin(near::connect(address));
        tokio::select! {
            // A busy gateway hears of a connection and of the end of its head start at once.
            biased;
            connected = &mut attempt => match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = sleep_until(deadline.min(Instant::now() + HEAD_START)) => {
                attempts.spawn(attempt);
            }
        }
    }
    loop {
        if tried.len() < MAX_ATTEMPTS
            && let Some(address) = waiting.pop_front()
        {
            tried.push(address);
            attempts.spawn(near::connect(address));
        } else if attempts.is_empty() && more.is_none() {
            return Err(failure);
        }
        let next = if waiting.is_empty() { deadline } else { deadline.min(Instant::now() + HEAD_START) };
        tokio::select! {
            biased;
            Some(attempt) = attempts.join_next() => match attempt {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(error) => failure = io::Error::other(error),
            },
            // Attempts that are under way go on meanwhile.
            found = asked(&mut more), if waiting.is_empty() && more.is_some() => {
                more = None;
                for address in found {
                    if !tried.contains(&address) && !waiting.contains(&address) {
                        waiting.push_back(address);
                    }
                }
            }
            () = sleep_until(next) => {
                if Instant::now() >= deadline {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
    }
}

async fn asked(more: &mut Option<MoreAddresses<'_>>) -> Vec<SocketAddr> {
    match more {
        Some(more) => more.await,
        None => Vec::new(),
    }
}

/// Alternates the families, IPv6 first as the sorting of RFC 8305 section 4 has it by default.
pub(super) fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (v6, v4): (VecDeque<_>, VecDeque<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let mut sorted = Vec::with_capacity(v6.len() + v4.len());
    let (mut v6, mut v4) = (v6, v4);
    while !v6.is_empty() || !v4.is_empty() {
        sorted.extend(v6.pop_front());
        sorted.extend(v4.pop_front());
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_alternate() {
        let given = ["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"].map(address);
        assert_eq!(interleave(given), ["[2001:db8::1]:1", "192.0.2.1:1", "192.0.2.2:1"].map(address));
    }

    #[tokio::test]
    async fn a_refused_address_gives_way_to_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            gone.local_addr().unwrap()
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        let stream = connect(vec![closed, open], None, deadline).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let more: MoreAddresses<'_> = Box::pin(async move { vec![open] });
        let stream = connect(vec![closed], Some(more), deadline).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = connect(vec![closed], None, deadline).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect(vec![], None, deadline).await.is_err());
    }
}
