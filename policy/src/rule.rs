//! One rule: what it speaks of, where it was written, and its canonical text.

mod cover;
mod error;
mod fit;
mod parse;

use std::fmt;
use std::sync::{Arc, OnceLock};

use ipnet::IpNet;

use crate::path::PathPrefix;
use crate::{Pattern, PortRange, Protocol, Scheme};

pub use error::{RuleError, RuleErrorKind};
pub(crate) use fit::Fit;
pub(crate) use parse::{is_method_list, split_port_text};

/// What a rule does to the requests that it speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Lets them through, unless a deny rule speaks of them too.
    Allow,
    /// Refuses them, whatever allow rules say.
    Deny,
}

/// One allow or deny rule.
#[derive(Debug, Clone)]
pub struct Rule {
    effect: Effect,
    subject: Subject,
    /// Written when it is first asked for: of thousands of ranges few ever are.
    text: OnceLock<Box<str>>,
    origin: Origin,
    note: Option<Arc<str>>,
    allow_private: bool,
    max_names: Option<usize>,
    max_upload: Option<u64>,
    client_cert: Option<Arc<str>>,
    set: Option<Arc<str>>,
}

/// Where a rule was written: `policy.toml:12:5`, `CIJAIL_ENDPOINTS:1:3` or `--allow`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    source: Arc<str>,
    position: Option<Position>,
}

/// A place in a source. Both numbers count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// What a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Host {
        pattern: Pattern,
        service: Service,
    },
    Address {
        range: IpNet,
        service: AddressService,
    },
    Loopback {
        ports: PortRange,
    },
    Unix {
        path: Box<str>,
    },
    /// What rules in another language say, which decide by themselves.
    Elsewhere {
        text: Box<str>,
    },
}

/// What of a host a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    /// `example.com` as an allow rule: TLS on 443, HTTP on 80.
    Web,
    /// `example.com` as a deny rule: the name, every port and protocol.
    Everything,
    /// `example.com:22`.
    Ports { ports: PortRange, protocol: Protocol },
    /// `GET https://example.com/path/`.
    Url(Url),
    /// `dns:example.com`.
    Resolve,
}

/// What of an address a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AddressService {
    /// `192.0.2.0/24` as a deny rule: every port and protocol, and names that resolve to it.
    Everything,
    /// `192.0.2.0/24:443`.
    Ports { ports: PortRange, protocol: Protocol },
}

/// A URL rule without its host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Url {
    /// As written, without repeats; empty means any.
    pub(crate) methods: Box<[Box<str>]>,
    pub(crate) scheme: Scheme,
    pub(crate) port: u16,
    pub(crate) path: PathPrefix,
}

impl Rule {
    /// Reads the short form of a rule, as `--allow` takes it.
    pub fn parse(text: &str, effect: Effect, origin: Origin) -> Result<Rule, RuleError> {
        Ok(Rule::of(effect, parse::subject(text, effect)?, origin))
    }

    /// The rule for a range, read already, and these ports of it.
    pub(crate) fn of_range(
        range: IpNet,
        ports: Option<(PortRange, Protocol)>,
        effect: Effect,
        origin: Origin,
    ) -> Result<Rule, RuleErrorKind> {
        let service = ports.map_or(AddressService::Everything, |(ports, protocol)| AddressService::Ports {
            ports,
            protocol,
        });
        Ok(Rule::of(effect, parse::range(range, service, effect)?, origin))
    }

    /// A rule that says nothing beside its subject.
    pub(crate) fn of(effect: Effect, subject: Subject, origin: Origin) -> Rule {
        Rule {
            effect,
            subject,
            text: OnceLock::new(),
            origin,
            note: None,
            allow_private: false,
            max_names: None,
            max_upload: None,
            client_cert: None,
            set: None,
        }
    }

