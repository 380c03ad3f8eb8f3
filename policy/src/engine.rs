//! The policy and its verdicts.

use std::fmt;
use std::net::IpAddr;

use crate::address::is_private_address;
use crate::index::Index;
use crate::rule::{AddressService, Fit, Service, Subject};
use crate::settings::{DnsSettings, Limits, Mode};
use crate::{Effect, Name, PortRange, PortSet, Protocol, Reason, Request, Rule, Scheme, Watch};

/// What a job may do: rules, and the settings that files give beside them. Made by
/// [`PolicyBuilder`](crate::PolicyBuilder); it never changes afterwards.
#[derive(Debug, Clone)]
pub struct Policy {
    mode: Mode,
    rules: Box<[Rule]>,
    dns: DnsSettings,
    limits: Limits,
    watch: Watch,
    allow: Index,
    deny: Index,
    tcp: PortSet,
    udp: PortSet,
    loopback: PortSet,
}

/// What the policy says to a request. It is the same in both modes: whether a denial is enforced or
/// only recorded is up to who asks.
#[derive(Debug, Clone, Copy)]
pub enum Verdict<'p> {
    /// Let it through, because of this rule.
    Allow(&'p Rule),
    /// Refuse it.
    Deny(Denial<'p>),
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy)]
pub struct Denial<'p> {
    /// The reason for logs.
    pub reason: Reason,
    /// The deny rule, if one decided; `None` if no rule allows the request.
    pub rule: Option<&'p Rule>,
}

impl Policy {
    pub(crate) fn new(mode: Mode, rules: Vec<Rule>, dns: DnsSettings, limits: Limits) -> Policy {
        let allow = Index::new(&rules, |rule| rule.effect() == Effect::Allow);
        let deny = Index::new(&rules, |rule| rule.effect() == Effect::Deny);
        let tcp = ports_allowed(&rules, Protocol::Tcp);
        let udp = ports_allowed(&rules, Protocol::Udp);
        let loopback = loopback(&rules, Effect::Allow).without(&loopback(&rules, Effect::Deny));
        let watch = Watch::default();
        Policy { mode, rules: rules.into(), dns, limits, watch, allow, deny, tcp, udp, loopback }
    }

    pub(crate) fn with_watch(self, watch: Watch) -> Policy {
        Policy { watch, ..self }
    }

