//! Advice on rules that let more through than they seem to, or nothing at all.

use std::fmt;

use crate::address::is_private_range;
use crate::engine::Policy;
use crate::rule::{AddressService, Service, Subject};
use crate::shared::SHARED;
use crate::{Effect, Pattern, PortRange, Rule};

pub use crate::shared::Sharing;

/// Advice on one rule.
#[derive(Debug, Clone, Copy)]
pub struct Lint<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// What is odd about it.
    pub kind: LintKind<'p>,
}

/// What is odd about a rule.
#[derive(Debug, Clone, Copy)]
pub enum LintKind<'p> {
    /// A host at which strangers can have a place of their own.
    SharedHost {
        /// The host or wildcard under which it is known.
        host: &'static str,
        /// What they can do there.
        sharing: Sharing,
    },
    /// A wildcard directly below a registry of names, such as `*.com`.
    BroadWildcard,
    /// A wildcard: labels of the job's choice reach the owner of the name in DNS questions.
    DataInNames {
        /// How many names a run may use.
        most: usize,
    },
    /// A wildcard whose names may resolve to private addresses.
    PrivateWildcard,
    /// Every port of a host or of addresses.
    EveryPort,
    /// A range of addresses that holds public and private ones, or a large part of the internet.
    BroadRange,
    /// A deny rule speaks of all that this allow rule speaks of.
    NeverDecides {
        /// The deny rule.
        by: &'p Rule,
    },
    /// Another rule of the same effect speaks of all that this rule speaks of.
    AddsNothing {
        /// The other rule.
        by: &'p Rule,
    },
}

/// Everything odd about a policy, rule by rule. Nothing of it is an error.
pub fn lint(policy: &Policy) -> Vec<Lint<'_>> {
    let shared: Vec<(Pattern, &(&str, Sharing))> =
        SHARED.iter().filter_map(|entry| Some((Pattern::parse(entry.0).ok()?, entry))).collect();
    let mut lints = Vec::new();
    for rule in policy.rules() {
        let covered = covered(policy, rule);
        // What never decides needs no other advice.
        let denied = matches!(covered, Some(LintKind::NeverDecides { .. }));
        let wide = (rule.effect() == Effect::Allow && !denied)
            .then(|| wide(policy, rule, &shared))
            .into_iter()
            .flatten();
        lints.extend(covered.into_iter().chain(wide).map(|kind| Lint { rule, kind }));
    }
    lints
}

fn covered<'p>(policy: &'p Policy, rule: &'p Rule) -> Option<LintKind<'p>> {
    if rule.effect() == Effect::Allow
        && let Some(by) = policy.around(rule, Effect::Deny).find(|deny| deny.covers(rule))
    {
        return Some(LintKind::NeverDecides { by });
    }
    // Of two that say the same, the later adds nothing.
    let is_earlier = |other: &Rule| std::ptr::from_ref(other) < std::ptr::from_ref(rule);
    // What others publish holds one range twice at times.
    let is_address = matches!(rule.subject(), Subject::Address { .. });
    let is_of_same_set = |other: &Rule| is_address && rule.set().is_some() && rule.set() == other.set();
    let by = policy.around(rule, rule.effect()).find(|other| {
        other.covers(rule) && (is_earlier(other) || !rule.covers(other)) && !is_of_same_set(other)
    })?;
    Some(LintKind::AddsNothing { by })
}

