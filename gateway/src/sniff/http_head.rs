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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> RequestHead {
        match parse(head.as_bytes()) {
            Sniff::Complete(head) => head,
            other => panic!("{head:?}: {other:?}"),
        }
    }

    /// Why a GET with these header lines is refused.
    fn refused_field(fields: &str) -> &'static str {
        refused(&format!("GET / HTTP/1.1\r\n{fields}\r\n"))
    }

    fn refused(head: &str) -> &'static str {
        match parse(head.as_bytes()) {
            Sniff::Malformed(why) => why,
            other => panic!("{head:?}: {other:?}"),
        }
    }

    #[test]
    fn a_plain_request() {
        let head = read("GET /a?b HTTP/1.1\r\nhOsT:\texample.test:8080 \r\nAccept: */*\r\n\r\nbody");
        assert_eq!(head.method, "GET");
        assert_eq!(head.target, Target::Origin { path: "/a?b".into() });
        assert_eq!(head.version, Version::Http11);
        assert!(matches!(&head.host, HostField::One(host) if host.to_string() == "example.test:8080"));
        assert_eq!((head.framing, head.upgrade), (Framing::Empty, false));
        assert_eq!(
            head.length,
            "GET /a?b HTTP/1.1\r\nhOsT:\texample.test:8080 \r\nAccept: */*\r\n\r\n".len()
        );
    }

    #[test]
    fn hosts_told_apart() {
        let host = |fields: &str| read(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).host;
        assert_eq!(host(""), HostField::Missing);
        assert_eq!(host("Host:\r\n"), HostField::Empty);
        assert_eq!(host("Host: a.test\r\nHost: a.test\r\n"), HostField::Repeated);
        assert_eq!(host("Host:\r\nHost: a.test\r\n"), HostField::Repeated);
        assert_eq!(host("Host: a.test, b.test\r\n"), HostField::Invalid("a.test, b.test".into()));
        assert_eq!(host("Host: u@a.test\r\n"), HostField::Invalid("u@a.test".into()));
        assert_eq!(host("Host: 0x7f.1\r\n"), HostField::Invalid("0x7f.1".into()));
        assert_eq!(host("Host: b\u{fc}.test\r\n"), HostField::Invalid(r"b\xc3\xbc.test".into()));
    }

    #[test]
    fn upgrades() {
        let head = read("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
        assert!(head.upgrade && !head.h2c);
        let head = read("GET / HTTP/1.1\r\nUpgrade: websocket , H2C\r\n\r\n");
        assert!(head.upgrade && head.h2c);
    }

    #[test]
    fn framing() {
        let framing = |fields: &str| read(&format!("POST / HTTP/1.1\r\n{fields}\r\n")).framing;
        assert_eq!(framing("Content-Length: 5\r\ncontent-length:5\r\n"), Framing::Length(5));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Framing::Chunked);

        let both = "Content-Length beside Transfer-Encoding";
        assert_eq!(refused_field("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), both);
        assert_eq!(refused_field("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), both);
        assert_eq!(
            refused_field("Content-Length: 5\r\nContent-Length: 6\r\n"),
            "differing Content-Length headers"
        );
        for length in ["", "+5", "-5", "5, 5", "0x5", "5 5", "18446744073709551616"] {
            assert_eq!(
                refused_field(&format!("Content-Length: {length}\r\n")),
                "Content-Length is not a number"
            );
        }
        for coding in
            ["", "gzip, chunked", "chunked, chunked", "xchunked", "identity", "chunked;a", "\u{b}chunked"]
        {
            let why = refused_field(&format!("Transfer-Encoding: {coding}\r\n"));
            assert!(
                ["Transfer-Encoding is not exactly chunked", "control byte in the request head"]
                    .contains(&why)
            );
        }
        let repeated = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(refused_field(repeated), "repeated Transfer-Encoding");
        let old = refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(old, "Transfer-Encoding in HTTP/1.0");
    }

    #[test]
    fn line_ends_and_control_bytes() {
        assert_eq!(refused_field("a: b\r\n c\r\n"), "line begins with white space");
        assert_eq!(refused_field(" a: b\r\n"), "line begins with white space");
        assert_eq!(refused_field("a: b\rc\r\n"), "carriage return within a line");
        assert_eq!(refused_field("a: b\r\r\n"), "carriage return within a line");
        assert_eq!(refused_field("a: b\n"), "line ends in a bare line feed");
        assert_eq!(refused_field("a: b\0c\r\n"), "control byte in the request head");
        assert_eq!(refused_field("a: \x7f\r\n"), "control byte in the request head");
        assert_eq!(refused("GET / HTTP/1.1\r\n\n"), "line ends in a bare line feed");
        assert_eq!(refused("\r\nGET / HTTP/1.1\r\n\r\n"), "blank line instead of a request line");
    }

    #[test]
    fn header_names() {
        let before_colon = "white space before the colon of a header";
        assert_eq!(refused_field("Host : a.test\r\n"), before_colon);
        assert_eq!(refused_field("Host\t: a.test\r\n"), before_colon);
        assert_eq!(refused_field(": a\r\n"), "header without a name");
        assert_eq!(refused_field("Ho st: a\r\n"), "header name is not a token");
        assert_eq!(refused_field("Host\r\n"), "header line without a colon");
    }

    #[test]
    fn request_lines() {
        let three_words = "request line is not three words with one space between";
        assert_eq!(refused("GET /\r\n"), "request line without a version (HTTP/0.9)");
        assert_eq!(refused("GET\r\n"), three_words);
        assert_eq!(refused("GET  / HTTP/1.1\r\n"), three_words);
        assert_eq!(refused("GET / HTTP/1.1 \r\n"), three_words);
        assert_eq!(refused("GET /a b HTTP/1.1\r\n"), three_words);
        assert_eq!(refused("get / HTTP/1.1\r\n"), "method has lower-case letters");
        for version in ["HTTP/1.2", "HTTP/2.0", "HTTP/1.1\t", "http/1.1", "HTTP/1.10", "HTTP/01.1"] {
            assert_eq!(refused(&format!("GET / {version}\r\n")), "not HTTP/1.0 or HTTP/1.1");
        }
    }

    #[test]
    fn a_head_has_a_limit() {
        let head = |filler: usize| format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(filler));
        let fixed = head(0).len();
        assert_eq!(read(&head(MAX_HEAD - fixed)).length, MAX_HEAD);
        assert_eq!(refused(&head(MAX_HEAD - fixed + 1)), "request head is over 64 KiB");
    }
}
