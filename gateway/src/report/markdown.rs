//! Tables as GitHub and GitLab show them, one a program. Pure.

use super::Summary;
use super::excerpt::{Excerpt, Shown};
use super::figures::octets;

/// Rows at most: GitHub takes a mebibyte of summary.
const MOST: usize = 400;

pub(super) fn report(summary: &Summary) -> String {
    let excerpt = Excerpt::of(summary, MOST);
    let headline = summary.headline(&summary.rows());
    let mut text = format!("### cijail-net: {headline}\n\n{}\n", summary.ending());
    for program in &excerpt.programs {
        text.push_str(&table(summary, program));
    }
    if let Some(remark) = excerpt.remark() {
        text.push_str(&format!("\n{remark}\n"));
    }
    let unused: Vec<String> = summary.unused().map(|rule| code(&rule)).collect();
    if !unused.is_empty() {
        text.push_str(&format!("\nNever used: {}\n", unused.join(", ")));
    }
    text + &summary.observed.markdown(code)
}

fn table(summary: &Summary, program: &Shown<'_>) -> String {
    let mut text = format!("\n#### {}\n\n", code(&program.who.shown()));
    text.push_str("| destination | kind | | allowed | blocked | up | down | seen | rule or reason |\n");
    text.push_str("|---|---|---|--:|--:|--:|--:|--:|---|\n");
    for (to, traffic) in &program.destinations {
        let sign = if traffic.blocked() > 0 { "❌" } else { "✅" };
        let (up, down) = (octets(traffic.bytes_up), octets(traffic.bytes_down));
        text.push_str(&format!(
            "| {} | {} | {sign} | {} | {} | {up} | {down} | {} | {} |\n",
            code(&to.shown()),
            to.kind,
            traffic.allowed,
            traffic.blocked(),
            summary.seen(traffic),
            code(&traffic.why()),
        ));
    }
    text
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