    /// Whether the rule allows or denies.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The canonical text, as a user would write it after `--allow` or `--deny`.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| self.subject.to_string().into())
    }

    /// Where the rule was written.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The note of the rule's long form.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Whether names that the rule allows may resolve to private addresses.
    pub fn allow_private(&self) -> bool {
        self.allow_private
    }

    /// How many names a run may use of a wildcard, if the rule has a limit of its own.
    pub fn max_names(&self) -> Option<usize> {
        self.max_names
    }

    /// How many octets of request bodies a run may send under a URL rule, if the rule has a limit.
    pub fn max_upload(&self) -> Option<u64> {
        self.max_upload
    }

    /// The file with the certificate and key that the gateway shows to the hosts of an `https` URL rule
    /// in the job's place, as written: relative to the file of the rule.
    pub fn client_cert(&self) -> Option<&str> {
        self.client_cert.as_deref()
    }

    /// The set from elsewhere than the policy file that the rule is of, as it was asked for: `@name` or
    /// `@name:443`.
    pub fn set(&self) -> Option<&str> {
        self.set.as_deref()
    }

    /// The host pattern, if the rule speaks of names.
    pub fn pattern(&self) -> Option<&Pattern> {
        match &self.subject {
            Subject::Host { pattern, .. } => Some(pattern),
            _ => None,
        }
    }

    /// Whether the rule has an effect only where TLS is intercepted: an `https` URL rule with a
    /// path, with methods, or with something else that is about what is inside.
    pub fn needs_interception(&self) -> bool {
        let looks_inside = self.max_upload.is_some() || self.client_cert.is_some();
        matches!(&self.subject, Subject::Host { service: Service::Url(url), .. }
            if url.scheme == Scheme::Https && (looks_inside || !url.is_whole_host()))
    }

    /// The scheme of a URL rule.
    pub(crate) fn scheme(&self) -> Option<Scheme> {
        match &self.subject {
            Subject::Host { service: Service::Url(url), .. } => Some(url.scheme),
            _ => None,
        }
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(crate) fn with_note(self, note: Option<Arc<str>>) -> Rule {
        Rule { note, ..self }
    }

    pub(crate) fn with_allow_private(self, allow_private: bool) -> Rule {
        Rule { allow_private, ..self }
    }

    pub(crate) fn with_max_names(self, max_names: Option<usize>) -> Rule {
        Rule { max_names, ..self }
    }

    pub(crate) fn with_max_upload(self, max_upload: Option<u64>) -> Rule {
        Rule { max_upload, ..self }
    }

    pub(crate) fn with_client_cert(self, client_cert: Option<Arc<str>>) -> Rule {
        Rule { client_cert, ..self }
    }

    pub(crate) fn with_set(self, set: Option<Arc<str>>) -> Rule {
        Rule { set, ..self }
    }
}

impl Origin {
    /// An origin without lines, such as `--allow`.
    pub fn option(source: &str) -> Origin {
        Origin { source: source.into(), position: None }
    }

    /// An origin in a text.
    pub(crate) fn at(source: &Arc<str>, position: Position) -> Origin {
        Origin { source: Arc::clone(source), position: Some(position) }
    }

    /// The name of the file, option or variable.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The place in it, if it has lines.
    pub fn position(&self) -> Option<Position> {
        self.position
    }
}

impl Subject {
    /// The host with these ports, if it is one without.
    pub(crate) fn with_ports(&self, ports: PortRange, protocol: Protocol) -> Option<Subject> {
        match self {
            Subject::Host { pattern, service: Service::Everything } => {
                Some(Subject::Host { pattern: pattern.clone(), service: Service::Ports { ports, protocol } })
            }
            _ => None,
        }
    }
}

impl Url {
    /// Whether the rule leaves nothing of the host's requests to look at.
    pub(crate) fn is_whole_host(&self) -> bool {
        self.methods.is_empty() && self.path.is_root()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(Position { line, column }) => write!(f, "{}:{line}:{column}", self.source),
            None => f.write_str(&self.source),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        })
    }
}

/// The canonical text.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Host { pattern, service } => match service {
                Service::Web | Service::Everything => write!(f, "{pattern}"),
                Service::Ports { ports, protocol } => {
                    write!(f, "{pattern}{}:{ports}{}", final_dot(pattern), suffix(*protocol))
                }
                Service::Resolve => write!(f, "dns:{pattern}"),
                Service::Url(url) => write_url(f, pattern, url),
            },
            Subject::Address { range, service } => {
                write_range(f, *range)?;
                match service {
                    AddressService::Everything => Ok(()),
                    AddressService::Ports { ports, protocol } => write!(f, ":{ports}{}", suffix(*protocol)),
                }
            }
            Subject::Loopback { ports } => write!(f, "localhost:{ports}"),
            Subject::Unix { path } => write!(f, "unix:{path}"),
            Subject::Elsewhere { text } => f.write_str(text),
        }
    }
}

/// `dns:53` would read back as a name to resolve, `unix:80` as a path: hosts that are called so
/// keep their final dot before a port.
fn final_dot(pattern: &Pattern) -> &'static str {
    let is_prefix = !pattern.is_wildcard() && matches!(pattern.base().as_str(), "dns" | "unix");
    if is_prefix { "." } else { "" }
}

fn suffix(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "",
        Protocol::Udp => "/udp",
    }
}

fn write_url(f: &mut fmt::Formatter<'_>, pattern: &Pattern, url: &Url) -> fmt::Result {
    if !url.methods.is_empty() {
        write!(f, "{} ", url.methods.join(","))?;
    }
    write!(f, "{}://{pattern}", url.scheme)?;
    if url.port != url.scheme.default_port() {
        write!(f, ":{}", url.port)?;
    }
    write!(f, "{}", url.path)
}

/// A range as rules write it: IPv6 in brackets, no prefix length on a single address.
fn write_range(f: &mut fmt::Formatter<'_>, range: IpNet) -> fmt::Result {
    let is_single = range.prefix_len() == range.max_prefix_len();
    match (range, is_single) {
        (IpNet::V4(range), true) => write!(f, "{}", range.addr()),
        (IpNet::V4(range), false) => write!(f, "{range}"),
        (IpNet::V6(range), true) => write!(f, "[{}]", range.addr()),
        (IpNet::V6(range), false) => write!(f, "[{range}]"),
    }
}

#[cfg(test)]
mod tests;
