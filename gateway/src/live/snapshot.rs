//! What an answer holds, as it is written and read.

use std::time::{Instant, SystemTime};

use policy::Mode;
use serde::{Deserialize, Serialize};

use crate::report::destination::Destination;

/// Connections in an answer.
pub(super) const CONNECTIONS: usize = 200;
/// Destinations in an answer.
pub(super) const DESTINATIONS: usize = 200;

/// What stays the same about a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The id that events have too.
    pub session: String,
    /// The process that answers.
    pub pid: u32,
    /// Whether denials are enforced.
    pub mode: Mode,
    /// The command as it may be shown, printable.
    pub command: Vec<String>,
    /// When it began.
    pub started: SystemTime,
    /// The same by the clock that nobody sets.
    pub begun: Instant,
}

/// A run that goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Snapshot {
    /// The id of the run, as in events.
    pub session: String,
    /// The process of cijail-net.
    pub pid: u32,
    /// Whether denials are enforced.
    #[cfg_attr(test, schemars(extend("enum" = ["enforce", "monitor"])))]
    pub mode: String,
    /// The command and its arguments, without what looks like a secret.
    pub command: Vec<String>,
    /// When it began (RFC 3339).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub started: String,
    /// How long ago that is.
    pub age_ms: u64,
    /// Connections, requests and flows that go on.
    pub open: u64,
    /// How many there were so far, these included.
    pub begun: u64,
    /// Octets that hosts were sent so far.
    pub bytes_up: u64,
    /// Octets that hosts sent so far.
    pub bytes_down: u64,
    /// What was denied so far, or would be in enforce mode.
    pub denied: u64,
    /// What goes on, the most octets first.
    pub connections: Vec<Connection>,
    /// How many more there are.
    pub connections_left_out: u64,
    /// What there was so far by destination, the most octets first. Questions for a name are left out where it
    /// was then talked to.
    pub destinations: Vec<Row>,
    /// How many more there are.
    pub destinations_left_out: u64,
    /// The last denials, the newest first; repeats are one.
    pub denials: Vec<Denial>,
}

/// A connection, a request or a flow. Keys are those of events where they mean the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Connection {
    /// Tells it from others of the run.
    pub id: u64,
    /// The layer that decided.
    #[cfg_attr(test, schemars(extend("enum" = crate::schema::kinds())))]
    pub kind: String,
    /// A name, or an address.
    pub host: String,
    /// The port that the job sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The process, by its number in the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// Octets that the host was sent.
    pub bytes_up: u64,
    /// Octets that the host sent.
    pub bytes_down: u64,
    /// How long ago it began.
    pub age_ms: u64,
}

/// A destination. Keys are those of the report where they mean the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Row {
    /// A name, or an address.
    pub host: String,
    /// Absent for DNS questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The layer that decided.
    #[cfg_attr(test, schemars(extend("enum" = crate::schema::kinds())))]
    pub kind: String,
    /// What goes on there.
    pub open: u64,
    /// What was allowed and has ended.
    pub allowed: u64,
    /// What was denied.
    pub denied: u64,
    /// What would have been denied in enforce mode.
    pub would_deny: u64,
    /// Octets that the host was sent.
    pub bytes_up: u64,
    /// Octets that the host sent.
    pub bytes_down: u64,
}

/// Something that was denied. Keys are those of events where they mean the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Denial {
    /// The last time (RFC 3339).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub at: String,
    /// Whether it was denied, or would be in enforce mode.
    #[cfg_attr(test, schemars(extend("enum" = ["deny", "would-deny"])))]
    pub verdict: String,
    /// The layer that decided.
    #[cfg_attr(test, schemars(extend("enum" = crate::schema::kinds())))]
    pub kind: String,
    /// A name, or an address.
    pub host: String,
    /// Absent for DNS questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Why.
    #[cfg_attr(test, schemars(extend("enum" = crate::schema::reasons())))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rule that would allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// The process of the last time, by its number in the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// How many times.
    pub count: u64,
}

impl Row {
    /// Nothing yet.
    pub(super) fn of(to: &Destination) -> Row {
        Row {
            host: to.host.clone(),
            port: to.port,
            kind: to.kind.to_owned(),
            open: 0,
            allowed: 0,
            denied: 0,
            would_deny: 0,
            bytes_up: 0,
            bytes_down: 0,
        }
    }
}
