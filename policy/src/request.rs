//! What the DNS server and the gateway ask the policy.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::{Name, Protocol};

/// The port of DNS, over UDP and TCP (RFC 1035 section 4.2).
const DNS: u16 = 53;

/// One thing that the job wants to do, in terms that a rule can decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Learn the addresses of a name.
    Resolve {
        /// The name in the question.
        name: &'a Name,
    },
    /// Send a DNS question to this server. Only the server is judged; the name in the question is
    /// a [`Request::Resolve`] of its own.
    DnsServer {
        /// The address that the question was sent to.
        server: SocketAddr,
    },
    /// Take this address as one of an allowed name: private and metadata addresses need a rule
    /// that says so.
    Resolved {
        /// The name that resolved.
        name: &'a Name,
        /// One address that upstream gave for it.
        address: IpAddr,
    },
    /// Speak TLS with this server name, untouched.
    Tls {
        /// The SNI.
        name: &'a Name,
        /// The destination port.
        port: u16,
    },
    /// Send one HTTP request.
    Http {
        /// Plain or inside TLS.
        scheme: Scheme,
        /// The host that the request names.
        host: &'a Name,
        /// The destination port.
        port: u16,
        /// The method, as sent.
        method: &'a str,
        /// The request target's path without the query, as sent.
        path: &'a str,
    },
    /// Exchange opaque bytes over TCP with a name, known from a pin or a CONNECT target.
    Tcp {
        /// The name.
        name: &'a Name,
        /// The destination port.
        port: u16,
    },
    /// Exchange opaque bytes over TCP with an address.
    TcpAddress {
        /// The destination.
        destination: SocketAddr,
    },
    /// Exchange datagrams with a name, known from a pin.
    Udp {
        /// The name.
        name: &'a Name,
        /// The destination port.
        port: u16,
    },
    /// Exchange datagrams with an address.
    UdpAddress {
        /// The destination.
        destination: SocketAddr,
    },
}

impl<'a> Request<'a> {
    /// The name that the request is about; `None` if it is about an address alone.
    pub fn name(&self) -> Option<&'a Name> {
        match *self {
            Request::Resolve { name }
            | Request::Resolved { name, .. }
            | Request::Tls { name, .. }
            | Request::Http { host: name, .. }
            | Request::Tcp { name, .. }
            | Request::Udp { name, .. } => Some(name),
            Request::DnsServer { .. } | Request::TcpAddress { .. } | Request::UdpAddress { .. } => None,
        }
    }

    /// The address that the request is about, IPv4 where it is IPv4-mapped IPv6; `None` if it is
    /// about a name alone.
    pub fn address(&self) -> Option<IpAddr> {
        let address = match *self {
            Request::DnsServer { server } => server.ip(),
            Request::Resolved { address, .. } => address,
            Request::TcpAddress { destination } | Request::UdpAddress { destination } => destination.ip(),
            _ => return None,
        };
        Some(address.to_canonical())
    }

    /// Whether these are bytes of whatever kind to a DNS server, rather than a question: they would go round the filter
    /// of names, as two octets of an HTTP method are a length to it (RFC 1035 section 4.2.2).
    pub(crate) fn is_other_than_dns(&self) -> bool {
        let port = match *self {
            Request::TcpAddress { destination } | Request::UdpAddress { destination } => {
                Some(destination.port())
            }
            _ => self.protocol_and_port().map(|(_, port)| port),
        };
        port == Some(DNS)
    }

    /// The transport and port of a request to a name.
    pub(crate) fn protocol_and_port(&self) -> Option<(Protocol, u16)> {
        match *self {
            Request::Tls { port, .. } | Request::Http { port, .. } | Request::Tcp { port, .. } => {
                Some((Protocol::Tcp, port))
            }
            Request::Udp { port, .. } => Some((Protocol::Udp, port)),
            _ => None,
        }
    }
}

/// For people: `resolve a.example`, `tls a.example:443`, `GET https://a.example/p`, and so on. What
/// the job sent is escaped.
impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Request::Resolve { name } => write!(f, "resolve {name}"),
            Request::DnsServer { server } => write!(f, "ask DNS server {server}"),
            Request::Resolved { name, address } => write!(f, "take {address} as {name}"),
            Request::Tls { name, port } => write!(f, "tls {name}:{port}"),
            Request::Http { scheme, host, port, method, path } => {
                write!(f, "{} {scheme}://{host}", method.escape_default())?;
                if port != scheme.default_port() {
                    write!(f, ":{port}")?;
                }
                write!(f, "{}", path.escape_default())
            }
            Request::Tcp { name, port } => write!(f, "tcp {name}:{port}"),
            Request::TcpAddress { destination } => write!(f, "tcp {destination}"),
            Request::Udp { name, port } => write!(f, "udp {name}:{port}"),
            Request::UdpAddress { destination } => write!(f, "udp {destination}"),
        }
    }
}

/// Whether HTTP runs inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `http`, port 80 unless named.
    Http,
    /// `https`, port 443 unless named.
    Https,
}

impl Scheme {
    /// The port of a URL that names none.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        })
    }
}
