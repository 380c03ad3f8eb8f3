//! The closed list of reasons for a denial, as logs, events and denial texts spell them.

use std::fmt;

/// Why something was not let through. The texts are a contract with users' tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No rule allows the name, or a deny rule names it.
    NotAllowed,
    /// No rule allows the address, and no allowed name is pinned to it.
    IpNotAllowed,
    /// The DNS server that was asked is not one that the job may ask.
    DnsServerNotAllowed,
    /// TLS without a server name, so there is nothing to judge.
    NoSni,
    /// HTTP without a host.
    NoHost,
    /// Two places name different hosts (Host and request target, CONNECT and the bytes inside).
    HostMismatch,
    /// The host and path are allowed, the method is not.
    MethodNotAllowed,
    /// The host is allowed, the path is not.
    PathNotAllowed,
    /// An allowed name resolved to a private, loopback, link-local, multicast or metadata address.
    PrivateAddress,
    /// The protocol is not one that the rule, or cijail-net, lets through.
    ProtocolNotAllowed,
    /// The bytes do not parse as what they claim to be.
    Malformed,
    /// A bound on size, number or time was reached.
    Limit,
    /// Allowed, but the other side could not be reached.
    UpstreamFailed,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Reason; 13] = [
        Reason::NotAllowed,
        Reason::IpNotAllowed,
        Reason::DnsServerNotAllowed,
        Reason::NoSni,
        Reason::NoHost,
        Reason::HostMismatch,
        Reason::MethodNotAllowed,
        Reason::PathNotAllowed,
        Reason::PrivateAddress,
        Reason::ProtocolNotAllowed,
        Reason::Malformed,
        Reason::Limit,
        Reason::UpstreamFailed,
    ];

    /// The word that stands in logs and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NotAllowed => "not-allowed",
            Reason::IpNotAllowed => "ip-not-allowed",
            Reason::DnsServerNotAllowed => "dns-server-not-allowed",
            Reason::NoSni => "no-sni",
            Reason::NoHost => "no-host",
            Reason::HostMismatch => "host-mismatch",
            Reason::MethodNotAllowed => "method-not-allowed",
            Reason::PathNotAllowed => "path-not-allowed",
            Reason::PrivateAddress => "private-address",
            Reason::ProtocolNotAllowed => "protocol-not-allowed",
            Reason::Malformed => "malformed",
            Reason::Limit => "limit",
            Reason::UpstreamFailed => "upstream-failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
