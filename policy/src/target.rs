//! What a user asks about: a URL, or a host or address with a port.

use std::net::{IpAddr, SocketAddr};

use crate::rule::{is_method_list, split_port_text};
use crate::{Name, NameError, Protocol, Request, Scheme};

/// A destination as a user writes it, which stands for the requests that a job would make there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Url { method: String, scheme: Scheme, host: Name, port: u16, path: String },
    Web { host: Name },
    Port { host: Name, port: u16, protocol: Protocol },
    Address { address: SocketAddr, protocol: Protocol },
}

/// Why a text is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The host is no name and no address.
    #[error("`{host}` is not a host: {cause}")]
    Host {
        /// The host as written.
        host: String,
        /// What is wrong with it.
        cause: NameError,
    },
    /// More or less than one port.
    #[error("`{0}` is not a port: write one number from 1 to 65535, perhaps with /udp")]
    Port(String),
    /// An address alone.
    #[error("an address needs a port: write {0}:443")]
    AddressWithoutPort(String),
    /// An address as the host of a URL: rules for URLs speak of names.
    #[error("URLs are judged by host name: write {0}")]
    UrlAddress(String),
    /// A scheme other than http and https.
    #[error("`{0}://` is not a scheme that is judged: write https:// or http://")]
    Scheme(String),
    /// The job's own loopback.
    #[error("localhost is the job's own; rules such as localhost:5432 put ports of the host there")]
    Localhost,
    /// Words in front of the target that are no method.
    #[error("`{0}` is not a method: write one in upper case, such as GET")]
    Method(String),
}

/// Reads `[METHOD ]URL`, `HOST`, `HOST:PORT` or `ADDRESS:PORT`, the last two perhaps with `/udp`.
pub fn parse_target(text: &str) -> Result<Target, TargetError> {
    let text = text.trim();
    let (method, text) = text.split_once(' ').unwrap_or(("GET", text));
    if !is_method_list(method) || method.contains(',') {
        return Err(TargetError::Method(method.to_owned()));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return url(method, scheme, rest).map(Target);
    }
    let (address, protocol) = match text.strip_suffix("/udp") {
        Some(address) => (address, Protocol::Udp),
        None => (text.strip_suffix("/tcp").unwrap_or(text), Protocol::Tcp),
    };
    if let Ok(address) = address.parse() {
        return Ok(Target(Kind::Address { address, protocol }));
    }
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    match bare.parse() {
        Ok(IpAddr::V4(address)) => return Err(TargetError::AddressWithoutPort(address.to_string())),
        Ok(IpAddr::V6(address)) => return Err(TargetError::AddressWithoutPort(format!("[{address}]"))),
        Err(_) => {}
    }
    match text.split_once(':') {
        None => Ok(Target(Kind::Web { host: name(text)? })),
        Some((host, port_text)) => {
            let (port, protocol) = port(port_text)?;
            Ok(Target(Kind::Port { host: name(host)?, port, protocol }))
        }
    }
}

fn url(method: &str, scheme: &str, rest: &str) -> Result<Kind, TargetError> {
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => return Err(TargetError::Scheme(other.to_owned())),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = path.split('?').next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let behind_bracket = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, number) = match authority[behind_bracket..].find(':') {
        Some(colon) => {
            let (number, _) = port(&authority[behind_bracket + colon + 1..])?;
            (&authority[..behind_bracket + colon], number)
        }
        None => (authority, scheme.default_port()),
    };
    if host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok() {
        return Err(TargetError::UrlAddress(format!("{host}:{number}")));
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok(Kind::Url {
        method: method.to_owned(),
        scheme,
        host: name(host)?,
        port: number,
        path: path.to_owned(),
    })
}

fn name(host: &str) -> Result<Name, TargetError> {
    let name = Name::parse(host).map_err(|cause| TargetError::Host { host: host.to_owned(), cause })?;
    if name.as_str() == "localhost" { Err(TargetError::Localhost) } else { Ok(name) }
}

