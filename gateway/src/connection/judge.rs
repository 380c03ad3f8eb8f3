//! What to do with a connection, once it is known what it speaks. Pure; the connection carries it
//! out.

use std::net::SocketAddr;

use policy::{Name, Policy, Reason, Request, Rule, Scheme, Standing, Verdict};

use super::judged::{Denied, Judged};
use crate::sniff::authority::{Authority, Host};
use crate::sniff::client_hello::ServerName;
use crate::upstream::Destination;

/// What is known of a connection before its first byte.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The address that the job connected to.
    pub original_dst: SocketAddr,
    /// The names that have this address, as the gateway's own answers said.
    pub names: &'a [Name],
    /// The name of an enclosing CONNECT: what is inside must name the same host.
    pub tunnel: Option<&'a Name>,
    /// The server name of enclosing TLS: so must what is inside.
    pub server_name: Option<&'a Name>,
    /// Whether the address is one that only stands for its name.
    pub synthetic: bool,
}

impl<'a> Target<'a> {
    /// TLS with this server name, to be spliced.
    pub fn tls<'p>(&self, policy: &'p Policy, server_name: &ServerName) -> Judged<'p> {
        match server_name {
            ServerName::Name(name) => {
                if let Some(mismatch) = self.mismatch(name) {
                    return mismatch;
                }
                let port = self.original_dst.port();
                // TLS that is opened is opened for the name that the client checks.
                let full = self.full_name(policy, name).filter(|full| !policy.intercepts(full, port));
                let name = full.unwrap_or(name);
                self.named(policy, name, port, &Request::Tls { name, port })
            }
            ServerName::Absent => self.unnamed(policy, Reason::NoSni, None),
            ServerName::Invalid(text, _) => self.unnamed(policy, Reason::Malformed, Some(text.clone())),
        }
    }

    /// One HTTP request. `authority` is what the request itself names, in full.
    pub fn http<'p>(
        &self,
        policy: &'p Policy,
        scheme: Scheme,
        authority: Option<&Authority>,
        port: u16,
        method: &str,
        path: &str,
    ) -> Judged<'p> {
        let Some(authority) = authority else { return self.unnamed(policy, Reason::NoHost, None) };
        match &authority.host {
            Host::Name(name) => {
                if let Some(mismatch) = self.mismatch(name) {
                    return mismatch;
                }
                let request = Request::Http { scheme, host: name, port, method, path };
                self.named(policy, name, port, &request)
            }
            Host::Address(address) => {
                if self.tunnel.or(self.server_name).is_some() {
                    return self.denied(Reason::HostMismatch, Some(address.to_string()));
                }
                let destination = SocketAddr::new(*address, port);
                self.address(policy, destination, Some(address.to_string()))
            }
        }
    }

    /// The target of a CONNECT: the port says what a rule for it would cover, the bytes inside are
    /// judged once more.
    pub fn tunnel<'p>(&self, policy: &'p Policy, authority: &Authority, port: u16) -> Judged<'p> {
        let name = match &authority.host {
            Host::Name(name) => name,
            Host::Address(address) => {
                return self.address(policy, SocketAddr::new(*address, port), Some(address.to_string()));
            }
        };
        let tls = Request::Tls { name, port };
        let plain = Request::Http { scheme: Scheme::Http, host: name, port, method: "GET", path: "/" };
        let opaque = Request::Tcp { name, port };
        let destination = self.towards(name, port);
        let mut verdict = judge(policy, &tls);
        for request in [plain, opaque] {
            if verdict.is_err() {
                verdict = judge(policy, &request).or(verdict);
            }
        }
        Judged { verdict, destination, name: Some(name.to_string()) }
    }

    /// Bytes that are neither TLS nor HTTP.
    pub fn opaque<'p>(&self, policy: &'p Policy) -> Judged<'p> {
        let port = self.original_dst.port();
        let mut denied = None;
        for name in self.tunnel.into_iter().chain(self.names.iter().filter(|_| self.tunnel.is_none())) {
            let request = Request::Tcp { name, port };
            let destination = self.towards(name, port);
            match judge(policy, &request) {
                Ok(rule) => return Judged { verdict: Ok(rule), destination, name: Some(name.to_string()) },
                Err(why) => {
                    denied.get_or_insert(Judged {
                        verdict: Err(why),
                        destination,
                        name: Some(name.to_string()),
                    });
                }
            }
        }
        let address = self.address(policy, self.original_dst, None);
        match (address.verdict.is_ok(), denied) {
            (false, Some(denied)) => denied,
            _ => address,
        }
    }

    /// Bytes that are almost TLS or HTTP: only a rule for the address itself lets them through.
    pub fn malformed<'p>(&self, policy: &'p Policy) -> Judged<'p> {
        self.unnamed(policy, Reason::Malformed, None)
    }

    /// A protocol that is never judged inside, for instance HTTP/2 without TLS.
    pub fn unsupported<'p>(&self, policy: &'p Policy) -> Judged<'p> {
        self.unnamed(policy, Reason::ProtocolNotAllowed, None)
    }

    /// The host that a short name means, if it has this address: a search list or the hosts file led there. Rules
    /// that speak of the short name itself come first.
    pub(super) fn full_name(&self, policy: &Policy, short: &Name) -> Option<&'a Name> {
        if self.tunnel.or(self.server_name).is_some() {
            return None;
        }
        let is_full = |name: &&Name| matches!(name.as_str().split_once('.'), Some((first, _)) if first == short.as_str());
        // Hardly any name is short, so the rules are asked last.
        let full = self.names.iter().find(is_full)?;
        let resolve = Request::Resolve { name: short };
        (policy.judge(&resolve).standing(&resolve) == Standing::Open).then_some(full)
    }

    /// Whether TLS or HTTP that names a host of this address could be let through.
    pub fn may_be_named(&self, policy: &Policy) -> bool {
        let port = self.original_dst.port();
        self.tunnel.into_iter().chain(self.names).any(|name| {
            let tls = Request::Tls { name, port };
            let http = Request::Http { scheme: Scheme::Http, host: name, port, method: "GET", path: "/" };
            // A rule for some paths allows the host in part: only the reason for the root tells.
            judge(policy, &tls).is_ok()
                || judge(policy, &http).map_or_else(|denied| denied.reason != Reason::NotAllowed, |_| true)
        })
    }

    fn named<'p>(&self, policy: &'p Policy, name: &Name, port: u16, request: &Request<'_>) -> Judged<'p> {
        let destination = self.towards(name, port);
        let verdict = judge(policy, request);
        let Err(why) = verdict else {
            return Judged { verdict, destination, name: Some(name.to_string()) };
        };
        // A rule for the address lets those names through, to that address, which the job may know
        // and no rule limits: a foreign one may be another customer of the same server.
        let known = matches!(policy.judge(&Request::Resolve { name }), Verdict::Allow(_));
        let unlimited = why.rule.is_none() && why.reason == Reason::NotAllowed;
        if known && unlimited && port == self.original_dst.port() {
            let address = self.address(policy, self.original_dst, Some(name.to_string()));
            if address.verdict.is_ok() {
                return address;
            }
        }
        Judged { verdict: Err(why), destination, name: Some(name.to_string()) }
    }

    fn unnamed<'p>(&self, policy: &'p Policy, reason: Reason, name: Option<String>) -> Judged<'p> {
        let address = self.address(policy, self.original_dst, name.clone());
        match &address.verdict {
            Ok(_) => address,
            Err(why) => {
                let mut denied = self.denied(reason, name);
                // Only a rule for the address would help. For malformed bytes nobody should write one, unless what the
                // host may be sent anyway just looks like them.
                let may_be_another = self.names.is_empty() && reason != Reason::Malformed;
                let looks_like_it = matches!(reason, Reason::Malformed | Reason::ProtocolNotAllowed);
                if let Err(ours) = &mut denied.verdict
                    && self.tunnel.is_none()
                    && !self.synthetic
                    && (may_be_another || (looks_like_it && self.opaque(policy).verdict.is_ok()))
                {
                    ours.suggestion.clone_from(&why.suggestion);
                }
                denied
            }
        }
    }

    fn denied<'p>(&self, reason: Reason, name: Option<String>) -> Judged<'p> {
        let destination = Destination::Address(self.original_dst);
        let name = name.or_else(|| self.tunnel.or(self.names.first()).map(Name::to_string));
        Judged { verdict: Err(Denied::because(reason)), destination, name }
    }

    fn mismatch<'p>(&self, name: &Name) -> Option<Judged<'p>> {
        let other = |outer: &Name| outer != name;
        (self.tunnel.is_some_and(other) || self.server_name.is_some_and(other))
            .then(|| self.denied(Reason::HostMismatch, Some(name.to_string())))
    }

    fn address<'p>(&self, policy: &'p Policy, destination: SocketAddr, name: Option<String>) -> Judged<'p> {
        // An address inside a tunnel was never looked up, and a synthetic one is nobody's.
        let fits = self.tunnel.is_none() && !self.synthetic;
        let request = Request::TcpAddress { destination };
        let verdict = match judge(policy, &request) {
            Ok(_) if !fits => Err(Denied::because(Reason::IpNotAllowed)),
            verdict => verdict,
        };
        Judged { verdict, destination: Destination::Address(destination), name }
    }

    /// The name as the place to go, by the job's own choice of address if the gateway resolved it.
    fn towards(&self, name: &Name, port: u16) -> Destination {
        let own = self.names.contains(name) && !self.synthetic && port == self.original_dst.port();
        Destination::Name { name: name.clone(), port, preferred: own.then_some(self.original_dst) }
    }
}

fn judge<'p>(policy: &'p Policy, request: &Request<'_>) -> Result<&'p Rule, Denied<'p>> {
    match policy.judge(request) {
        Verdict::Allow(rule) => Ok(rule),
        Verdict::Deny(denial) => Err(Denied::new(denial, request)),
    }
}
