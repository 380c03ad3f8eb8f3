//! Tells TLS, HTTP and everything else apart by their first bytes. Pure; [`Sniffer`](super::Sniffer)
//! hands the bytes on to the parser of what was found.

use super::http_head::{MAX_HEAD, is_token_byte};
use super::{Partial, Sniff};

/// What the first bytes belong to; whether the rest is well formed is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// A TLS handshake record, or something that a TLS server could take for one.
    Tls,
    /// A request line of HTTP/1, or something that an HTTP server could take for one.
    Http,
    /// The whole connection preface of HTTP/2 (RFC 9113 section 3.4).
    Http2Preface,
    /// Anything else.
    Opaque,
}

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// White space that may precede whatever decides; lenient HTTP servers skip it.
const MAX_BLANK: usize = 64;

/// A first word longer than this is only judged with its whole line.
const LONG_METHOD: usize = 64;

/// Methods after which no look at the rest of the line is needed (IANA's registry and `PURGE`).
const METHODS: &[&[u8]] = &[
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"PURGE",
    b"PRI",
];

/// Tells what the bytes received so far begin.
///
/// `Malformed` stands for what some servers let pass as TLS or HTTP although it is neither.
pub fn opening(received: &[u8]) -> Sniff<Opening> {
    resume(received, 0)
}

/// [`opening`], given that the first `scanned` bytes left it undecided.
pub(super) fn resume(received: &[u8], scanned: usize) -> Sniff<Opening> {
    decide(received, scanned).into()
}

fn decide(received: &[u8], scanned: usize) -> Partial<Opening> {
    match received.first() {
        None => Ok(None),
        Some(0x14..=0x18 | 0x80..) => tls(received),
        Some(_) => http(received, scanned),
    }
}

/// Servers skip some records before a ClientHello (a warning alert, for one) and some still read the
/// ClientHello of SSLv2, which has no server name.
fn tls(received: &[u8]) -> Partial<Opening> {
    match *received {
        [0x16, 3, ..] => Ok(Some(Opening::Tls)),
        [0x14..=0x18, 3, 0..=4, ..] => Err("TLS connection that does not open with a ClientHello"),
        [0x80..=0xff, _, 1, 3, 0..=4, ..] | [0x80..=0xff, _, 1, 0, 2, ..] => Err("SSLv2 ClientHello"),
        [0x14..=0x18] | [0x14..=0x18, 3] => Ok(None),
        [0x80..=0xff] | [0x80..=0xff, _] | [0x80..=0xff, _, 1] | [0x80..=0xff, _, 1, 0 | 3] => Ok(None),
        _ => Ok(Some(Opening::Opaque)),
    }
}

/// Judges the first line. A known method decides at once; after an unknown one it takes the whole line,
/// for a server may route any method by its `Host`.
fn http(received: &[u8], scanned: usize) -> Partial<Opening> {
    if received.starts_with(HTTP2_PREFACE) {
        return Ok(Some(Opening::Http2Preface));
    }
    if HTTP2_PREFACE.starts_with(received) {
        return Ok(None);
    }
    let blank = received.iter().take(MAX_BLANK + 1).take_while(|byte| byte.is_ascii_whitespace()).count();
    if blank > MAX_BLANK {
        return Err("too much white space before anything else");
    }
    let seen = &received[..received.len().min(MAX_HEAD)];
    match first_line(&seen[blank..], scanned.saturating_sub(blank)) {
        Some(Opening::Http) if blank > 0 => Err("white space before the request line"),
        None if seen.len() == MAX_HEAD => Err("first line is over 64 KiB"),
        found => Ok(found),
    }
}

fn first_line(line: &[u8], scanned: usize) -> Option<Opening> {
    let start = &line[..line.len().min(LONG_METHOD)];
    if let Some(end) = start.iter().position(|&byte| !is_token_byte(byte)) {
        let known = METHODS.iter().any(|method| method.eq_ignore_ascii_case(&start[..end]));
        match start[end] {
            _ if known => return Some(Opening::Http),
            b' ' | b'\t' if end > 0 => {}
            _ => return Some(Opening::Opaque),
        }
    }
    let fresh = line.get(scanned..).unwrap_or_default();
    // Not at a carriage return: where it stands alone some servers take it for a space.
    let end = fresh.iter().position(|byte| matches!(byte, b'\n' | 0))?;
    let ends_line = fresh[end] != 0;
    let line = &line[..scanned + end];
    Some(if ends_line && names_http(line) { Opening::Http } else { Opening::Opaque })
}

