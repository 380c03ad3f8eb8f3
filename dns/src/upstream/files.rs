//! The host's own resolver configuration: opened at first, as the process may lose the right to, and
//! read when the first question comes.

use std::fs::File;
use std::io::{self, Read};
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

/// Where hosts keep the certificates that they trust, links and their targets.
const CERTIFICATES: [&str; 8] = [
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/usr/lib/ssl",
    "/nix/store",
];

impl HostFiles {
    /// Opens both files; what is not there is left out.
    pub(super) fn open(self) -> OpenFiles {
        let HostFiles { resolv_conf, hosts, roots } = self;
        OpenFiles {
            resolv_conf: File::open(&resolv_conf).ok(),
            hosts: match File::open(&hosts) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                opened => Some((opened, hosts)),
            },
            resolv_conf_path: resolv_conf,
            roots,
        }
    }
}

/// The host's resolver configuration, as it was when it was opened.
#[derive(Debug)]
pub(super) struct OpenFiles {
    resolv_conf: Option<File>,
    hosts: Option<(io::Result<File>, PathBuf)>,
    pub(super) resolv_conf_path: PathBuf,
    pub(super) roots: Vec<PathBuf>,
}

impl OpenFiles {
    /// The names that need no question. What cannot be read is left out.
    pub(super) fn read_hosts(&self) -> Hosts {
        let mut hosts = Hosts::default();
        let Some((file, path)) = &self.hosts else { return hosts };
        let read = match file {
            Ok(file) => hosts.read_hosts_conf(file).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = read {
            tracing::warn!("could not read all of {}: {error}", path.display());
        }
        hosts
    }

    /// The addresses in `nameserver` lines. Scoped link-local ones are left out, as the scope would
    /// be lost.
    pub(super) fn resolvers(&self) -> Vec<IpAddr> {
        let mut text = String::new();
        if let Some(mut file) = self.resolv_conf.as_ref() {
            // What cannot be read names no resolver.
            let _ = file.read_to_string(&mut text);
        }
        let address = |line: &str| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
        };
        text.lines().filter_map(address).take(MAX_RESOLVERS).collect()
    }

    /// Where the certificates are that are read by the first question to a resolver over TLS.
    pub(super) fn certificates(&self) -> Vec<PathBuf> {
        let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(std::env::var_os);
        let named: Vec<PathBuf> =
            named.flat_map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>()).collect();
        CERTIFICATES.into_iter().map(PathBuf::from).chain(named).chain(self.roots.iter().cloned()).collect()
    }
}
