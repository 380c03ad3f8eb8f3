//! One JSON object. Pure.

use std::borrow::Cow;
use std::time::SystemTime;

use serde::Serialize;

use super::destination::Destination;
use super::ledger::Activity;
use super::observed::{ExecutedRow, FileRow};
use super::program::Who;
use super::traffic::Traffic;
use super::{OTHERS, Summary};

/// What a run talked to.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(crate) struct Report<'a> {
    /// Whether denials were enforced.
    #[cfg_attr(test, schemars(extend("enum" = ["enforce", "monitor"])))]
    mode: &'a str,
    /// When the run began (RFC 3339).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    started: String,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    /// The exit status of cijail-net.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u8>,
    /// The exit status of the command; absent if cijail-net failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    command_status: Option<u8>,
    /// Each with what there was of it. Questions for a name are left out where it was then talked to.
    destinations: Vec<Row<'a>>,
    /// The same by who did it.
    programs: Vec<Program<'a>>,
    /// Rules that decided nothing.
    unused_rules: Vec<Cow<'a, str>>,
    /// Programs that ran, where the run was watched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    executed: Vec<ExecutedRow<'a>>,
    /// Files that were watched, and used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileRow<'a>>,
    /// How many calls were not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
}

/// A program with its destinations. Keys are those of events where they mean the same.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
struct Program<'a> {
    /// Its executable; absent if nobody saw which program it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    exe: Option<&'a str>,
    /// The executables of its ancestors, the nearest first.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    parents: &'a [String],
    /// Of its first process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Of its first process.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    args: &'a [String],
    /// What it talked to.
    destinations: Vec<Row<'a>>,
}

/// A destination. Keys are those of events where they mean the same.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
struct Row<'a> {
    /// A name, or an address.
    host: &'a str,
    /// Absent for DNS questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// The layer that decided.
    #[cfg_attr(test, schemars(extend("enum" = crate::schema::kinds())))]
    kind: &'a str,
    /// Events that were allowed.
    allowed: u64,
    /// Events that were denied.
    denied: u64,
    /// Events that would have been denied in enforce mode.
    would_deny: u64,
    /// Octets that the host was sent.
    bytes_up: u64,
    /// Octets that the host sent.
    bytes_down: u64,
    /// When it was first wanted (RFC 3339).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    first: String,
    /// When it was last there (RFC 3339).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    last: String,
    /// The rule that decided last.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    /// Why it was denied last, or what went wrong upstream.
    #[cfg_attr(test, schemars(extend("enum" = crate::schema::reasons())))]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// The rule that would allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<&'a str>,
}

pub(super) fn report(summary: &Summary) -> String {
    let rows = summary.rows();
    let duration = summary.end.map(|end| summary.since_start(end.at));
    let report = Report {
        mode: summary.mode.as_str(),
        started: time(summary.started),
        duration_ms: duration.map(|duration| duration.as_millis() as u64),
        status: summary.end.map(|end| end.status),
        command_status: summary.end.and_then(|end| end.command),
        destinations: rows.iter().map(|(to, traffic)| row(to, traffic)).collect(),
        programs: summary
            .ledger
            .programs()
            .map(|(who, activity, rows)| program(who, activity, &rows))
            .collect(),
        unused_rules: summary.unused().collect(),
        executed: summary.observed.executed(),
        files: summary.observed.files(),
        missed: Some(summary.observed.missed()).filter(|missed| *missed > 0),
    };
    // Strings and numbers only: it cannot fail.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}

fn program<'a>(who: &'a Who, activity: &'a Activity, rows: &[(&'a Destination, &'a Traffic)]) -> Program<'a> {
    let (exe, parents) = match who {
        Who::Program { exe, parents } => (Some(exe.as_str()), parents.as_slice()),
        Who::Unknown => (None, [].as_slice()),
        Who::Others => (Some(OTHERS), [].as_slice()),
    };
    let destinations = rows.iter().map(|(to, traffic)| row(to, traffic)).collect();
    Program { exe, parents, pid: activity.pid, args: &activity.args, destinations }
}

fn row<'a>(to: &'a Destination, traffic: &'a Traffic) -> Row<'a> {
    Row {
        host: &to.host,
        port: to.port,
        kind: to.kind,
        allowed: traffic.allowed,
        denied: traffic.denied,
        would_deny: traffic.would_deny,
        bytes_up: traffic.bytes_up,
        bytes_down: traffic.bytes_down,
        first: time(traffic.first),
        last: time(traffic.last),
        rule: traffic.rule.as_deref(),
        reason: traffic.reason.map(policy::Reason::as_str),
        suggestion: traffic.suggestion.as_deref(),
    }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
