//! The ClientHello of a TLS connection, read from the client's first bytes. Pure; the connection
//! splices or intercepts by what it says.
//!
//! Stricter than RFC 8446 where a lenient reading could differ from that of the server behind us.

use std::fmt;

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

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerName::Absent => Ok(()),
            ServerName::Invalid(text, _) => f.write_str(text),
            ServerName::Name(name) => write!(f, "{name}"),
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
        let received = &received[..received.len().min(MAX_HELLO)];
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

            let record_end = self.message.len() + self.left_in_record;
            let hello = self.body.advance(&self.message, record_end)?;
            if hello.is_some() {
                return Ok(hello);
            }
        }
        if received.len() == MAX_HELLO { Err("ClientHello is over 64 KiB") } else { Ok(None) }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A ClientHello in one record, with these extensions.
    fn flight(extensions: &[u8]) -> Vec<u8> {
        let mut body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0]].concat();
        body.extend(vector16(extensions));
        record(&[&[1, 0][..], &vector16(&body)].concat())
    }

    fn record(message: &[u8]) -> Vec<u8> {
        [&[22, 3, 1][..], &vector16(message)].concat()
    }

    fn vector16(bytes: &[u8]) -> Vec<u8> {
        [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vector16(data)].concat()
    }

    fn sni(name: &[u8]) -> Vec<u8> {
        extension(0, &vector16(&[&[0][..], &vector16(name)].concat()))
    }

    fn read(extensions: &[u8]) -> ClientHello {
        match parse(&flight(extensions)) {
            Sniff::Complete(hello) => hello,
            other => panic!("{other:?}"),
        }
    }

    fn refused(bytes: &[u8]) -> &'static str {
        match parse(bytes) {
            Sniff::Malformed(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_that_are_none() {
        assert_eq!(read(&[]).server_name, ServerName::Absent);
        assert_eq!(read(&sni(b"Example.TEST")).server_name.to_string(), "example.test");
        let address = ServerName::Invalid("192.0.2.7".into(), NameError::LooksLikeAddress);
        assert_eq!(read(&sni(b"192.0.2.7")).server_name, address);
        assert!(matches!(read(&sni(b"::1")).server_name, ServerName::Invalid(..)));
        let forged = ServerName::Invalid(r"a\r\n\x1b\x00".into(), NameError::NotLdh);
        assert_eq!(read(&sni(b"a\r\n\x1b\0")).server_name, forged);
        let long = read(&sni(&[b'a'; 9000])).server_name.to_string();
        assert!(long.len() < 300, "{long}");
    }

    #[test]
    fn a_server_name_extension_has_one_name() {
        let twice = [sni(b"a.test"), sni(b"a.test")].concat();
        let two_names = extension(0, &vector16(b"\0\0\x01a\0\0\x01b"));
        let cases: &[(&[u8], &str)] = &[
            (&twice, "repeated extension"),
            (&two_names, "more than one server name"),
            (&sni(b""), "empty server name"),
            (&extension(0, b""), "length runs past the end of its field"),
            (&extension(0, b"\0\0"), "empty list of server names"),
            (&extension(0, &vector16(b"\x01\0\x01a")), "server name of an unknown type"),
            (&extension(0, b"\0\x04\0\0\x01ab"), "bytes after the end of an extension"),
            (&extension(0, b"\0\x04\0\0\x02a"), "length runs past the end of its field"),
        ];
        for (extensions, why) in cases {
            assert_eq!(refused(&flight(extensions)), *why);
        }
    }

    #[test]
    fn protocols_versions_and_ech() {
        let alpn = extension(16, &vector16(b"\x02h2\x08http/1.1"));
        let versions = extension(43, b"\x04\x03\x04\x03\x03");
        let hello = read(&[alpn.clone(), versions, extension(0xfe0d, b"\0")].concat());
        assert_eq!(hello.alpn, [b"h2".as_slice().into(), b"http/1.1".as_slice().into()]);
        assert!(hello.tls13 && hello.ech);
        assert!(!read(&extension(43, b"\x02\x03\x03")).tls13);

        for bad in [&b"\0\0"[..], b"\0\x01\0", b"\0\x02\x02h", b"\0\x01\0\0"] {
            refused(&flight(&extension(16, bad)));
        }
        for bad in [&b""[..], b"\0", b"\x01\x03", b"\x02\x03\x04\0"] {
            refused(&flight(&extension(43, bad)));
        }
        refused(&flight(&[alpn.clone(), alpn].concat()));
    }

    #[test]
    fn no_extensions_at_all() {
        let body = [&[3, 1][..], &[7; 32], &[0], &[0, 2, 0, 4], &[1, 0]].concat();
        let old = record(&[&[1, 0][..], &vector16(&body)].concat());
        let Sniff::Complete(hello) = parse(&old) else { panic!("{:?}", parse(&old)) };
        assert_eq!((hello.server_name, hello.tls13), (ServerName::Absent, false));
    }

    #[test]
    fn refused_as_soon_as_it_shows() {
        let cases: &[(&[u8], &str)] = &[
            (b"G", "not a TLS handshake record"),
            (b"\x80\x2e\x01\x03\x01", "not a TLS handshake record"),
            (b"\x16\x02", "record of an unknown TLS version"),
            (b"\x16\x03\x01\x41", "record is over 16 KiB"),
            (b"\x16\x03\x01\x40\x01", "record is over 16 KiB"),
            (b"\x16\x03\x01\0\0", "empty handshake record"),
            (b"\x16\x03\x01\x01\0\x02", "handshake does not open with a ClientHello"),
            (b"\x16\x03\x01\x01\0\x01\x01", "ClientHello is over 64 KiB"),
            (b"\x16\x03\x01\x01\0\x01\0\0\x20", "record goes on after the ClientHello"),
            (b"\x16\x03\x01\0\x24\x01\0\0\x20", "ClientHello is too short"),
            (b"\x16\x03\x01\0\x07\x01\0\0\x03", "ClientHello is too short"),
            (b"\x16\x03\x01\x01\0\x01\0\0\xfc\xfe", "ClientHello of an unknown TLS version"),
        ];
        for (bytes, why) in cases {
            let before = &bytes[..bytes.len() - 1];
            assert_eq!(refused(bytes), *why, "{}", bytes.escape_ascii());
            assert!(bytes[0] == 0x80 || parse(before) == Sniff::Incomplete, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn lengths_have_to_agree() {
        let whole = flight(&sni(b"a.test"));
        assert!(matches!(parse(&whole), Sniff::Complete(_)));
        // The length of the extensions stands behind the fixed fields.
        for change in [-1i8, 1] {
            let mut other = whole.clone();
            other[9 + 34 + 1 + 4 + 2 + 1] = other[9 + 34 + 1 + 4 + 2 + 1].wrapping_add_signed(change);
            assert!(matches!(parse(&other), Sniff::Malformed(_)));
        }
        assert!(matches!(parse(&[whole.clone(), b"early data".to_vec()].concat()), Sniff::Complete(_)));
    }
}
