//! One JSON object. Pure.

use std::time::SystemTime;

use serde::Serialize;

use super::Summary;
use super::observed::{FileRow, ProgramRow};

#[derive(Serialize)]
struct Report<'a> {
    mode: &'a str,
    destinations: Vec<Row<'a>>,
    unused_rules: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    programs: Vec<ProgramRow<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
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
    let time = |at: SystemTime| humantime::format_rfc3339_millis(at).to_string();
    let rows = summary.rows().map(|(to, traffic)| Row {
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
    });
    let report = Report {
        mode: summary.mode.as_str(),
        destinations: rows.collect(),
        unused_rules: summary.unused().collect(),
        programs: summary.observed.programs(),
        files: summary.observed.files(),
        missed: Some(summary.observed.missed()).filter(|missed| *missed > 0),
    };
    // Strings and numbers only: it cannot fail.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}
