//! Sets that need no policy file: the local ranges, and what GitHub publishes of itself.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::{Member, Set, SetText, document};

/// The stored document with the ranges of GitHub, as `https://api.github.com/meta` gives it. Its lists
/// are the sets `github-actions`, `github-git`, `github-web` and so on.
pub const GITHUB: &str = "github";

/// Addresses of private networks: RFC 1918 section 3 and RFC 4193 section 3.1. Loopback (RFC 1122),
/// link-local (RFC 3927, RFC 4291), shared (RFC 6598) and all other special ranges are not among them.
const LOCAL: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
/// Every port but that of DNS: servers that a job may ask itself are listed one by one.
const LOCAL_PORTS: [&str; 4] = ["1-52", "54-65535", "1-52/udp", "54-65535/udp"];
/// Where clouds tell their guests secrets within those ranges: EC2, Google and Scaleway.
const METADATA: [&str; 3] = ["[fd00:ec2::254]", "[fd20:ce::254]", "[fd00:42::42]"];
/// What GitHub serves.
const WEB: [&str; 1] = ["443"];

/// A set that is known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known<'n> {
    /// `local-ranges`.
    Local,
    /// `github-KEY`.
    GitHub {
        /// The key in the document.
        key: &'n str,
    },
}

/// The known set of this name.
pub(crate) fn find(name: &str) -> Option<Known<'_>> {
    match name.strip_prefix("github-") {
        Some(key) if !key.is_empty() => Some(Known::GitHub { key }),
        _ => (name == "local-ranges").then_some(Known::Local),
    }
}

impl Known<'_> {
    /// The rules of the set; `text` gives what is stored.
    pub(crate) fn set(
        self,
        text: impl FnOnce(&str) -> Option<SetText>,
        read: impl FnOnce(&SetText, &str) -> Set,
    ) -> Option<Set> {
        Some(match self {
            Known::Local => Set {
                ports: &LOCAL_PORTS,
                never: &METADATA,
                ..Set::of(LOCAL.iter().map(|range| Member::own(range)).collect())
            },
            Known::GitHub { key } => Set { ports: &WEB, ..read(&text(GITHUB)?, key) },
        })
    }
}

/// Whether a text is GitHub's document, and how many addresses and ranges its lists have.
///
/// # Errors
/// It is something else, and this is wrong with it.
pub fn check_github(text: &str) -> Result<usize, String> {
    for key in ["web", "api", "git", "actions"] {
        document::strings(text, key).map_err(|mistake| format!("the key {key}: {}", mistake.message))?;
    }
    let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let lists = document.as_object().into_iter().flat_map(|object| object.values());
    let entries = lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    let is_range = |entry: &&str| entry.parse::<IpNet>().is_ok() || entry.parse::<IpAddr>().is_ok();
    Ok(entries.filter(is_range).count())
}
