//! The handshake message within the records, field by field as it arrives.

use super::{ClientHello, MAX_HELLO, RECORD_HEADER, ServerName};
use crate::sniff::Partial;

/// Octets of a handshake header: type and length.
const HANDSHAKE_HEADER: usize = 4;
const CLIENT_HELLO: u8 = 1;
/// Octets of legacy_version and random.
const FIXED: usize = 2 + 32;
/// Octets of an extension's type and length.
const EXTENSION_HEADER: usize = 2 + 2;
const TLS13: [u8; 2] = [3, 4];

/// Extension types (IANA, TLS ExtensionType Values).
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// The draft that ECH grew from, where the name was encrypted alone.
const ENCRYPTED_SERVER_NAME: u16 = 0xffce;

const HOST_NAME: u8 = 0;

/// Reads a ClientHello message (RFC 8446 section 4.1.2), of which more comes with each call.
#[derive(Debug, Default)]
pub(super) struct Body {
    field: Field,
    /// Where that field starts.
    at: usize,
    /// Where the message ends, once its header is read.
    end: Option<usize>,
    server_name: Option<ServerName>,
    alpn: Option<Vec<Box<[u8]>>>,
    tls13: Option<bool>,
    ech: bool,
}

/// The field that comes next.
#[derive(Debug, Default, Clone, Copy)]
enum Field {
    #[default]
    Header,
    VersionAndRandom,
    SessionId,
    CipherSuites,
    CompressionMethods,
    ExtensionsLength,
    Extension,
}

impl Body {
    /// Goes on with the message, of which all bytes so far are given, and of which the current record
    /// holds the bytes up to `record_end`. The answer comes once.
    pub(super) fn advance(&mut self, message: &[u8], record_end: usize) -> Partial<ClientHello> {
        while Some(self.at) != self.end {
            if self.end.is_some_and(|end| record_end > end) {
                return Err("record goes on after the ClientHello");
            }
            let Some(taken) = self.field(&message[self.at..])? else { return Ok(None) };
            self.at += taken;
        }
        if !matches!(self.field, Field::ExtensionsLength | Field::Extension) {
            return Err("ClientHello ends within its fixed fields");
        }
        Ok(Some(ClientHello {
            server_name: self.server_name.take().unwrap_or(ServerName::Absent),
            alpn: self.alpn.take().unwrap_or_default(),
            ech: self.ech,
            tls13: self.tls13.unwrap_or(false),
        }))
    }