fn port(text: &str) -> Result<(u16, Protocol), TargetError> {
    match split_port_text(text) {
        Ok((ports, protocol)) if ports.first() == ports.last() => Ok((ports.first(), protocol)),
        _ => Err(TargetError::Port(text.to_owned())),
    }
}

impl Target {
    /// The requests that a job would make to get there, in their order. A port of a host stands for
    /// whatever may be spoken on it.
    pub fn requests(&self) -> Vec<Request<'_>> {
        match &self.0 {
            Kind::Url { method, scheme, host, port, path } => {
                let (scheme, port) = (*scheme, *port);
                let mut requests = vec![Request::Resolve { name: host }];
                if scheme == Scheme::Https {
                    requests.push(Request::Tls { name: host, port });
                }
                requests.push(Request::Http { scheme, host, port, method, path });
                requests
            }
            Kind::Web { host: name } => {
                vec![Request::Resolve { name }, Request::Tls { name, port: 443 }, plain_http(name, 80)]
            }
            &Kind::Port { host: ref name, port, protocol: Protocol::Tcp } => vec![
                Request::Resolve { name },
                Request::Tls { name, port },
                plain_http(name, port),
                Request::Tcp { name, port },
            ],
            &Kind::Port { host: ref name, port, protocol: Protocol::Udp } => {
                vec![Request::Resolve { name }, Request::Udp { name, port }]
            }
            &Kind::Address { address: server, .. } if server.port() == 53 => {
                vec![Request::DnsServer { server }]
            }
            &Kind::Address { address: destination, protocol: Protocol::Tcp } => {
                vec![Request::TcpAddress { destination }]
            }
            &Kind::Address { address: destination, protocol: Protocol::Udp } => {
                vec![Request::UdpAddress { destination }]
            }
        }
    }
}

fn plain_http(host: &Name, port: u16) -> Request<'_> {
    Request::Http { scheme: Scheme::Http, host, port, method: "GET", path: "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(text: &str) -> Vec<String> {
        parse_target(text).unwrap().requests().iter().map(Request::to_string).collect()
    }

    #[test]
    fn targets_stand_for_requests() {
        assert_eq!(requests("A.test"), ["resolve a.test", "tls a.test:443", "GET http://a.test/"]);
        assert_eq!(
            requests("a.test:22"),
            ["resolve a.test", "tls a.test:22", "GET http://a.test:22/", "tcp a.test:22"]
        );
        assert_eq!(requests("a.test:123/udp"), ["resolve a.test", "udp a.test:123"]);
        assert_eq!(
            requests("PUT https://u@a.test:8443/x/../y?q#f"),
            ["resolve a.test", "tls a.test:8443", "PUT https://a.test:8443/x/../y"]
        );
        assert_eq!(requests("http://a.test?q"), ["resolve a.test", "GET http://a.test/"]);
        assert_eq!(requests("192.0.2.1:443"), ["tcp 192.0.2.1:443"]);
        assert_eq!(requests("[2001:db8::1]:443/udp"), ["udp [2001:db8::1]:443"]);
        assert_eq!(requests("192.0.2.1:53"), ["ask DNS server 192.0.2.1:53"]);
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text: &str| parse_target(text).unwrap_err().to_string();
        assert_eq!(error("192.0.2.1"), "an address needs a port: write 192.0.2.1:443");
        assert_eq!(error("2001:db8::1"), "an address needs a port: write [2001:db8::1]:443");
        assert_eq!(error("https://[2001:db8::1]/x"), "URLs are judged by host name: write [2001:db8::1]:443");
        assert_eq!(error("a..b"), "`a..b` is not a host: empty label in name");
        assert_eq!(
            error("a.test:1-2"),
            "`1-2` is not a port: write one number from 1 to 65535, perhaps with /udp"
        );
        assert!(error("localhost:80").starts_with("localhost is the job's own"));
        assert!(error("ftp://a.test").starts_with("`ftp://`"));
        assert!(error("get https://a.test").starts_with("`get` is not a method"));
    }
}
