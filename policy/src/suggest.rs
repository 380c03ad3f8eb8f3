//! The rule that would allow a denied request and as little else as rules can say.

use std::net::{IpAddr, SocketAddr};

use crate::address::is_this_host;
use crate::path::{is_ambiguous, normalise};
use crate::rule::{Service, Subject, is_method_list};
use crate::{Denial, Name, Pattern, PortRange, Protocol, Reason, Request, Scheme};

impl Denial<'_> {
    /// The text of the rule that would have allowed the request: [`Request::suggestion`], but for an
    /// HTTP request to a host that no rule speaks of the rule for the host. `None` as well where a
    /// deny rule decided, as no allow rule helps then.
    pub fn suggestion(&self, request: &Request<'_>) -> Option<String> {
        match *request {
            _ if self.rule.is_some() => None,
            Request::Http { scheme, host, port, .. } if self.reason == Reason::NotAllowed && port != 0 => {
                if port == scheme.default_port() {
                    Some(host.to_string())
                } else {
                    Some(host_and_port(host, port, Protocol::Tcp))
                }
            }
            _ => request.suggestion(),
        }
    }
}

impl Request<'_> {
    /// The rule's text, as it would stand after `--allow`. `None` where no short rule would do: a
    /// private address of a name (that takes `allow-private` in a rule's long form), an address of
    /// this host, port 0, what is no question to the port of DNS.
    pub fn suggestion(&self) -> Option<String> {
        if self.is_other_than_dns() || self.name().is_some_and(|name| name.as_str() == "localhost") {
            return None;
        }
        match *self {
            Request::Resolve { name } => Some(name.to_string()),
            Request::Resolved { .. } => None,
            Request::Tls { port: 0, .. }
            | Request::Http { port: 0, .. }
            | Request::Tcp { port: 0, .. }
            | Request::Udp { port: 0, .. } => None,
            Request::Tls { name, port: 443 } => Some(name.to_string()),
            Request::Tls { name, port } | Request::Tcp { name, port } => {
                Some(host_and_port(name, port, Protocol::Tcp))
            }
            Request::Udp { name, port } => Some(host_and_port(name, port, Protocol::Udp)),
            Request::Http { scheme, host, port, method, path } => {
                // A path that servers may read in more than one way is allowed with the whole host only.
                let path = if is_ambiguous(path) { "/".to_owned() } else { in_rule(path) };
                let methods = match scheme {
                    Scheme::Https if is_method_list(method) && !method.contains(',') => format!("{method} "),
                    _ => String::new(),
                };
                let port = if port == scheme.default_port() { String::new() } else { format!(":{port}") };
                Some(format!("{methods}{scheme}://{host}{port}{path}"))
            }
            Request::DnsServer { server } => address(server, ""),
            Request::TcpAddress { destination } => address(destination, ""),
            Request::UdpAddress { destination } => address(destination, "/udp"),
        }
    }
}

fn host_and_port(name: &Name, port: u16, protocol: Protocol) -> String {
    let service = Service::Ports { ports: PortRange::single(port), protocol };
    Subject::Host { pattern: Pattern::Exact(name.clone()), service }.to_string()
}

/// The path as a rule may write it: a rule takes no `*`, so it ends before that segment.
fn in_rule(path: &str) -> String {
    let mut path = normalise(path);
    if let Some(star) = path.find('*') {
        path.truncate(path[..star].rfind('/').map_or(0, |slash| slash + 1));
    }
    path
}

fn address(destination: SocketAddr, suffix: &str) -> Option<String> {
    let address = destination.ip().to_canonical();
    if destination.port() == 0 || is_this_host(address) {
        return None;
    }
    let port = destination.port();
    Some(match address {
        IpAddr::V4(address) => format!("{address}:{port}{suffix}"),
        IpAddr::V6(address) => format!("[{address}]:{port}{suffix}"),
    })
}
