//! What a client says first on a TCP connection, read before anything is dialled. Pure: the
//! connection reads from the socket, keeps what it read, and shows all of it here.
//!
//! A protocol is only called [`Protocol::Opaque`] when no server would take it for TLS or HTTP: an
//! opaque connection is judged by its address alone, so whatever is *almost* TLS or HTTP is
//! malformed instead.

pub mod authority;
pub mod client_hello;
pub mod http_head;
mod opening;
#[cfg(test)]
mod properties;
pub mod target;

pub use client_hello::ClientHello;
pub use http_head::RequestHead;
pub use opening::{Opening, opening};

use client_hello::HelloReader;
use http_head::HeadReader;

/// What a parser makes of the bytes received so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sniff<T> {
    /// The thing is there in full; bytes that follow it were not looked at.
    Complete(T),
    /// So far it may become one.
    Incomplete,
    /// Whatever follows, it will not become one, for this reason.
    Malformed(&'static str),
}

/// What a client speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// TLS, any version that opens with a TLS ClientHello.
    Tls(ClientHello),
    /// HTTP/1.0 or HTTP/1.1.
    Http(RequestHead),
    /// HTTP/2 with prior knowledge (RFC 9113 section 3.3).
    Http2Preface,
    /// Neither TLS nor HTTP.
    Opaque,
}

/// Tells the protocol from all bytes received so far.
pub fn classify(received: &[u8]) -> Sniff<Protocol> {
    Sniffer::default().read(received)
}

/// [`classify`] for a connection that is still being read: each byte is looked at once, however
/// small the reads are.
#[derive(Debug, Default)]
pub struct Sniffer(State);

#[derive(Debug)]
enum State {
    Undecided { scanned: usize },
    Tls(HelloReader),
    Http(HeadReader),
}

impl Default for State {
    fn default() -> Self {
        State::Undecided { scanned: 0 }
    }
}

impl Sniffer {
    /// Looks at all bytes received so far, which must begin with those of the call before. After an
    /// answer other than `Incomplete` the sniffer is spent.
    pub fn read(&mut self, received: &[u8]) -> Sniff<Protocol> {
        if let State::Undecided { scanned } = self.0 {
            self.0 = match opening::resume(received, scanned) {
                Sniff::Complete(Opening::Tls) => State::Tls(HelloReader::default()),
                Sniff::Complete(Opening::Http) => State::Http(HeadReader::default()),
                Sniff::Complete(Opening::Http2Preface) => return Sniff::Complete(Protocol::Http2Preface),
                Sniff::Complete(Opening::Opaque) => return Sniff::Complete(Protocol::Opaque),
                Sniff::Incomplete => State::Undecided { scanned: received.len() },
                Sniff::Malformed(why) => return Sniff::Malformed(why),
            }
        }
        match &mut self.0 {
            State::Undecided { .. } => Sniff::Incomplete,
            State::Tls(reader) => reader.read(received).map(Protocol::Tls),
            State::Http(reader) => reader.read(received).map(Protocol::Http),
        }
    }
}

impl<T> Sniff<T> {
    /// The same answer about something made of `T`.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Sniff<U> {
        match self {
            Sniff::Complete(value) => Sniff::Complete(f(value)),
            Sniff::Incomplete => Sniff::Incomplete,
            Sniff::Malformed(why) => Sniff::Malformed(why),
        }
    }
}

/// Inside the parsers `?` leaves at the first fault, and `None` is a wish for more bytes.
type Partial<T> = Result<Option<T>, &'static str>;

impl<T> From<Partial<T>> for Sniff<T> {
    fn from(partial: Partial<T>) -> Self {
        match partial {
            Ok(Some(value)) => Sniff::Complete(value),
            Ok(None) => Sniff::Incomplete,
            Err(why) => Sniff::Malformed(why),
        }
    }
}

/// Bytes of a bad name that are worth keeping: a name has at most 253.
const MAX_SHOWN: usize = 253;

/// Untrusted bytes as one short line of printable ASCII.
fn escaped(bytes: &[u8]) -> String {
    match bytes.get(..MAX_SHOWN) {
        Some(start) if bytes.len() > MAX_SHOWN => format!("{}...", start.escape_ascii()),
        _ => bytes.escape_ascii().to_string(),
    }
}
