//! What a GitHub workflow shows beside a run: workflow commands on the job's own output. Pure.

use policy::Mode;

use super::Summary;

/// Annotations that GitHub shows of a step; what comes after them is told as a number.
const MOST: usize = 9;

/// A line for each destination that was blocked.
pub fn annotations(summary: &Summary) -> String {
    let command = match summary.mode {
        Mode::Enforce => "error",
        Mode::Monitor => "warning",
    };
    let mut blocked = summary.rows();
    blocked.retain(|(_, traffic)| traffic.blocked() > 0);
    let mut lines: Vec<String> = blocked
        .iter()
        .take(MOST)
        .map(|(to, traffic)| {
            let by = traffic.by.iter().map(|by| format!("; by {by}")).collect::<String>();
            let message = format!("{} {} {}: {}{by}", to.kind, to.shown(), traffic.verdict(), traffic.why());
            format!("::{command} title=cijail-net::{}\n", escaped(&message))
        })
        .collect();
    if blocked.len() > MOST {
        lines.push(format!("::{command} title=cijail-net::and {} more\n", blocked.len() - MOST));
    }
    lines.concat()
}

/// The message of a workflow command ends with the line.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