    /// Says whether the request may pass. Deny rules win over allow rules, and what no rule allows
    /// is denied.
    ///
    /// [`Request::Tls`] to a host of which rules allow only some URLs is allowed, by such a rule:
    /// ask [`Policy::intercepts`] before relaying, and judge each [`Request::Http`] inside.
    ///
    /// Nothing is allocated. The time does not grow with the number of rules, but for rules that
    /// speak of the same host, which are looked at one after the other.
    pub fn judge(&self, request: &Request<'_>) -> Verdict<'_> {
        if let Some(rule) = self.candidates(&self.deny, request).find(|rule| rule.fit(request) == Fit::Yes) {
            return Verdict::Deny(Denial { reason: reason_of(rule, request), rule: Some(rule) });
        }
        let decided = match *request {
            Request::Resolved { address, .. } => self.allow_resolved(request, address),
            Request::Tls { .. } => self.allow_tls(request),
            _ => self.allow_plain(request),
        };
        match decided {
            Ok(rule) => Verdict::Allow(rule),
            Err(reason) => Verdict::Deny(Denial { reason, rule: None }),
        }
    }

    /// Whether TLS to this host and port must be opened to judge what is inside: an `https` URL
    /// rule with a path or methods speaks of it, and no allow rule lets all of it pass anyway.
    /// Whether TLS is allowed at all is another question, for [`Policy::judge`].
    pub fn intercepts(&self, name: &Name, port: u16) -> bool {
        let tls = Request::Tls { name, port };
        if self.candidates(&self.deny, &tls).any(|rule| rule.is_inside_tls(name, port)) {
            return true;
        }
        match self.allow_tls(&tls) {
            Ok(rule) => rule.needs_interception(),
            Err(_) => false,
        }
    }

    /// Whether denials are enforced or only recorded.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Every rule, in the order in which the sources were added.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How names are answered and resolved.
    pub fn dns(&self) -> &DnsSettings {
        &self.dns
    }

    /// Bounds on size, number and time.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What is to be told of the job's programs and files.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Ports of the host's loopback that the job is offered on its own; [`PortSet::is_all`] for
    /// `localhost:*`.
    pub fn loopback_ports(&self) -> &PortSet {
        &self.loopback
    }

    /// Paths of the sockets that stay visible to the job.
    pub fn unix_sockets(&self) -> impl Iterator<Item = &str> {
        let paths =
            |effect| self.rules.iter().filter(move |rule| rule.effect() == effect).filter_map(unix_path);
        paths(Effect::Allow).filter(move |path| paths(Effect::Deny).all(|denied| denied != *path))
    }

    /// Whether some allow rule lets TCP to this port of something through. Deny rules are not asked.
    pub fn may_allow_tcp(&self, port: u16) -> bool {
        self.tcp.contains(port)
    }

    /// Whether some allow rule lets UDP to this port of something through. Deny rules are not asked.
    pub fn may_allow_udp(&self, port: u16) -> bool {
        self.udp.contains(port)
    }

    /// Whether some allow rule is for this address, or for a range that has it. Deny rules are not asked.
    pub fn may_allow_address(&self, address: IpAddr) -> bool {
        self.allow.for_address(address).next().is_some()
    }

    /// The rules that have an effect only where TLS is intercepted: `https` URL rules with a path or
    /// with methods.
    pub fn needs_interception(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.needs_interception())
    }

    /// Other rules of an effect that may speak of all that this one speaks of.
    pub(crate) fn around<'p>(&'p self, rule: &'p Rule, effect: Effect) -> impl Iterator<Item = &'p Rule> {
        let index = match effect {
            Effect::Allow => &self.allow,
            Effect::Deny => &self.deny,
        };
        index
            .around(rule)
            .into_iter()
            .filter_map(|number| self.rules.get(number as usize))
            .filter(move |other| !std::ptr::eq(*other, rule))
    }

    /// The allow rules that may speak of a name, with their places in [`Policy::rules`].
    pub(crate) fn allow_rules_for<'p>(&'p self, name: &Name) -> impl Iterator<Item = (usize, &'p Rule)> {
        let numbers = self.allow.for_name(name).map(|number| number as usize);
        numbers.filter_map(|number| Some((number, self.rules.get(number)?)))
    }

    /// The rules that an index finds for a name, and then for an address.
    fn candidates<'p, 'r>(
        &'p self,
        index: &'p Index,
        request: &Request<'r>,
    ) -> impl Iterator<Item = &'p Rule> + use<'p, 'r> {
        let named = request.name().into_iter().flat_map(|name| index.for_name(name));
        let addressed = request.address().into_iter().flat_map(|address| index.for_address(address));
        named.chain(addressed).filter_map(|number| self.rules.get(number as usize))
    }

    fn allow_plain(&self, request: &Request<'_>) -> Result<&Rule, Reason> {
        let mut best = Fit::No;
        for rule in self.candidates(&self.allow, request) {
            match rule.fit(request) {
                Fit::Yes => return Ok(rule),
                fit => best = best.max(fit),
            }
        }
        Err(match best {
            Fit::PathDiffers => Reason::PathNotAllowed,
            Fit::MethodDiffers => Reason::MethodNotAllowed,
            Fit::No | Fit::Yes => default_reason(request),
        })
    }

    /// Prefers a rule that needs no interception.
    fn allow_tls(&self, request: &Request<'_>) -> Result<&Rule, Reason> {
        let mut inside = None;
        for rule in self.candidates(&self.allow, request).filter(|rule| rule.fit(request) == Fit::Yes) {
            if !rule.needs_interception() {
                return Ok(rule);
            }
            inside = Some(rule);
        }
        inside.ok_or_else(|| default_reason(request))
    }

    fn allow_resolved(&self, request: &Request<'_>, address: IpAddr) -> Result<&Rule, Reason> {
        let is_private = is_private_address(address);
        let mut named = false;
        for rule in self.candidates(&self.allow, request) {
            let fits = rule.fit(request) == Fit::Yes;
            named |= fits;
            // Names come before addresses, so that an address rule alone does not allow the name.
            if (fits && (rule.allow_private() || !is_private)) || (named && rule.holds_address(address)) {
                return Ok(rule);
            }
        }
        Err(if named { Reason::PrivateAddress } else { Reason::NotAllowed })
    }
}

