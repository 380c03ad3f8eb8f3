//! One JSON object. Pure.

use std::borrow::Cow;
use std::time::SystemTime;

use serde::Serialize;

use super::Summary;
use super::destination::Destination;
use super::ledger::Activity;
use super::program::Who;
use super::traffic::Traffic;

#[derive(Serialize)]
struct Report<'a> {
    mode: &'a str,
    started: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    /// The exit status of cijail-net.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_status: Option<u8>,
    destinations: Vec<Row<'a>>,
    programs: Vec<Program<'a>>,
    unused_rules: Vec<Cow<'a, str>>,
}

/// A program with its destinations. Keys are those of events where they mean the same.
#[derive(Serialize)]
struct Program<'a> {
    /// Absent if nobody saw which program it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    exe: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    parents: &'a [String],
    /// Of its first process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Of its first process.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    args: &'a [String],
    destinations: Vec<Row<'a>>,
}

/// Keys are those of events where they mean the same.
#[derive(Serialize)]
struct Row<'a> {
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    kind: &'a str,
    allowed: u64,
    denied: u64,
    would_deny: u64,
    bytes_up: u64,
    bytes_down: u64,
    first: String,
    last: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
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
    };
    // Strings and numbers only: it cannot fail.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}

fn program<'a>(who: &'a Who, activity: &'a Activity, rows: &[(&'a Destination, &'a Traffic)]) -> Program<'a> {
    let (exe, parents) = match who {
        Who::Program { exe, parents } => (Some(exe.as_str()), parents.as_slice()),
        Who::Unknown => (None, [].as_slice()),
        Who::Others => (Some("and others"), [].as_slice()),
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
