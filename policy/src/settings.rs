//! What files set beside rules: the mode, DNS and limits.

use std::fmt;
use std::time::Duration;

use crate::Resolver;

/// Whether denials are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// What is denied does not pass.
    #[default]
    Enforce,
    /// Everything passes; what would be denied is recorded.
    Monitor,
}

/// What the job gets as the addresses of an allowed name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Answers {
    /// The addresses that upstream gave.
    #[default]
    Real,
    /// An address of its own for each name, without a question to upstream.
    Synthetic,
}

/// How names are answered and resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSettings {
    /// What the job gets as addresses.
    pub answers: Answers,
    /// Whom the gateway asks; the resolvers of the host if there are none.
    pub resolvers: Vec<Resolver>,
    /// The least time to live in an answer, in whole seconds; 0 s unless set.
    pub ttl_min: Duration,
    /// The greatest time to live in an answer, in whole seconds; 300 s unless set.
    pub ttl_max: Duration,
}

/// Bounds on size, number and time. Counts are for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// TCP connections open at once; 16,384.
    pub connections: usize,
    /// Octets looked at to learn what a connection speaks; 64 KiB, many times a ClientHello with
    /// post-quantum key shares.
    pub sniff_bytes: usize,
    /// Time for those octets to arrive; 10 s.
    pub sniff_timeout: Duration,
    /// Time for an upstream connection to come about, over all its addresses; 10 s.
    pub connect_timeout: Duration,
    /// Time after which a TCP connection without traffic is closed; 2 h 4 min (RFC 5382 REQ-5).
    pub idle_timeout: Duration,
    /// UDP flows at once; 4,096.
    pub udp_flows: usize,
    /// Time after which a UDP flow without traffic is forgotten; 5 min (RFC 4787 REQ-5).
    pub udp_idle_timeout: Duration,
    /// Addresses remembered as those of allowed names; 65,536.
    pub pins: usize,
    /// DNS questions under way at once; 1,024.
    pub dns_inflight: usize,
    /// Names of one wildcard rule that may leave the machine; 64. A rule may have a limit of its own.
    pub wildcard_names: usize,
}

/// What a limit of names under a wildcard may be: beyond it the wildcard limits nothing, and the
/// names take memory.
pub(crate) const WILDCARD_NAMES: (usize, usize) = (1, 65_536);

impl Default for DnsSettings {
    fn default() -> DnsSettings {
        DnsSettings {
            answers: Answers::Real,
            resolvers: Vec::new(),
            ttl_min: Duration::ZERO,
            ttl_max: Duration::from_secs(300),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 16_384,
            sniff_bytes: 64 * 1024,
            sniff_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(7440),
            udp_flows: 4096,
            udp_idle_timeout: Duration::from_secs(300),
            pins: 65_536,
            dns_inflight: 1024,
            wildcard_names: 64,
        }
    }
}

impl Mode {
    /// The mode that a policy file or `--mode` names.
    pub fn parse(text: &str) -> Option<Mode> {
        [Mode::Enforce, Mode::Monitor].into_iter().find(|mode| mode.as_str() == text)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Monitor => "monitor",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