/// The reason where no rule speaks of the request.
fn default_reason(request: &Request<'_>) -> Reason {
    match request {
        Request::DnsServer { .. } => Reason::DnsServerNotAllowed,
        Request::TcpAddress { .. } | Request::UdpAddress { .. } => Reason::IpNotAllowed,
        _ if request.is_other_than_dns() => Reason::ProtocolNotAllowed,
        _ => Reason::NotAllowed,
    }
}

/// The reason where this deny rule decided.
fn reason_of(rule: &Rule, request: &Request<'_>) -> Reason {
    match (rule.subject(), request) {
        (_, Request::DnsServer { .. }) => Reason::DnsServerNotAllowed,
        (Subject::Address { .. }, _) => Reason::IpNotAllowed,
        (Subject::Host { service: Service::Url(url), .. }, _) if !url.methods.is_empty() => {
            Reason::MethodNotAllowed
        }
        (Subject::Host { service: Service::Url(url), .. }, _) if !url.path.is_root() => {
            Reason::PathNotAllowed
        }
        _ => Reason::NotAllowed,
    }
}

fn unix_path(rule: &Rule) -> Option<&str> {
    match rule.subject() {
        Subject::Unix { path } => Some(path),
        _ => None,
    }
}

fn loopback(rules: &[Rule], effect: Effect) -> PortSet {
    let ports = |rule: &Rule| match rule.subject() {
        Subject::Loopback { ports } => Some(*ports),
        _ => None,
    };
    rules.iter().filter(|rule| rule.effect() == effect).filter_map(ports).collect()
}

fn ports_allowed(rules: &[Rule], wanted: Protocol) -> PortSet {
    let mut ranges = Vec::new();
    for rule in rules.iter().filter(|rule| rule.effect() == Effect::Allow) {
        match rule.subject() {
            Subject::Host { service: Service::Web, .. } if wanted == Protocol::Tcp => {
                ranges.extend(
                    [Scheme::Http, Scheme::Https].map(|scheme| PortRange::single(scheme.default_port())),
                );
            }
            Subject::Host { service: Service::Url(url), .. } if wanted == Protocol::Tcp => {
                ranges.push(PortRange::single(url.port));
            }
            Subject::Host { service: Service::Ports { ports, protocol }, .. }
            | Subject::Address { service: AddressService::Ports { ports, protocol }, .. }
                if *protocol == wanted =>
            {
                ranges.push(*ports);
            }
            _ => {}
        }
    }
    ranges.into_iter().collect()
}

/// For people: `allow by example.com (policy.toml:3:5)` or `deny: not-allowed`.
impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Allow(rule) => write!(f, "allow by {} ({})", rule.text(), rule.origin()),
            Verdict::Deny(Denial { reason, rule: None }) => write!(f, "deny: {reason}"),
            Verdict::Deny(Denial { reason, rule: Some(rule) }) => {
                write!(f, "deny: {reason}, by {} ({})", rule.text(), rule.origin())
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
