//! Why the jail refused each way, from its log as JSON Lines. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::way::Way;
use super::{EVIL_DNS_V4, EVIL_ZONE};
use crate::audit::printable;

/// The keys of the log that matter here.
#[derive(Deserialize)]
struct Line {
    verdict: String,
    kind: String,
    name: Option<String>,
    dst: Option<String>,
    reason: Option<String>,
}

/// The first denial by each way, as `kind: reason`.
pub(super) fn read(log: &str) -> BTreeMap<Way, String> {
    let mut reasons = BTreeMap::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        if line.verdict == "deny"
            && let Some(way) = way_of(&line)
        {
            let reason = format!("{}: {}", line.kind, line.reason.as_deref().unwrap_or("denied"));
            reasons.entry(way).or_insert_with(|| printable(&reason).into_owned());
        }
    }
    reasons
}

fn way_of(line: &Line) -> Option<Way> {
    match line.kind.as_str() {
        "tls" | "http" => Some(Way::Https),
        "dns" if line.dst == Some(EVIL_DNS_V4.to_string()) => Some(Way::DnsTcp),
        // The collector's own name is asked for as well, for the way over HTTPS.
        "dns" => line
            .name
            .as_ref()
            .filter(|name| name.ends_with(&format!(".t{EVIL_ZONE}")))
            .map(|_| Way::DnsLabels),
        "tcp" => Some(Way::Literal),
        "udp" => Some(Way::Quic),
        "icmp" => Some(Way::Icmp),
        "other" => Some(Way::Raw),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_are_told_apart() {
        let log = r#"{"verdict":"deny","kind":"dns","name":"collect.evil.example","dst":"192.0.0.1","reason":"not-allowed"}
cijail-net: something for people
{"verdict":"allow","kind":"tls","name":"registry.example"}
{"verdict":"deny","kind":"dns","name":"6e70.0.t.evil.example","dst":"192.0.0.1","reason":"not-allowed"}
{"verdict":"deny","kind":"dns","name":"6e70.61.t.evil.example","dst":"198.51.100.53","reason":"dns-server-not-allowed"}
{"verdict":"deny","kind":"udp","dst":"198.51.100.66","port":443,"reason":"ip-not-allowed"}
"#;
        let expected = [
            (Way::DnsLabels, "dns: not-allowed"),
            (Way::DnsTcp, "dns: dns-server-not-allowed"),
            (Way::Quic, "udp: ip-not-allowed"),
        ];
        assert_eq!(read(log), expected.map(|(way, reason)| (way, reason.to_owned())).into());
    }
}
