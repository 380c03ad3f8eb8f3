//! Whether a rule speaks of a request. This is the whole meaning of rules; the index only saves
//! looking at those that cannot fit.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{AddressService, Effect, Rule, Service, Subject, Url};
use crate::address::is_this_host;
use crate::{Name, Protocol, Request, Scheme};

/// How well a rule fits a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// The rule speaks of something else.
    No,
    /// A URL rule for this host, but for another path.
    PathDiffers,
    /// A URL rule for this host and path, but for other methods.
    MethodDiffers,
    /// The rule speaks of this request.
    Yes,
}

impl Rule {
    /// How well the rule fits. For an allow rule [`Request::Resolved`] fits by its name; whether
    /// the address may be private is not asked here.
    pub(crate) fn fit(&self, request: &Request<'_>) -> Fit {
        // An allowed port 53 makes a DNS server, whose questions are still filtered by name.
        if self.effect == Effect::Allow && request.is_other_than_dns() {
            return Fit::No;
        }
        match &self.subject {
            Subject::Host { pattern, service } => match request.name() {
                Some(name) if pattern.matches(name) => service.fit(self.effect, request),
                _ => Fit::No,
            },
            Subject::Address { range, service } => match request.address() {
                Some(address) if covers_address(*range, address) => {
                    service.fit(self.effect, address, request)
                }
                _ => Fit::No,
            },
            Subject::Loopback { .. } | Subject::Unix { .. } | Subject::Elsewhere { .. } => Fit::No,
        }
    }

    /// Whether the rule speaks of some requests inside TLS to this host and port, but not of the
    /// whole host.
    pub(crate) fn is_inside_tls(&self, name: &Name, port: u16) -> bool {
        matches!(&self.subject, Subject::Host { pattern, service: Service::Url(url) }
            if url.port == port && self.needs_interception() && pattern.matches(name))
    }

    /// Whether this is an address rule whose range holds the address, at whatever port.
    pub(crate) fn holds_address(&self, address: IpAddr) -> bool {
        matches!(&self.subject, Subject::Address { range, .. } if covers_address(*range, address))
            && !is_this_host(address)
    }
}

impl Service {
    fn fit(&self, effect: Effect, request: &Request<'_>) -> Fit {
        let is_allow = effect == Effect::Allow;
        match (self, request) {
            (Service::Everything, _) => Fit::Yes,
            (Service::Resolve, Request::Resolve { .. } | Request::Resolved { .. }) => Fit::Yes,
            (Service::Resolve, _) => Fit::No,
            // To reach any part of a host the job must learn its addresses; to be kept from a part
            // it need not be kept from learning them.
            (_, Request::Resolve { .. } | Request::Resolved { .. }) => yes_if(is_allow),
            (Service::Web, Request::Tls { port, .. }) => yes_if(*port == 443),
            (Service::Web, Request::Http { scheme, port, .. }) => yes_if(*port == scheme.default_port()),
            (Service::Web, _) => Fit::No,
            (Service::Ports { ports, protocol }, request) => yes_if(
                request.protocol_and_port().is_some_and(|(p, port)| p == *protocol && ports.contains(port)),
            ),
            (Service::Url(url), Request::Tls { port, .. }) => {
                let is_seen_whole = is_allow || url.is_whole_host();
                yes_if(url.scheme == Scheme::Https && url.port == *port && is_seen_whole)
            }
            (Service::Url(url), Request::Http { scheme, port, method, path, .. }) => {
                if url.scheme == *scheme && url.port == *port {
                    url.fit(effect, method, path)
                } else {
                    Fit::No
                }
            }
            (Service::Url(_), _) => Fit::No,
        }
    }
}

impl Url {
    /// In doubt an allow rule does not fit and a deny rule does: paths that servers read in more
    /// than one way, and the case of methods, which some servers ignore.
    fn fit(&self, effect: Effect, method: &str, path: &str) -> Fit {
        let (path_fits, same): (bool, fn(&str, &str) -> bool) = match effect {
            Effect::Allow => (self.path.allows(path), |a, b| a == b),
            Effect::Deny => (self.path.may_hold(path), str::eq_ignore_ascii_case),
        };
        if !path_fits {
            Fit::PathDiffers
        } else if self.methods.is_empty() || self.methods.iter().any(|own| same(own, method)) {
            Fit::Yes
        } else {
            Fit::MethodDiffers
        }
    }
}

impl AddressService {
    fn fit(self, effect: Effect, address: IpAddr, request: &Request<'_>) -> Fit {
        let AddressService::Ports { ports, protocol } = self else { return Fit::Yes };
        // What would be this host's own loopback is opened by `localhost` rules alone.
        if effect == Effect::Allow && is_this_host(address) {
            return Fit::No;
        }
        match request {
            Request::DnsServer { server } => yes_if(ports.contains(server.port())),
            Request::TcpAddress { destination } => {
                yes_if(ports.contains(destination.port()) && protocol == Protocol::Tcp)
            }
            Request::UdpAddress { destination } => {
                yes_if(ports.contains(destination.port()) && protocol == Protocol::Udp)
            }
            _ => Fit::No,
        }
    }
}

fn covers_address(range: IpNet, address: IpAddr) -> bool {
    range.contains(&address.to_canonical())
}

fn yes_if(condition: bool) -> Fit {
    if condition { Fit::Yes } else { Fit::No }
}