/// What a rule lets through beyond what it seems to.
fn wide(
    policy: &Policy,
    rule: &Rule,
    shared: &[(Pattern, &(&'static str, Sharing))],
) -> Vec<LintKind<'static>> {
    let mut kinds = Vec::new();
    match rule.subject() {
        Subject::Host { pattern, service } => {
            let found = shared.iter().find(|(known, _)| known.covers(pattern) || pattern.covers(known));
            if let Some((_, (host, sharing))) = found.filter(|_| can_send(service)) {
                kinds.push(LintKind::SharedHost { host, sharing: *sharing });
            }
            if pattern.is_wildcard() {
                let is_broad = pattern.base().labels().count() == 1 || is_registry(pattern.base().as_str());
                let most = policy.most_names(rule);
                kinds.push(if is_broad { LintKind::BroadWildcard } else { LintKind::DataInNames { most } });
                if rule.allow_private() {
                    kinds.push(LintKind::PrivateWildcard);
                }
            }
            if matches!(service, Service::Ports { ports: PortRange::ALL, .. }) {
                kinds.push(LintKind::EveryPort);
            }
        }
        Subject::Address { range, service } => {
            if matches!(service, AddressService::Ports { ports: PortRange::ALL, .. }) {
                kinds.push(LintKind::EveryPort);
            }
            let limit = if range.addr().is_ipv4() { 12 } else { 24 };
            if range.prefix_len() < limit && !is_private_range(*range) {
                kinds.push(LintKind::BroadRange);
            }
        }
        Subject::Loopback { ports: PortRange::ALL } => kinds.push(LintKind::EveryPort),
        Subject::Loopback { .. } | Subject::Unix { .. } | Subject::Elsewhere { .. } => {}
    }
    kinds
}

/// Whether a job could hand data to a stranger under such a rule: not where only a part of the host
/// is allowed, or only methods that fetch.
fn can_send(service: &Service) -> bool {
    match service {
        Service::Resolve => false,
        Service::Url(url) => {
            let fetches = |method: &str| matches!(method, "GET" | "HEAD" | "OPTIONS");
            let sends = url.methods.is_empty() || !url.methods.iter().all(|method| fetches(method));
            url.path.is_root() && sends
        }
        _ => true,
    }
}

/// Second-level names under which anyone registers; the most usual ones.
fn is_registry(name: &str) -> bool {
    let Some((second, top)) = name.split_once('.') else { return false };
    top.len() == 2
        && matches!(second, "co" | "com" | "net" | "org" | "ac" | "gov" | "edu" | "ne" | "or" | "gob")
}

/// The advice without the rule, as one sentence.
impl fmt::Display for LintKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LintKind::SharedHost { host, sharing } => {
                write!(f, "{host} is shared: {}; allow a path of it, or GET and HEAD only", sharing.as_str())
            }
            LintKind::BroadWildcard => f.write_str("anyone can register a name that this allows"),
            LintKind::DataInNames { most } => write!(
                f,
                "a wildcard lets the job send data in the labels of DNS questions, of at most {most} names in a run; \
                 list the names if you can, or lower max-names"
            ),
            LintKind::PrivateWildcard => {
                f.write_str("whoever runs a name below the wildcard can point it into the private network")
            }
            LintKind::EveryPort => f.write_str("every port is allowed; list those that are needed"),
            LintKind::BroadRange => {
                f.write_str("the range holds a large part of the internet; name hosts if you can")
            }
            LintKind::NeverDecides { by } => {
                write!(
                    f,
                    "has no effect: {} {} ({}) wins over all of it",
                    by.effect(),
                    by.text(),
                    by.origin()
                )
            }
            LintKind::AddsNothing { by } => {
                write!(f, "adds nothing to {} {} ({})", by.effect(), by.text(), by.origin())
            }
        }
    }
}

/// `policy.toml:3:5: *.com: anyone can register a name that this allows`
impl fmt::Display for Lint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.rule.origin(), self.rule.text(), self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::policy;

    #[track_caller]
    fn check(allow: &[&str], deny: &[&str], wanted: &[&str]) {
        let policy = policy(allow, deny);
        let found: Vec<String> =
            lint(&policy).iter().map(|lint| format!("{}: {}", lint.rule.text(), lint.kind)).collect();
        let starts = found.iter().zip(wanted).all(|(found, wanted)| found.starts_with(wanted));
        assert!(starts && found.len() == wanted.len(), "found {found:#?}\nwanted {wanted:#?}");
    }

    #[test]
    fn shared_hosts() {
        check(
            &[
                "github.com",
                "https://gitlab.com/group/",
                "GET,HEAD https://pastebin.com",
                "b.s3.amazonaws.com",
                "a.test",
            ],
            &[],
            &[
                "github.com: github.com is shared: anyone can have a repository",
                "b.s3.amazonaws.com: **.amazonaws.com is",
            ],
        );
        check(&["dns.google:853"], &[], &["dns.google:853: dns.google is shared: it answers DNS"]);
    }

    #[test]
    fn wide_rules() {
        check(
            &["*.zz", "**.co.uk", "*.a.test", "b.test:*", "10.0.0.0/8:22", "0.0.0.0/0:443"],
            &[],
            &[
                "*.zz: anyone can register",
                "**.co.uk: anyone can register",
                "*.a.test: a wildcard lets",
                "b.test:*: every port",
                "0.0.0.0/0:443: the range",
            ],
        );
    }

    #[test]
    fn rules_without_effect() {
        check(
            &[
                "a.test",
                "b.a.test:22",
                "10.1.0.0/16:22",
                "c.test",
                "c.test",
                "c.test:*",
                "https://d.test/x/y",
                "https://d.test/x",
            ],
            &["a.test", "**.a.test", "10.0.0.0/8:20-30", "e.a.test"],
            &[
                "a.test: has no effect: deny a.test (--deny)",
                "b.a.test:22: has no effect: deny **.a.test",
                "10.1.0.0/16:22: has no effect: deny 10.0.0.0/8:20-30",
                "c.test: adds nothing to allow c.test:*",
                "c.test: adds nothing to allow c.test",
                "c.test:*: every port",
                "https://d.test/x/y: adds nothing to allow https://d.test/x",
                "e.a.test: adds nothing to deny **.a.test",
            ],
        );
    }
}
