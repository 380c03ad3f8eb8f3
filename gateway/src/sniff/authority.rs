//! `host[:port]`, as it stands in `Host`, in CONNECT and in absolute targets. Pure; its callers are
//! the HTTP parsers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy::{Name, NameError};

/// A host and perhaps a port (RFC 3986 section 3.2, without user information).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port, 1 to 65535; absent when the scheme's own is meant.
    pub port: Option<u16>,
}

/// A host by name or by address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A host name.
    Name(Name),
    /// An IPv4 address of four decimal numbers, or an IPv6 address that stood in brackets.
    Address(IpAddr),
}

/// Why a text is not an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityError {
    /// There is no host.
    Empty,
    /// `user@` stands in front.
    UserInfo,
    /// The host is neither a name nor an address.
    Host(NameError),
    /// Brackets around something other than an IPv6 address without a zone.
    Brackets,
    /// Something other than a decimal 1-65535 without a leading zero follows the host.
    Port,
}

impl AuthorityError {
    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthorityError::Empty => "authority without a host",
            AuthorityError::UserInfo => "user information in authority",
            AuthorityError::Host(NameError::LooksLikeAddress) => "host is an address in an uncommon form",
            AuthorityError::Host(_) => "host is neither a name nor an address",
            AuthorityError::Brackets => "brackets hold no IPv6 address",
            AuthorityError::Port => "port is not a number from 1 to 65535",
        }
    }
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for AuthorityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AuthorityError::Host(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => write!(f, "{name}"),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Reads an authority in full.
pub fn parse(bytes: &[u8]) -> Result<Authority, AuthorityError> {
    if bytes.contains(&b'@') {
        return Err(AuthorityError::UserInfo);
    }
    let (host, rest) = match bytes.strip_prefix(b"[") {
        Some(inner) => {
            let (inner, rest) = split_at(inner, b']').ok_or(AuthorityError::Brackets)?;
            (Host::Address(ipv6(inner)?), &rest[1..])
        }
        None => {
            let (host, rest) = split_at(bytes, b':').unwrap_or((bytes, b""));
            (name_or_ipv4(host)?, rest)
        }
    };
    let port = match rest {
        b"" => None,
        [b':', digits @ ..] => Some(port(digits)?),
        _ => return Err(AuthorityError::Port),
    };
    Ok(Authority { host, port })
}

/// What precedes the first `separator`, and the rest with it.
fn split_at(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    Some(bytes.split_at(at))
}

fn ipv6(bytes: &[u8]) -> Result<IpAddr, AuthorityError> {
    let address = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
    address.map(IpAddr::V6).ok_or(AuthorityError::Brackets)
}

fn name_or_ipv4(bytes: &[u8]) -> Result<Host, AuthorityError> {
    if bytes.is_empty() {
        return Err(AuthorityError::Empty);
    }
    let address = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Ipv4Addr>().ok());
    match address {
        Some(address) => Ok(Host::Address(address.into())),
        None => Name::from_ascii(bytes).map(Host::Name).map_err(AuthorityError::Host),
    }
}

fn port(digits: &[u8]) -> Result<u16, AuthorityError> {
    if digits.is_empty() || digits[0] == b'0' || !digits.iter().all(u8::is_ascii_digit) {
        return Err(AuthorityError::Port);
    }
    let text = std::str::from_utf8(digits).map_err(|_| AuthorityError::Port)?;
    text.parse().map_err(|_| AuthorityError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, AuthorityError> {
        parse(text.as_bytes()).map(|authority| authority.to_string())
    }

    #[test]
    fn reads_names_and_addresses() {
        assert_eq!(shown("Example.COM"), Ok("example.com".into()));
        assert_eq!(shown("example.com.:8080"), Ok("example.com:8080".into()));
        assert_eq!(shown("192.0.2.7:1"), Ok("192.0.2.7:1".into()));
        assert_eq!(shown("[2001:DB8::1]:65535"), Ok("[2001:db8::1]:65535".into()));
        assert_eq!(shown("[::ffff:192.0.2.7]"), Ok("[::ffff:192.0.2.7]".into()));
    }

    #[test]
    fn refuses_uncommon_address_forms() {
        let uncommon = Err(AuthorityError::Host(NameError::LooksLikeAddress));
        for text in ["0x7f.1", "2130706433", "127.1", "0177.0.0.1", "192.0.2.07", "1.2.3.4.", "1.2.3.256"] {
            assert_eq!(shown(text), uncommon, "{text}");
        }
        for text in ["[fe80::1%eth0]", "[fe80::1%25eth0]", "[192.0.2.7]", "[::1", "[]", "[v1.x]", "[ ::1]"] {
            assert_eq!(shown(text), Err(AuthorityError::Brackets), "{text}");
        }
    }

    #[test]
    fn refuses_ports_with_junk() {
        for text in ["a:", "a:0", "a:080", "a:+80", "a:-1", "a:65536", "a: 80", "a:80 ", "a:8:0", "[::1]80"] {
            assert_eq!(shown(text), Err(AuthorityError::Port), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_host() {
        for text in ["", ":80"] {
            assert_eq!(shown(text), Err(AuthorityError::Empty), "{text}");
        }
        for text in ["user@a", "u:p@a:80", "a:80@b", "@"] {
            assert_eq!(shown(text), Err(AuthorityError::UserInfo), "{text}");
        }
        for text in ["a b", "a,b", "a/b", "a%2eb", "::1", "a\0", "*", "a\\b"] {
            assert!(shown(text).is_err(), "{text}");
        }
    }
}
