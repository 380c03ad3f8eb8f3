//! What a log says that a job did. Pure: takes the log's text.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use dns::NEEDS_ALLOW_PRIVATE;
use policy::learn::Need;
use policy::{Name, Scheme};
use serde::Deserialize;

use crate::sniff::authority::{self, Host};

/// A line that is no event.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is no event of `--log-format json`: {source}")]
pub struct EventError {
    line: usize,
    source: serde_json::Error,
}

/// What was seen in one or more logs.
#[derive(Debug, Default)]
pub struct Seen {
    /// Each thing with the programs that did it.
    pub needs: BTreeMap<Need, BTreeSet<String>>,
    /// What no rule can speak of, in words, with how often it was seen.
    pub others: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
struct Line {
    verdict: String,
    kind: String,
    name: Option<String>,
    dst: Option<IpAddr>,
    port: Option<u16>,
    method: Option<String>,
    url: Option<String>,
    reason: Option<String>,
    detail: Option<String>,
    exe: Option<String>,
    count: Option<u64>,
}

impl Seen {
    /// Reads a log, JSON Lines. What was denied counts only if `denied` says so.
    ///
    /// # Errors
    /// A line is no event. An empty line is none either, but no mistake.
    pub fn read(&mut self, log: &str, denied: bool) -> Result<(), EventError> {
        for (number, text) in log.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let line: Line =
                serde_json::from_str(text).map_err(|source| EventError { line: number + 1, source })?;
            if denied || line.verdict != "deny" {
                self.add(&line);
            }
        }
        Ok(())
    }

    fn add(&mut self, line: &Line) {
        // Programs and files are no traffic.
        if ["exec", "file"].contains(&line.kind.as_str()) || line.count.is_some() {
            return;
        }
        let needs = line.needs();
        if needs.is_empty() {
            // A CONNECT is what is inside it.
            if line.method.as_deref() != Some("CONNECT") {
                *self.others.entry(line.words()).or_default() += 1;
            }
            return;
        }
        let program = line.exe.as_deref().and_then(|exe| exe.rsplit('/').next()).map(str::to_owned);
        for need in needs {
            self.needs.entry(need).or_default().extend(program.clone());
        }
    }
}

impl Line {
    /// Untrusted text that is no name is a need for nothing.
    fn needs(&self) -> Vec<Need> {
        let name = self.name.as_deref().and_then(|name| Name::parse(name).ok());
        let to = self.dst.zip(self.port).map(|(address, port)| SocketAddr::new(address, port));
        let one = |need: Option<Need>| need.into_iter().collect();
        match (self.kind.as_str(), name, self.port) {
            ("dns", name, _) => self.question(name, to),
            ("tcp", Some(name), Some(port)) if name.as_str() == "localhost" => vec![Need::Loopback(port)],
            ("tls", Some(name), Some(port)) => vec![Need::Tls(name, port)],
            ("tcp", Some(name), Some(port)) => vec![Need::Tcp(name, port)],
            ("udp", Some(name), Some(port)) => vec![Need::Udp(name, port)],
            ("tls" | "tcp", None, _) => one(to.map(Need::TcpAddress)),
            ("udp", None, _) => one(to.map(Need::UdpAddress)),
            // HTTP that is not read goes by its address.
            ("http", ..) if self.url.is_none() => one(to.map(Need::TcpAddress)),
            ("http", ..) => one(self.http()),
            _ => Vec::new(),
        }
    }

    fn question(&self, name: Option<Name>, server: Option<SocketAddr>) -> Vec<Need> {
        let reason = self.reason.as_deref();
        let server = server.filter(|_| reason == Some("dns-server-not-allowed")).map(Need::DnsServer);
        // Of a name that no rule allows yet, the detail tells it.
        let told = self.detail.as_deref().is_some_and(|detail| detail.contains(NEEDS_ALLOW_PRIVATE));
        let is_private = told || reason == Some("private-address");
        let name = name.map(|name| if is_private { Need::Private(name) } else { Need::Resolve(name) });
        server.into_iter().chain(name).collect()
    }

    fn http(&self) -> Option<Need> {
        let (scheme, rest) = self.url.as_deref()?.split_once("://")?;
        let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority::parse(authority.as_bytes()).ok()?;
        let port = authority.port.unwrap_or(scheme.default_port());
        match authority.host {
            Host::Address(address) => Some(Need::TcpAddress(SocketAddr::new(address, port))),
            Host::Name(host) => {
                Some(Need::Http { scheme, host, port, method: self.method.clone()?, path: path.to_owned() })
            }
        }
    }

    fn words(&self) -> String {
        let subject = self.url.clone().or_else(|| self.name.clone());
        let subject = subject.or_else(|| self.dst.map(|address| address.to_string())).unwrap_or_default();
        let port =
            self.port.filter(|_| self.url.is_none()).map(|port| format!(" port {port}")).unwrap_or_default();
        format!("{} {subject}{port}", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(log: &str) -> Seen {
        let mut seen = Seen::default();
        seen.read(log, false).unwrap();
        seen
    }

    #[test]
    fn reads_events() {
        let seen = seen(
            r#"{"verdict":"allow","kind":"dns","name":"a.test","dst":"192.0.0.1","port":53}
{"verdict":"would-deny","kind":"tls","name":"a.test","dst":"203.0.113.1","port":443,"exe":"/usr/bin/curl"}
{"verdict":"allow","kind":"tls","name":"a.test","dst":"203.0.113.1","port":443,"exe":"/usr/bin/git"}

{"verdict":"would-deny","kind":"tls","dst":"203.0.113.1","port":443,"reason":"no-sni"}
{"verdict":"would-deny","kind":"http","method":"GET","url":"https://b.test:8443/p","name":"b.test"}
{"verdict":"would-deny","kind":"http","method":"CONNECT","url":"b.test:8443","name":"b.test"}
{"verdict":"would-deny","kind":"http","name":"c.test","dst":"203.0.113.2","port":50051,"reason":"protocol-not-allowed"}
{"verdict":"allow","kind":"tcp","name":"localhost","port":5432}
{"verdict":"would-deny","kind":"icmp","dst":"203.0.113.1"}
{"verdict":"deny","kind":"tls","name":"evil.test","port":443}
{"verdict":"would-deny","kind":"dns","name":"db.test","reason":"private-address"}"#,
        );
        let name = |text: &str| Name::parse(text).unwrap();
        let http = Need::Http {
            scheme: Scheme::Https,
            host: name("b.test"),
            port: 8443,
            method: "GET".into(),
            path: "/p".into(),
        };
        assert_eq!(
            seen.needs.keys().cloned().collect::<Vec<_>>(),
            [
                Need::Resolve(name("a.test")),
                Need::Private(name("db.test")),
                Need::Tls(name("a.test"), 443),
                http,
                Need::TcpAddress("203.0.113.1:443".parse().unwrap()),
                Need::TcpAddress("203.0.113.2:50051".parse().unwrap()),
                Need::Loopback(5432),
            ]
        );
        let programs = &seen.needs[&Need::Tls(name("a.test"), 443)];
        assert_eq!(programs.iter().collect::<Vec<_>>(), ["curl", "git"]);
        assert_eq!(seen.others, BTreeMap::from([("icmp 203.0.113.1".to_owned(), 1)]));
    }

    #[test]
    fn names_the_line_that_is_no_event() {
        let error =
            Seen::default().read("{\"verdict\":\"allow\",\"kind\":\"dns\"}\nnonsense", false).unwrap_err();
        assert!(error.to_string().starts_with("line 2 is no event"), "{error}");
    }
}
