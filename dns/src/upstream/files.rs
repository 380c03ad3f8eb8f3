//! The host's own resolver configuration: read before there is a job, which may be able to write it,
//! and understood when the first question comes.

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
    /// Reads both files; what is not there is left out.
    pub(super) fn read(&self) -> Texts {
        Texts {
            // What cannot be read names no resolver.
            resolv_conf: fs::read_to_string(&self.resolv_conf).unwrap_or_default(),
            hosts: match fs::read(&self.hosts) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                read => read,
            },
        }
    }
}

/// The host's resolver configuration, as it was when it was read.
#[derive(Debug)]
pub(super) struct Texts {
    resolv_conf: String,
    hosts: io::Result<Vec<u8>>,
}

impl Texts {
    /// The names that need no question. What cannot be read is left out.
    pub(super) fn hosts(&self) -> Hosts {
        let mut hosts = Hosts::default();
        let read = match &self.hosts {
            Ok(text) => hosts.read_hosts_conf(&text[..]).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = read {
            tracing::warn!("could not read all of the host's file of names: {error}");
        }
        hosts
    }

    /// The addresses in `nameserver` lines. Scoped link-local ones are left out, as the scope would
    /// be lost.
    pub(super) fn resolvers(&self) -> Vec<IpAddr> {
        let address = |line: &str| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
        };
        self.resolv_conf.lines().filter_map(address).take(MAX_RESOLVERS).collect()
    }
}
