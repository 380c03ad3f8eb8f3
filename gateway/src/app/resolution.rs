//! How names are resolved inside the job: the files that libc reads there.

use std::fs;
use std::path::{Path, PathBuf};

use netns::net::{GATEWAY_V4, GATEWAY_V6};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const NSSWITCH: &str = "/etc/nsswitch.conf";

/// The files to show the job, and whether the DNS must also sit on its loopback.
pub(super) struct Resolution {
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
    pub(super) loopback: bool,
}

/// Reads the host's files and plans the job's.
pub(super) fn plan() -> Resolution {
    let mut files = Vec::new();
    // A file that does not exist cannot be covered; libc then asks 127.0.0.1 (resolv.conf(5)).
    let loopback = !Path::new(RESOLV_CONF).exists();
    if !loopback {
        // An unreadable file has no search list to keep.
        let host = fs::read_to_string(RESOLV_CONF).unwrap_or_default();
        files.push((PathBuf::from(RESOLV_CONF), resolv_conf(&host).into_bytes()));
    }
    if let Ok(host) = fs::read_to_string(NSSWITCH)
        && let Some(ours) = nsswitch(&host)
    {
        files.push((PathBuf::from(NSSWITCH), ours.into_bytes()));
    }
    Resolution { files, loopback }
}

/// The host's search list and options, with the gateway as the only server.
fn resolv_conf(host: &str) -> String {
    let mut text = format!("# written by cijail-net\nnameserver {GATEWAY_V4}\nnameserver {GATEWAY_V6}\n");
    for line in host.lines() {
        let word = line.split_whitespace().next();
        if matches!(word, Some("search" | "domain" | "options")) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The host's file with a `hosts` line that asks over DNS, or `None` if it does already: other
/// sources would be asked over sockets that are masked.
fn nsswitch(host: &str) -> Option<String> {
    let mut changed = false;
    let lines: Vec<String> = host
        .lines()
        .map(|line| {
            let Some(sources) = line.trim_start().strip_prefix("hosts:") else { return line.to_owned() };
            let sources: Vec<&str> =
                sources.split('#').next().unwrap_or_default().split_whitespace().collect();
            if sources.iter().all(|source| matches!(*source, "files" | "dns" | "myhostname")) {
                return line.to_owned();
            }
            changed = true;
            "hosts: files myhostname dns".to_owned()
        })
        .collect();
    changed.then(|| lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_search_and_options() {
        let host = "nameserver 127.0.0.53\nsearch corp.example\noptions ndots:2\n";
        let text = resolv_conf(host);
        assert!(text.contains("nameserver 192.0.0.1\n") && text.contains("search corp.example\n"));
        assert!(text.contains("options ndots:2\n") && !text.contains("127.0.0.53"));
    }

    #[test]
    fn only_other_sources_are_replaced() {
        assert_eq!(nsswitch("hosts: files dns\npasswd: files\n"), None);
        let text = nsswitch("passwd: files systemd\nhosts: files resolve [!UNAVAIL=return] dns\n").unwrap();
        assert_eq!(text, "passwd: files systemd\nhosts: files myhostname dns\n");
    }
}
