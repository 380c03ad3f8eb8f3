//! A table as GitHub and GitLab show it. Pure.

use super::{Summary, octets};

pub(super) fn report(summary: &Summary) -> String {
    let mut text = format!("### cijail-net: {}\n\n", summary.headline());
    let mut rows: Vec<_> = summary.rows().collect();
    rows.sort_by_key(|(_, traffic)| traffic.blocked() == 0);
    if !rows.is_empty() {
        text.push_str("| destination | kind | | allowed | blocked | up | down | rule or reason |\n");
        text.push_str("|---|---|---|--:|--:|--:|--:|---|\n");
    }
    for (to, traffic) in rows {
        let sign = if traffic.blocked() > 0 { "❌" } else { "✅" };
        let (up, down) = (octets(traffic.bytes_up), octets(traffic.bytes_down));
        text.push_str(&format!(
            "| {} | {} | {sign} | {} | {} | {up} | {down} | {} |\n",
            code(&to.shown()),
            to.kind,
            traffic.allowed,
            traffic.blocked(),
            code(&traffic.why()),
        ));
    }
    let unused: Vec<String> = summary.unused().map(code).collect();
    if !unused.is_empty() {
        text.push_str(&format!("\nNever used: {}\n", unused.join(", ")));
    }
    text + &summary.observed.markdown(code)
}

/// Text as it is: neither markup nor another cell. A code span shows everything but its own marks, and in
/// a table a bar ends it all the same.
fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let harmless = text.replace('`', "'").replace('|', "\\|").replace(['\n', '\r'], " ");
    format!("`{harmless}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup() {
        assert_eq!(code("a|b`<script>`\n# x"), "`a\\|b'<script>' # x`");
        assert_eq!(code(""), "");
    }
}
