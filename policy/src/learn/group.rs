//! What a job did with one host, or with the hosts of one wildcard.

use std::collections::{BTreeMap, BTreeSet};

use super::Need;
use crate::path::{is_ambiguous, normalise};
use crate::rule::is_method_list;
use crate::settings::Limits;
use crate::{Name, Scheme};

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) needs: BTreeSet<Need>,
    pub(super) private: bool,
    names: BTreeSet<Name>,
    /// Ports of TLS that nobody looked into.
    tls: BTreeSet<u16>,
    /// What requests there were where somebody did.
    requests: BTreeMap<(Scheme, u16), Requests>,
    tcp: BTreeSet<u16>,
    udp: BTreeSet<u16>,
}

#[derive(Debug, Default)]
struct Requests {
    methods: BTreeSet<String>,
    paths: BTreeSet<String>,
}

impl Group {
    pub(super) fn add(&mut self, need: &Need) {
        self.needs.insert(need.clone());
        self.names.extend(need.name().cloned());
        match need {
            Need::Private(_) => self.private = true,
            Need::Tls(_, port) => drop(self.tls.insert(*port)),
            Need::Tcp(_, port) => drop(self.tcp.insert(*port)),
            Need::Udp(_, port) => drop(self.udp.insert(*port)),
            Need::Http { scheme, port, method, path, .. } => {
                let requests = self.requests.entry((*scheme, *port)).or_default();
                requests.methods.insert(method.clone());
                requests.paths.insert(path.clone());
            }
            Need::Resolve(_)
            | Need::DnsServer(_)
            | Need::Loopback(_)
            | Need::TcpAddress(_)
            | Need::UdpAddress(_) => {}
        }
    }

    /// The rules as texts.
    pub(super) fn texts(&self, host: &str) -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        // Opaque bytes take a rule that lets TLS and HTTP to that port through as well.
        texts.extend(self.tcp.iter().map(|port| format!("{}:{port}", with_dot(host))));
        texts.extend(self.udp.iter().map(|port| format!("{}:{port}/udp", with_dot(host))));
        let tls = self.tls.iter().filter(|port| !self.tcp.contains(port));
        texts.extend(tls.map(|port| whole(Scheme::Https, host, *port)));
        for ((scheme, port), requests) in &self.requests {
            let is_whole = *scheme == Scheme::Https && self.tls.contains(port);
            if !is_whole && !self.tcp.contains(port) {
                texts.insert(requests.text(*scheme, host, *port));
            }
        }
        if texts.is_empty() {
            texts.insert(format!("dns:{host}"));
        }
        texts
    }

    /// The rule for the whole host that allows what a narrow one does not.
    pub(super) fn whole(host: &str, need: &Need) -> Option<String> {
        match need {
            Need::Http { scheme, port, .. } => Some(whole(*scheme, host, *port)),
            _ => None,
        }
    }

    /// How many names a wildcard has to stand for, if it is more than it may by itself.
    pub(super) fn max_names(&self) -> Option<usize> {
        let count = self.names.len();
        (count > Limits::default().wildcard_names).then_some(count)
    }
}

impl Requests {
    fn text(&self, scheme: Scheme, host: &str, port: u16) -> String {
        let methods: Vec<&str> = self.methods.iter().map(String::as_str).collect();
        let methods = methods.join(",");
        let methods = if is_method_list(&methods) { format!("{methods} ") } else { String::new() };
        let path = common(self.paths.iter().map(String::as_str));
        format!("{methods}{}", url(scheme, host, port, &path))
    }
}

fn whole(scheme: Scheme, host: &str, port: u16) -> String {
    url(scheme, host, port, "/")
}

fn url(scheme: Scheme, host: &str, port: u16, path: &str) -> String {
    let port = if port == scheme.default_port() { String::new() } else { format!(":{port}") };
    format!("{scheme}://{host}{port}{path}")
}

/// Hosts that are called like the prefix of a rule are told from it by their final dot.
fn with_dot(host: &str) -> String {
    if matches!(host, "dns" | "unix") { format!("{host}.") } else { host.to_owned() }
}

/// The one path, or the longest directory that all paths lie in. Paths that servers read in more than one
/// way lie in the root only.
fn common<'p>(mut paths: impl Iterator<Item = &'p str>) -> String {
    let first = paths.next().map(readable).unwrap_or_default();
    paths.map(readable).fold(first, |common, path| {
        if common == path {
            return common;
        }
        let same = common.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
        let end =
            common.as_bytes()[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        // Slashes are whole characters.
        common[..end].to_owned()
    })
}

fn readable(path: &str) -> String {
    if is_ambiguous(path) || path.contains('*') { "/".to_owned() } else { normalise(path) }
}
