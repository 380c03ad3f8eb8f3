//! The smallest rules that would have allowed what a job was seen to do. Pure: who reads logs brings
//! the needs, who writes files takes the rules.

mod group;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::rule::Fit;
use crate::{Denial, Effect, Name, Origin, Policy, Reason, Request, Rule, Scheme, Verdict};

use group::Group;

/// Something that a job did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It asked for the addresses of a name.
    Resolve(Name),
    /// It asked for a name whose addresses are private.
    Private(Name),
    /// It asked a DNS server of its own choice.
    DnsServer(SocketAddr),
    /// It spoke TLS that nobody looked into.
    Tls(Name, u16),
    /// It made a request.
    Http {
        /// Whether it was inside TLS.
        scheme: Scheme,
        /// Of whom.
        host: Name,
        /// On which port.
        port: u16,
        /// With which method.
        method: String,
        /// For which path, without the query.
        path: String,
    },
    /// It exchanged opaque bytes with a name.
    Tcp(Name, u16),
    /// It exchanged opaque bytes with an address.
    TcpAddress(SocketAddr),
    /// It used this port of the host's loopback.
    Loopback(u16),
    /// It exchanged datagrams with a name.
    Udp(Name, u16),
    /// It exchanged datagrams with an address.
    UdpAddress(SocketAddr),
}

/// A rule that was learned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LearnedRule {
    /// As it stands after `--allow`.
    pub text: String,
    /// Whether its names resolve to private addresses, which takes the long form.
    pub allow_private: bool,
    /// How many names it stands for, if more than a wildcard may without being told.
    pub max_names: Option<usize>,
}

/// What was learned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Learned {
    /// Rules, in an order that does not depend on that of the needs, each with the needs that it is for.
    pub rules: Vec<(LearnedRule, BTreeSet<Need>)>,
    /// What no rule would allow, or a deny rule forbids.
    pub impossible: BTreeSet<Need>,
}

impl Need {
    /// What the policy is asked about it; ports of the loopback are no request.
    fn request(&self) -> Option<Request<'_>> {
        Some(match self {
            Need::Loopback(_) => return None,
            Need::Resolve(name) => Request::Resolve { name },
            // Any private address will do.
            Need::Private(name) => Request::Resolved { name, address: [10, 0, 0, 1].into() },
            Need::DnsServer(server) => Request::DnsServer { server: *server },
            Need::Tls(name, port) => Request::Tls { name, port: *port },
            Need::Http { scheme, host, port, method, path } => {
                Request::Http { scheme: *scheme, host, port: *port, method, path }
            }
            Need::Tcp(name, port) => Request::Tcp { name, port: *port },
            Need::TcpAddress(destination) => Request::TcpAddress { destination: *destination },
            Need::Udp(name, port) => Request::Udp { name, port: *port },
            Need::UdpAddress(destination) => Request::UdpAddress { destination: *destination },
        })
    }

    fn name(&self) -> Option<&Name> {
        self.request()?.name()
    }

    fn verdict<'p>(&self, policy: &'p Policy) -> Verdict<'p> {
        match (self, self.request()) {
            (_, Some(request)) => policy.judge(&request),
            (Need::Loopback(port), _) if policy.loopback_ports().contains(*port) => {
                // Whichever rule it is.
                policy.rules().first().map_or(UNALLOWED, Verdict::Allow)
            }
            _ => UNALLOWED,
        }
    }

    fn is_allowed_by(&self, rules: &[Rule]) -> bool {
        self.request().is_some_and(|request| rules.iter().any(|rule| rule.fit(&request) == Fit::Yes))
    }
}

const UNALLOWED: Verdict<'static> = Verdict::Deny(Denial { reason: Reason::NotAllowed, rule: None });

/// Learns rules for what `existing` does not allow. With `fold`, so many names below a common one become a
/// wildcard.
pub fn learn(needs: &BTreeSet<Need>, existing: &Policy, fold: Option<usize>) -> Learned {
    let is_open = |need: &&Need| matches!(need.verdict(existing), Verdict::Deny(_));
    let (open, forbidden): (BTreeSet<&Need>, BTreeSet<&Need>) =
        needs.iter().filter(is_open).partition(|need| !is_forbidden(existing, need));
    let names: BTreeSet<&Name> = open.iter().filter_map(|need| need.name()).collect();
    let wildcards = fold.map(|least| siblings(&names, least)).unwrap_or_default();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut learned = Learned::default();
    learned.impossible.extend(forbidden.into_iter().cloned());
    for need in open {
        let Some(name) = need.name() else {
            learned.address(need);
            continue;
        };
        let parent = name.parent().filter(|parent| wildcards.contains(*parent));
        let host = parent.map_or_else(|| name.to_string(), |parent| format!("*.{parent}"));
        groups.entry(host).or_default().add(need);
    }
    for (host, group) in groups {
        learned.host(&host, &group);
    }
    learned.rules.sort();
    learned
}

fn is_forbidden(policy: &Policy, need: &Need) -> bool {
    matches!(need.verdict(policy), Verdict::Deny(denial) if denial.rule.is_some())
}

/// Names that so many others stand directly below, and that are no registry themselves.
fn siblings<'n>(names: &BTreeSet<&'n Name>, least: usize) -> BTreeSet<&'n str> {
    let mut below: BTreeMap<&str, usize> = BTreeMap::new();
    for parent in names.iter().filter_map(|name| name.parent()).filter(|parent| parent.contains('.')) {
        *below.entry(parent).or_default() += 1;
    }
    below.into_iter().filter(|(_, count)| *count >= least.max(2)).map(|(parent, _)| parent).collect()
}

impl Learned {
    fn address(&mut self, need: &Need) {
        let suggestion = match need {
            Need::Loopback(port) => Some(format!("localhost:{port}")),
            _ => need.request().and_then(|request| request.suggestion()),
        };
        match suggestion {
            Some(text) => {
                let rule = LearnedRule { text, allow_private: false, max_names: None };
                self.rules.push((rule, BTreeSet::from([need.clone()])));
            }
            None => drop(self.impossible.insert(need.clone())),
        }
    }

    /// Adds the rules of a host, each with what it is for. What they turn out not to allow, odd paths above
    /// all, takes rules for the whole host.
    fn host(&mut self, host: &str, group: &Group) {
        let mut texts = group.texts(host);
        let mut rules = parse(&texts);
        let missing = |rules: &[Rule]| {
            group.needs.iter().filter(|need| !need.is_allowed_by(rules)).cloned().collect::<Vec<Need>>()
        };
        let whole: BTreeSet<String> =
            missing(&rules).iter().filter_map(|need| Group::whole(host, need)).collect();
        if !whole.is_empty() {
            texts.extend(whole);
            rules = parse(&texts);
        }
        self.impossible.extend(missing(&rules));
        let (allow_private, max_names) = (group.private, group.max_names());
        for (text, rule) in texts.into_iter().zip(rules) {
            let rules = std::slice::from_ref(&rule);
            let needs = group.needs.iter().filter(|need| need.is_allowed_by(rules)).cloned().collect();
            self.rules.push((LearnedRule { text, allow_private, max_names }, needs));
        }
    }
}

/// What was put together by the grammar of rules reads back; a text that did not would be of no use.
fn parse(texts: &BTreeSet<String>) -> Vec<Rule> {
    texts.iter().filter_map(|text| Rule::parse(text, Effect::Allow, Origin::option("learned")).ok()).collect()
}

#[cfg(test)]
mod tests;
