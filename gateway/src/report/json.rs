//! One JSON object. Pure.

use std::time::SystemTime;

use serde::Serialize;

use super::Summary;

/// What a run talked to.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(crate) struct Report<'a> {
    /// Whether denials were enforced.
    #[cfg_attr(test, schemars(extend("enum" = ["enforce", "monitor"])))]
    mode: &'a str,
    /// Each with what there was of it. Questions for a name are left out where it was then talked to.
    destinations: Vec<Row<'a>>,
    /// Rules that decided nothing.
    unused_rules: Vec<&'a str>,
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
    };
    // Strings and numbers only: it cannot fail.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}
