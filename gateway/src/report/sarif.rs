//! SARIF 2.1.0 (OASIS), which code scanning shows: a result for each blocked destination. Pure.

use policy::Mode;
use serde_json::{Value, json};

use super::Summary;
use super::traffic::Traffic;

pub(super) fn report(summary: &Summary) -> String {
    let level = match summary.mode {
        Mode::Enforce => "error",
        Mode::Monitor => "warning",
    };
    let mut blocked = summary.rows();
    blocked.retain(|(_, traffic)| traffic.blocked() > 0);
    let reason = |traffic: &Traffic| traffic.reason.map_or("not-allowed", policy::Reason::as_str);
    let mut reasons: Vec<&str> = blocked.iter().map(|(_, traffic)| reason(traffic)).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let results: Vec<Value> = blocked
        .iter()
        .map(|(to, traffic)| {
            let text = format!("{} {} {}: {}", to.kind, to.shown(), traffic.verdict(), traffic.why());
            json!({
                "ruleId": reason(traffic),
                "level": level,
                "message": { "text": message(&text) },
                "locations": [{ "logicalLocations": [{ "fullyQualifiedName": to.shown(), "kind": "resource" }] }],
                "occurrenceCount": traffic.blocked(),
            })
        })
        .collect();
    let rules: Vec<Value> = reasons.into_iter().map(|id| json!({ "id": id })).collect();
    let driver = json!({ "name": "cijail-net", "version": env!("CARGO_PKG_VERSION"), "rules": rules });
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "results": results }],
    });
    // Strings and numbers only: it cannot fail.
    serde_json::to_string_pretty(&sarif).unwrap_or_default() + "\n"
}

/// A message's text: braces would be placeholders, and brackets before a parenthesis a link (SARIF 2.1.0,
/// 3.11.5 and 3.11.6).
fn message(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}").replace('[', "\\[").replace(']', "\\]")
}
