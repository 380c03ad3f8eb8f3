//! Resolvers as users write them: plain, over TLS (RFC 7858) or over HTTPS (RFC 8484).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::{Name, NameError};

/// Whom the gateway asks for the addresses of allowed names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resolver {
    /// `192.0.2.1[:53]`, DNS over UDP and TCP.
    Plain {
        /// Where it listens.
        address: SocketAddr,
    },
    /// `tls://9.9.9.9[:853]#dns.quad9.net`
    Tls {
        /// Where it listens.
        address: SocketAddr,
        /// The name that its certificate must carry.
        name: Name,
    },
    /// `https://9.9.9.9[:443]/dns-query#dns.quad9.net`
    Https {
        /// Where it listens.
        address: SocketAddr,
        /// The name that its certificate must carry.
        name: Name,
        /// The path of its URL, with the leading slash.
        path: String,
    },
}

/// Why a text names no resolver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolverError {
    /// The server is not an address.
    #[error("`{0}` is not an address: write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53")]
    NotAnAddress(String),
    /// A scheme other than `tls` and `https`.
    #[error("`{0}://` is not a way to ask a resolver: write tls:// or https://, or only the address")]
    Scheme(String),
    /// No name to check the certificate against.
    #[error("the name in the resolver's certificate is missing: write {0}#dns.example.com")]
    NameMissing(String),
    /// Something that is no name behind `#`.
    #[error("the name behind `#`: {0}")]
    Name(NameError),
    /// A path where there is none, or a path that no URL can have.
    #[error("`{0}` cannot follow the address: only https:// has a path, such as /dns-query")]
    Path(String),
}

impl Resolver {
    /// Reads a resolver as `--resolver` and policy files take it.
    pub fn parse(text: &str) -> Result<Resolver, ResolverError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Resolver::Plain { address: socket_address(text, 53)? });
        };
        let (rest, name) = match rest.split_once('#') {
            Some((rest, name)) => (rest, Some(name)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let checked = |default_port| {
            let address = socket_address(authority, default_port)?;
            let name = name.ok_or_else(|| ResolverError::NameMissing(text.to_owned()))?;
            Ok((address, Name::parse(name).map_err(ResolverError::Name)?))
        };
        match scheme {
            "tls" if !path.is_empty() => Err(ResolverError::Path(path.to_owned())),
            "tls" => checked(853).map(|(address, name)| Resolver::Tls { address, name }),
            "https" if path.bytes().any(|byte| !byte.is_ascii_graphic()) => {
                Err(ResolverError::Path(path.to_owned()))
            }
            "https" => {
                let path = if path.is_empty() { "/dns-query" } else { path }.to_owned();
                checked(443).map(|(address, name)| Resolver::Https { address, name, path })
            }
            other => Err(ResolverError::Scheme(other.to_owned())),
        }
    }

    /// Where the resolver listens.
    pub fn address(&self) -> SocketAddr {
        match self {
            Resolver::Plain { address } | Resolver::Tls { address, .. } | Resolver::Https { address, .. } => {
                *address
            }
        }
    }
}

fn socket_address(text: &str, default_port: u16) -> Result<SocketAddr, ResolverError> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let alone: Option<IpAddr> = match bracketed {
        Some(inside) => inside.parse().ok().filter(IpAddr::is_ipv6),
        None => text.parse().ok().filter(IpAddr::is_ipv4),
    };
    let address = match alone {
        Some(address) => Some(SocketAddr::new(address, default_port)),
        None => text.parse().ok(),
    };
    address.filter(|address| address.port() != 0).ok_or_else(|| ResolverError::NotAnAddress(text.to_owned()))
}

/// The canonical text, with the port.
impl fmt::Display for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resolver::Plain { address } => write!(f, "{address}"),
            Resolver::Tls { address, name } => write!(f, "tls://{address}#{name}"),
            Resolver::Https { address, name, path } => write!(f, "https://{address}{path}#{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for (text, canonical) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:54", "[2001:db8::1]:54"),
            ("tls://9.9.9.9#dns.quad9.net", "tls://9.9.9.9:853#dns.quad9.net"),
            ("https://9.9.9.9#dns.quad9.net", "https://9.9.9.9:443/dns-query#dns.quad9.net"),
            ("https://[2620:fe::fe]:8443/q#dns.quad9.net", "https://[2620:fe::fe]:8443/q#dns.quad9.net"),
        ] {
            let resolver = Resolver::parse(text).unwrap();
            assert_eq!(resolver.to_string(), canonical);
            assert_eq!(Resolver::parse(canonical), Ok(resolver));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text: &str| Resolver::parse(text).unwrap_err().to_string();
        for text in ["", "dns.example", "2001:db8::1", "192.0.2.1:0", "[192.0.2.1]", "[::1", "192.0.2.1:x"] {
            assert_eq!(Resolver::parse(text), Err(ResolverError::NotAnAddress(text.into())), "{text}");
        }
        assert_eq!(
            error("tls://9.9.9.9"),
            "the name in the resolver's certificate is missing: write tls://9.9.9.9#dns.example.com"
        );
        assert_eq!(
            error("tls://9.9.9.9#1.2"),
            "the name behind `#`: a name that ends in a number is read as an address"
        );
        assert!(error("udp://9.9.9.9").starts_with("`udp://` is not a way"));
        assert!(error("tls://9.9.9.9/x#a.b").starts_with("`/x` cannot follow"));
    }
}
