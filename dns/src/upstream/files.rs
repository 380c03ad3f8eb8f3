//! The host's own resolver configuration: read before there is a job, which may be able to write it,
//! and understood when the first question comes.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::hosts::Hosts;
use crate::asides::Asides;

/// Resolvers that glibc reads from a file (resolv.conf(5), MAXNS).
const MAX_RESOLVERS: usize = 3;

/// The host's own resolver configuration.
#[derive(Debug, Clone)]
pub struct HostFiles {
    /// resolv.conf(5); only its `nameserver` lines are used.
    pub resolv_conf: PathBuf,
    /// hosts(5); its names need no question.
    pub hosts: PathBuf,
    /// The machine's name.
    pub host_name: PathBuf,
    /// PEM files of roots to trust beside the host's, for resolvers over TLS and HTTPS.
    pub roots: Vec<PathBuf>,
}

impl Default for HostFiles {
    fn default() -> Self {
        HostFiles {
            resolv_conf: "/etc/resolv.conf".into(),
            hosts: "/etc/hosts".into(),
            host_name: "/proc/sys/kernel/hostname".into(),
            roots: Vec::new(),
        }
    }
}

impl HostFiles {
    /// Reads the files but for the roots. One that cannot be read says nothing, as for the C library.
    pub(super) fn read(&self) -> Texts {
        Texts {
            resolv_conf: read(&self.resolv_conf),
            hosts: read(&self.hosts),
            host_name: read(&self.host_name),
        }
    }
}

/// The host's resolver configuration, as it was when it was read.
#[derive(Debug)]
pub(super) struct Texts {
    resolv_conf: String,
    hosts: String,
    host_name: String,
}

impl Texts {
    /// The names that need no question.
    pub(super) fn hosts(&self) -> Hosts {
        Hosts::read(&self.hosts)
    }

    /// Names that programs ask for by themselves.
    pub(super) fn asides(&self) -> Asides {
        Asides::new(&self.host_name, &self.resolv_conf)
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

/// A comment in another encoding costs itself, not the lines after it.
fn read(file: &Path) -> String {
    fs::read(file).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
}
