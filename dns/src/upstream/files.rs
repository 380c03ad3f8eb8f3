//! The host's own resolver configuration, read when the first question comes.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use hickory_resolver::Hosts;

/// Resolvers that glibc reads from a file (resolv.conf(5), MAXNS).
const MAX_RESOLVERS: usize = 3;

/// The host's own resolver configuration.
#[derive(Debug, Clone)]
pub struct HostFiles {
    /// resolv.conf(5); only its `nameserver` lines are used.
    pub resolv_conf: PathBuf,
    /// hosts(5); its names need no question.
    pub hosts: PathBuf,
    /// PEM files of roots to trust beside the host's, for resolvers over TLS and HTTPS.
    pub roots: Vec<PathBuf>,
}

impl Default for HostFiles {
    fn default() -> Self {
        HostFiles { resolv_conf: "/etc/resolv.conf".into(), hosts: "/etc/hosts".into(), roots: Vec::new() }
    }
}

impl HostFiles {
    /// The names that need no question. What cannot be read is left out.
    pub(super) fn read_hosts(&self) -> Hosts {
        let mut hosts = Hosts::default();
        let read = fs::File::open(&self.hosts).and_then(|file| hosts.read_hosts_conf(file));
        match read {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("could not read all of {}: {error}", self.hosts.display());
            }
            _ => {}
        }
        hosts
    }

    /// The addresses in `nameserver` lines. Scoped link-local ones are left out, as the scope would
    /// be lost.
    pub(super) fn resolvers(&self) -> Vec<IpAddr> {
        let text = fs::read_to_string(&self.resolv_conf).unwrap_or_default();
        let address = |line: &str| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
        };
        text.lines().filter_map(address).take(MAX_RESOLVERS).collect()
    }
}
