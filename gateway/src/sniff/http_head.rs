//! The head of an HTTP/1 request, read strictly for the first look at a connection. Pure; the
//! connection decides by it whom to dial, and an HTTP library then serves the same bytes.
//!
//! Refused is whatever two HTTP implementations could read differently (RFC 9112 section 11.2).

use super::authority::{self, Authority};
use super::target::Target;
use super::{Partial, Sniff, escaped};

/// Bytes within which a head has to end, its blank line included.
pub const MAX_HEAD: usize = 64 * 1024;

/// A request line and what the header fields say about where and how the request goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// The method: a token without lower-case letters.
    pub method: String,
    /// What is asked for.
    pub target: Target,
    /// The version.
    pub version: Version,
    /// What the Host header says.
    pub host: HostField,
    /// How the end of the request's content is found.
    pub framing: Framing,
    /// An Upgrade header is there: the protocol may change after the answer.
    pub upgrade: bool,
    /// The Upgrade header offers HTTP/2 without TLS.
    pub h2c: bool,
    /// Octets of the head, the blank line included; content follows there.
    pub length: usize,
}

/// A version of HTTP/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The Host header (RFC 9110 section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostField {
    /// There is none.
    Missing,
    /// There is one, without a value.
    Empty,
    /// There are several, equal or not.
    Repeated,
    /// It is no host and port: the text, escaped and cut for display.
    Invalid(String),
    /// There is one and it reads so.
    One(Authority),
}

/// The length of a request's content (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No content.
    Empty,
    /// Content-Length, in octets.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// Reads a request head from all bytes received so far.
pub fn parse(received: &[u8]) -> Sniff<RequestHead> {
    HeadReader::default().read(received)
}

/// [`parse`] for a connection that is still being read: each byte is looked at once, however small
/// the reads are.
#[derive(Debug, Default)]
pub struct HeadReader {
    /// Bytes that were looked at.
    scanned: usize,
    /// Where the current line starts.
    line: usize,
    head: Option<RequestHead>,
}

impl HeadReader {
    /// Looks at all bytes received so far, which must begin with those of the call before. After an
    /// answer other than `Incomplete` the reader is spent.
    pub fn read(&mut self, received: &[u8]) -> Sniff<RequestHead> {
        self.advance(received).into()
    }

    fn advance(&mut self, received: &[u8]) -> Partial<RequestHead> {
        while let Some(&byte) = received.get(self.scanned) {
            if self.scanned == MAX_HEAD {
                return Err("request head is over 64 KiB");
            }
            let line = &received[self.line..self.scanned];
            self.scanned += 1;
            match (line, byte) {
                ([line @ .., b'\r'], b'\n') => {
                    self.line = self.scanned;
                    if line.is_empty() {
                        return self.finish();
                    }
                    self.take_line(line)?;
                }
                ([.., b'\r'], _) => return Err("carriage return within a line"),
                (_, b'\n') => return Err("line ends in a bare line feed"),
                ([], b' ' | b'\t') => return Err("line begins with white space"),
                (_, b'\t' | b'\r') => {}
                (_, ..b' ' | 0x7f) => return Err("control byte in the request head"),
                _ => {}
            }
        }
        Ok(None)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        match &mut self.head {
            None => self.head = Some(RequestHead::from_line(line)?),
            Some(head) => head.add_field(line)?,
        }
        Ok(())
    }

    fn finish(&mut self) -> Partial<RequestHead> {
        let mut head = self.head.take().ok_or("blank line instead of a request line")?;
        head.length = self.scanned;
        Ok(Some(head))
    }
}

impl RequestHead {
    fn from_line(line: &[u8]) -> Result<RequestHead, &'static str> {
        let mut words = line.split(|&byte| byte == b' ');
        let (method, target, version) = match (words.next(), words.next(), words.next(), words.next()) {
            (Some(method), Some(target), Some(version), None) => (method, target, version),
            (Some(_), Some(_), None, None) => return Err("request line without a version (HTTP/0.9)"),
            _ => return Err("request line is not three words with one space between"),
        };
        let method = read_method(method)?;
        let version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ => return Err("not HTTP/1.0 or HTTP/1.1"),
        };
        Ok(RequestHead {
            target: Target::parse(&method, target)?,
            method,
            version,
            host: HostField::Missing,
            framing: Framing::Empty,
            upgrade: false,
            h2c: false,
            length: 0,
        })
    }

    fn add_field(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let colon = line.iter().position(|&byte| byte == b':').ok_or("header line without a colon")?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        match name {
            [] => return Err("header without a name"),
            [.., b' ' | b'\t'] => return Err("white space before the colon of a header"),
            _ if !name.iter().all(|&byte| is_token_byte(byte)) => return Err("header name is not a token"),
            _ => {}
        }
        match name.to_ascii_lowercase().as_slice() {
            b"host" => self.add_host(value),
            b"content-length" => self.add_content_length(value)?,
            b"transfer-encoding" => self.add_transfer_encoding(value)?,
            b"upgrade" => {
                self.upgrade = true;
                self.h2c |=
                    value.split(|&byte| byte == b',').any(|item| trim(item).eq_ignore_ascii_case(b"h2c"));
            }
            _ => {}
        }
        Ok(())
    }

    fn add_host(&mut self, value: &[u8]) {
        self.host = match (&self.host, value) {
            (HostField::Missing, []) => HostField::Empty,
            (HostField::Missing, _) => {
                authority::parse(value).map_or_else(|_| HostField::Invalid(escaped(value)), HostField::One)
            }
            _ => HostField::Repeated,
        };
    }

    fn add_content_length(&mut self, value: &[u8]) -> Result<(), &'static str> {
        let length = read_length(value).ok_or("Content-Length is not a number")?;
        match self.framing {
            Framing::Chunked => return Err("Content-Length beside Transfer-Encoding"),
            Framing::Length(other) if other != length => return Err("differing Content-Length headers"),
            _ => self.framing = Framing::Length(length),
        }
        Ok(())
    }

    fn add_transfer_encoding(&mut self, value: &[u8]) -> Result<(), &'static str> {
        match self.framing {
            _ if self.version == Version::Http10 => return Err("Transfer-Encoding in HTTP/1.0"),
            Framing::Length(_) => return Err("Content-Length beside Transfer-Encoding"),
            Framing::Chunked => return Err("repeated Transfer-Encoding"),
            Framing::Empty if !value.eq_ignore_ascii_case(b"chunked") => {
                return Err("Transfer-Encoding is not exactly chunked");
            }
            Framing::Empty => self.framing = Framing::Chunked,
        }
        Ok(())
    }
}

/// A byte that may stand in a method or a header name (RFC 9110 section 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn read_method(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.is_empty() || !bytes.iter().all(|&byte| is_token_byte(byte)) {
        return Err("method is not a token");
    }
    if bytes.iter().any(u8::is_ascii_lowercase) {
        return Err("method has lower-case letters");
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn read_length(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Strips optional white space (RFC 9110 section 5.6.3).
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
