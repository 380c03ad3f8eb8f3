//! The ClientHello of a TLS connection, read from the client's first bytes. Pure; the connection
//! splices or intercepts by what it says.
//!
//! Stricter than RFC 8446 where a lenient reading could differ from that of the server behind us.

use policy::{Name, NameError};

use super::{Partial, Sniff, escaped};

mod body;

use body::Body;

/// Bytes within which a ClientHello has to end, record headers included.
pub const MAX_HELLO: usize = 64 * 1024;

/// Octets of a record header (RFC 8446 section 5.1).
const RECORD_HEADER: usize = 5;
/// The most octets that an unencrypted record may hold.
const MAX_RECORD: usize = 1 << 14;
const HANDSHAKE_RECORD: u8 = 22;

/// What a ClientHello says that decides about the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The host that the client wants; with ECH the outer one.
    pub server_name: ServerName,
    /// The offered application protocols (RFC 7301), in the client's order.
    pub alpn: Vec<Box<[u8]>>,
    /// An encrypted ClientHello or a GREASE stand-in for one is there (RFC 9849): the server may
    /// see another name.
    pub ech: bool,
    /// TLS 1.3 is among the offered versions.
    pub tls13: bool,
}

/// The server name indication (RFC 6066 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerName {
    /// The client named no host.
    Absent,
    /// It sent something other than a host name, for instance an IP address: the text, escaped and
    /// cut for display.
    Invalid(String, NameError),
    /// It named this host.
    Name(Name),
}

impl ServerName {
    fn read(bytes: &[u8]) -> ServerName {
        match Name::from_ascii(bytes) {
            Ok(name) => ServerName::Name(name),
            Err(error) => ServerName::Invalid(escaped(bytes), error),
        }
    }
}

/// Reads a ClientHello from all bytes received so far.
pub fn parse(received: &[u8]) -> Sniff<ClientHello> {
    HelloReader::default().read(received)
}

/// [`parse`] for a connection that is still being read: each byte is looked at once, however small
/// the reads, the records and the fragments in them are.
#[derive(Debug, Default)]
pub struct HelloReader {
    /// Bytes received that were used.
    taken: usize,
    /// Bytes still to come of the record that was begun.
    left_in_record: usize,
    /// The handshake message, as far as the records held it.
    message: Vec<u8>,
    body: Body,
}

impl HelloReader {
    /// Looks at all bytes received so far, which must begin with those of the call before. After an
    /// answer other than `Incomplete` the reader is spent.
    pub fn read(&mut self, received: &[u8]) -> Sniff<ClientHello> {
        self.advance(received).into()
    }

    fn advance(&mut self, received: &[u8]) -> Partial<ClientHello> {
        loop {
            if self.left_in_record == 0 {
                let Some(length) = record_length(&received[self.taken..])? else { break };
                self.left_in_record = length;
                self.taken += RECORD_HEADER;
            }
            let rest = &received[self.taken..];
            let fragment = &rest[..rest.len().min(self.left_in_record)];
            if fragment.is_empty() {
                break;
            }
            self.message.extend_from_slice(fragment);
            self.taken += fragment.len();
            self.left_in_record -= fragment.len();

            let hello = self.body.advance(&self.message)?;
            if self.body.end().is_some_and(|end| self.message.len() + self.left_in_record > end) {
                return Err("record goes on after the ClientHello");
            }
            if self.taken > MAX_HELLO {
                break;
            }
            if hello.is_some() {
                return Ok(hello);
            }
        }
        if received.len() >= MAX_HELLO { Err("ClientHello is over 64 KiB") } else { Ok(None) }
    }
}

/// The length in a record header, which may be there in part.
fn record_length(header: &[u8]) -> Partial<usize> {
    match *header {
        [kind, ..] if kind != HANDSHAKE_RECORD => Err("not a TLS handshake record"),
        [_, major, ..] if major != 3 => Err("record of an unknown TLS version"),
        [_, _, _, high, ..] if usize::from(high) << 8 > MAX_RECORD => Err("record is over 16 KiB"),
        [_, _, _, high, low, ..] => match usize::from(u16::from_be_bytes([high, low])) {
            0 => Err("empty handshake record"),
            length if length > MAX_RECORD => Err("record is over 16 KiB"),
            length => Ok(Some(length)),
        },
        _ => Ok(None),
    }
}
