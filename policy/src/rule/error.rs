//! What can be wrong with the text of a rule, and what to write instead.

use crate::path::PathError;
use crate::pattern::PatternError;

/// A rule that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct RuleError {
    /// Bytes of the rule's text before the offending part.
    pub offset: usize,
    /// What is wrong.
    pub kind: RuleErrorKind,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleErrorKind {
    /// Nothing was there.
    #[error("an empty rule: write a host, an address or a URL, such as example.com")]
    Empty,
    /// White space where none belongs.
    #[error("a rule has no white space but between methods and a URL")]
    WhiteSpace,
    /// `@name` where no sets are.
    #[error(
        "a set stands in the allow and deny lists of the policy file that has it, and behind --allow-set"
    )]
    SetElsewhere,
    /// The host is no pattern.
    #[error("{0}")]
    Pattern(PatternError),
    /// A number too large or too small.
    #[error("port {0} is not between 1 and 65535")]
    PortOutOfRange(String),
    /// A range that runs backwards.
    #[error("the port range {first}-{last} is empty: write {last}-{first}")]
    PortRangeReversed {
        /// The first port as written.
        first: u16,
        /// The last port as written.
        last: u16,
    },
    /// No port at all.
    #[error("`{0}` is not a port: write a number, a range such as 8000-8100, or `*` for all")]
    NotAPort(String),
    /// Something other than `/udp` or `/tcp` behind a port.
    #[error("`{0}` cannot follow a port: write /udp for UDP, or a URL such as https://example.com/path/")]
    NotAProtocol(String),
    /// `/udp` without a port.
    #[error("a protocol needs a port: write {0}:PORT/udp")]
    ProtocolWithoutPort(String),
    /// An address rule that allows must say which ports.
    #[error("an address needs a port: write {0}:443, or {0}:* for every TCP port")]
    AddressWithoutPort(String),
    /// Not an address or a prefix length.
    #[error(
        "`{0}` is not an address or range: write 192.0.2.7, 192.0.2.0/24, [2001:db8::1] or [2001:db8::/32]"
    )]
    NotARange(String),
    /// A range whose address has bits beyond the prefix.
    #[error("the range has bits set beyond its prefix: write {0}")]
    HostBits(String),
    /// An IPv6 address without brackets.
    #[error("an IPv6 address goes in brackets: write {0}")]
    Unbracketed(String),
    /// A bracket that does not close.
    #[error("`[` has no `]`: write [2001:db8::1]:443")]
    OpenBracket,
    /// A loopback address, or a URL or name rule for localhost.
    #[error("the host's loopback is opened by port: write {0}")]
    Loopback(String),
    /// `localhost` with `/udp`.
    #[error("localhost rules are for TCP only: write {0}")]
    LoopbackUdp(String),
    /// A path without a scheme.
    #[error("a path needs a scheme: write https://{0}")]
    PathWithoutScheme(String),
    /// A scheme other than http and https.
    #[error("`{0}://` is not a scheme of URL rules: write https:// or http://, or a host with a port")]
    Scheme(String),
    /// An address as the host of a URL.
    #[error("a URL rule needs a host name: write {0}")]
    UrlAddress(String),
    /// A user or password in a URL.
    #[error("a URL rule has no user or password: write {0}")]
    UserInfo(String),
    /// A query in a URL.
    #[error("a URL rule ends with the path, queries are not compared: write {0}")]
    Query(String),
    /// A fragment in a URL.
    #[error("a URL rule ends with the path, fragments are never sent: write {0}")]
    Fragment(String),
    /// A port range or `*` in a URL.
    #[error("a URL rule has one port: write {0}")]
    UrlPorts(String),
    /// The path is not one that can be compared.
    #[error("{0}")]
    Path(PathError),
    /// A method that is not a token in upper case.
    #[error("`{0}` is not a method: write upper-case names joined by commas, such as GET,HEAD")]
    Method(String),
    /// Methods before something that is no URL.
    #[error("methods need a URL: write {0}")]
    MethodsWithoutUrl(String),
    /// A socket path that is relative or has `.`, `..` or empty segments.
    #[error(
        "a socket is named by an absolute path without `.`, `..`, `//` or a slash at the end: write unix:/run/x.sock"
    )]
    UnixPath,
}