/// Whether the last of several words is an HTTP version, or nearly one.
fn names_http(line: &[u8]) -> bool {
    let mut words = line.rsplit(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let version = words.next().and_then(|word| word.get(..5));
    version.is_some_and(|word| word.eq_ignore_ascii_case(b"HTTP/")) && words.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to the bytes, which every prefix must leave open or give already, whatever was
    /// scanned before.
    fn opens(bytes: &[u8]) -> Sniff<Opening> {
        let answer = opening(bytes);
        let mut scanned = 0;
        for end in 0..=bytes.len() {
            let prefix = opening(&bytes[..end]);
            assert!(prefix == Sniff::Incomplete || prefix == answer, "{} {prefix:?}", bytes.escape_ascii());
            assert_eq!(resume(&bytes[..end], scanned), prefix, "{}", bytes.escape_ascii());
            if prefix != Sniff::Incomplete {
                break;
            }
            scanned = end;
        }
        answer
    }

    #[test]
    fn opaque_protocols() {
        let openings: &[&[u8]] = &[
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"SSH-2.0-OpenSSH_9.6p1 Debian-4\r\n",
            b"0032git-upload-pack /project.git\0host=example.com\0",
            &[0, 0, 0, 8, 4, 210, 22, 47],
            b"*1\r\n$4\r\nPING\r\n",
            b"PING\r\n",
            b"SET key value\r\n",
            b"NICK someone\r\nUSER a 0 * :b\r\n",
            b"a001 LOGIN me secret\r\n",
            b"000Chost:version",
            b"10.0.0.1 - - \"GET / HTTP/1.1\" 200\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"{\"jsonrpc\": \"2.0\"}",
            b"\n\x07default",
            &[0x16, 0xfe],
            &[0x80, 0x01, 0x02],
            b"\xff\xfd\x18",
        ];
        for bytes in openings {
            assert_eq!(opens(bytes), Sniff::Complete(Opening::Opaque), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn http_by_its_method_or_its_version() {
        let lines = [
            "GET /",
            "PURGE *",
            "get / HTTP/1.1",
            "CoPy\t/",
            "GET\n",
            "POST\0",
            "FOO / HTTP/1.1\r\n",
            "foo / http/1.1\n",
            "FOO /\r HTTP/1.1\n",
            "FOO /\x01 HTTP/9\r\n",
            "BREW  pot  HTTP/1.0  \r\n",
            "PRI / HTTP/1.1",
        ];
        for line in lines {
            assert_eq!(opens(line.as_bytes()), Sniff::Complete(Opening::Http), "{line}");
        }
        let long = format!("{} / HTTP/1.1\r\n", "M".repeat(100));
        assert_eq!(opens(long.as_bytes()), Sniff::Complete(Opening::Http));
        assert_eq!(opens(HTTP2_PREFACE), Sniff::Complete(Opening::Http2Preface));
        assert_eq!(opens(b"FOO / HTTP/1"), Sniff::Incomplete);
    }

    #[test]
    fn nearly_http_and_nearly_tls() {
        let openings: &[&[u8]] = &[
            b"\r\nGET / HTTP/1.1\r\n",
            b" GET / HTTP/1.1\r\n",
            b"\nFOO / HTTP/1.1\r\n",
            b"\x15\x03\x01\0\x02\x01\0",
            b"\x14\x03\x03\0\x01\x01",
            b"\x80\x2e\x01\x03\x01",
            b"\x80\x2e\x01\0\x02",
            &[b'\n'; MAX_BLANK + 1],
            &[b'M'; MAX_HEAD],
        ];
        for bytes in openings {
            assert!(matches!(opening(bytes), Sniff::Malformed(_)), "{}", bytes.escape_ascii());
        }
    }
}
