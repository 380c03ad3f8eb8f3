//! One page for a browser, which needs nothing but itself: no other file, no network, no script. Pure.
//!
//! The script adds a filter and highlights; a policy inside the page lets nothing run or load but that
//! script and the style sheet, by their digests.

mod graph;
mod head;
mod layout;
mod markup;
mod observed;
mod tables;
mod timeline;
mod tree;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Mode;

use super::Summary;
use super::excerpt::Excerpt;
use super::traffic::Traffic;
use crate::audit::Outcome;
use markup::Markup;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Rows of the table of destinations at most.
const MOST: usize = 1_000;
/// Octets after which tables take no more rows: texts that the job chose may be long.
const MOST_OCTETS: usize = 1_500_000;

pub(super) fn report(summary: &Summary) -> String {
    let rows = summary.rows();
    let excerpt = Excerpt::of(summary, MOST);
    let mut page = Markup::default();
    page.literal("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.open("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &policy())]);
    page.literal(
        "\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n",
    );
    page.leaf("title", &[], format_args!("cijail-net: {}", summary.headline(&rows)));
    page.literal("\n<style>").literal(STYLE).literal("</style>\n</head>\n<body>\n");
    head::add(&mut page, summary, &rows);
    page.literal("<main>\n");
    timeline::add(&mut page, summary);
    graph::add(&mut page, summary, rows.len(), &excerpt);
    tables::denials(&mut page, summary, &rows);
    tables::programs(&mut page, summary, &excerpt);
    observed::add(&mut page, summary);
    tables::unused(&mut page, summary);
    page.literal("</main>\n<script>").literal(SCRIPT).literal("</script>\n</body>\n</html>\n");
    page.finish()
}

/// What the page may do (CSP Level 3).
fn policy() -> String {
    let digest = |text: &str| STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

/// What a verdict other than allowed is called.
fn blocked_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "Blocked",
        Mode::Monitor => "Would be blocked",
    }
}

/// A sign and a word: colour tells nothing that they do not.
fn verdict(page: &mut Markup, traffic: &Traffic) {
    match traffic.outcome() {
        Outcome::Allow => page.literal("<span class=\"verdict allowed\">&#10003; allowed</span>"),
        Outcome::Deny => page.literal("<span class=\"verdict blocked\">&#10005; blocked</span>"),
        Outcome::WouldDeny => page.literal("<span class=\"verdict blocked\">! would be blocked</span>"),
    };
}