    /// Reads one field at the start of `rest`: how many bytes it took.
    fn field(&mut self, rest: &[u8]) -> Partial<usize> {
        let left = self.end.map_or(MAX_HELLO, |end| end - self.at);
        let (next, taken) = match self.field {
            Field::Header => {
                let Some(length) = message_length(rest)? else { return Ok(None) };
                self.end = Some(HANDSHAKE_HEADER + length);
                (Field::VersionAndRandom, HANDSHAKE_HEADER)
            }
            Field::VersionAndRandom => {
                if left < FIXED {
                    return Err("ClientHello is too short");
                }
                if rest.first().is_some_and(|&major| major != 3) {
                    return Err("ClientHello of an unknown TLS version");
                }
                if rest.len() < FIXED {
                    return Ok(None);
                }
                (Field::SessionId, FIXED)
            }
            Field::SessionId => {
                let fits = |length| length <= 32;
                let Some(id) = vector::<1>(rest, left, fits, "session id is over 32 octets")? else {
                    return Ok(None);
                };
                (Field::CipherSuites, 1 + id.len())
            }
            Field::CipherSuites => {
                let fits = |length| length >= 2 && length % 2 == 0;
                let Some(list) = vector::<2>(rest, left, fits, "bad list of cipher suites")? else {
                    return Ok(None);
                };
                (Field::CompressionMethods, 2 + list.len())
            }
            Field::CompressionMethods => {
                let fits = |length| length >= 1;
                let Some(list) = vector::<1>(rest, left, fits, "no compression method")? else {
                    return Ok(None);
                };
                (Field::ExtensionsLength, 1 + list.len())
            }
            Field::ExtensionsLength => {
                let Some(length) = length::<2>(rest, left)? else { return Ok(None) };
                if 2 + length != left {
                    return Err("bytes after the extensions");
                }
                (Field::Extension, 2)
            }
            Field::Extension => {
                if left < EXTENSION_HEADER {
                    return Err(TOO_LONG);
                }
                let Some((kind, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
                let Some(data) = vector::<2>(rest, left - 2, |_| true, "")? else { return Ok(None) };
                self.extension(u16::from_be_bytes(*kind), data)?;
                (Field::Extension, EXTENSION_HEADER + data.len())
            }
        };
        self.field = next;
        Ok(Some(taken))
    }

    fn extension(&mut self, kind: u16, data: &[u8]) -> Result<(), &'static str> {
        let repeated = match kind {
            SERVER_NAME => self.server_name.replace(server_name(data)?).is_some(),
            ALPN => self.alpn.replace(protocols(data)?).is_some(),
            SUPPORTED_VERSIONS => self.tls13.replace(offers_tls13(data)?).is_some(),
            ENCRYPTED_CLIENT_HELLO | ENCRYPTED_SERVER_NAME => std::mem::replace(&mut self.ech, true),
            _ => false,
        };
        if repeated { Err("repeated extension") } else { Ok(()) }
    }
}

const TOO_LONG: &str = "length runs past the end of its field";

/// The body length in a handshake header, which may be there in part.
fn message_length(header: &[u8]) -> Partial<usize> {
    match *header {
        [kind, ..] if kind != CLIENT_HELLO => Err("handshake does not open with a ClientHello"),
        [_, high, ..] if high > 0 => Err("ClientHello is over 64 KiB"),
        [_, _, high, low, ..] => match usize::from(u16::from_be_bytes([high, low])) {
            length if HANDSHAKE_HEADER + RECORD_HEADER + length > MAX_HELLO => {
                Err("ClientHello is over 64 KiB")
            }
            length => Ok(Some(length)),
        },
        _ => Ok(None),
    }
}

/// Reads a length of `N` octets in front of something that has to end within `left` octets.
fn length<const N: usize>(rest: &[u8], left: usize) -> Partial<usize> {
    if left < N {
        return Err(TOO_LONG);
    }
    let Some(octets) = rest.first_chunk::<N>() else { return Ok(None) };
    let length = octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet));
    if length > left - N { Err(TOO_LONG) } else { Ok(Some(length)) }
}

/// Reads a vector behind its length of `N` octets; a length that is not `fit` is refused at once.
fn vector<'a, const N: usize>(
    rest: &'a [u8],
    left: usize,
    fits: impl FnOnce(usize) -> bool,
    unfit: &'static str,
) -> Partial<&'a [u8]> {
    match length::<N>(rest, left)? {
        Some(length) if !fits(length) => Err(unfit),
        Some(length) => Ok(rest.get(N..N + length)),
        None => Ok(None),
    }
}

/// Takes a vector off the front of something that is there in full.
fn split<const N: usize>(data: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let vector = vector::<N>(data, data.len(), |_| true, "")?.ok_or(TOO_LONG)?;
    Ok((vector, &data[N + vector.len()..]))
}

/// Reads data that is one vector and nothing else.
fn only<const N: usize>(data: &[u8]) -> Result<&[u8], &'static str> {
    match split::<N>(data)? {
        (vector, []) => Ok(vector),
        _ => Err("bytes after the end of an extension"),
    }
}

fn server_name(data: &[u8]) -> Result<ServerName, &'static str> {
    match only::<2>(data)? {
        [] => Err("empty list of server names"),
        [HOST_NAME, name @ ..] => match split::<2>(name)? {
            ([], _) => Err("empty server name"),
            (name, []) => Ok(ServerName::read(name)),
            _ => Err("more than one server name"),
        },
        _ => Err("server name of an unknown type"),
    }
}

fn protocols(data: &[u8]) -> Result<Vec<Box<[u8]>>, &'static str> {
    let mut list = only::<2>(data)?;
    let mut protocols = Vec::new();
    while !list.is_empty() {
        let (protocol, rest) = split::<1>(list)?;
        if protocol.is_empty() {
            return Err("empty application protocol");
        }
        protocols.push(protocol.into());
        list = rest;
    }
    if protocols.is_empty() { Err("empty list of application protocols") } else { Ok(protocols) }
}

fn offers_tls13(data: &[u8]) -> Result<bool, &'static str> {
    let (versions, odd) = only::<1>(data)?.as_chunks::<2>();
    if versions.is_empty() || !odd.is_empty() {
        return Err("bad list of supported versions");
    }
    Ok(versions.contains(&TLS13))
}
