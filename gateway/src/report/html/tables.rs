//! What was blocked and would allow it, destinations by program, rules that were never used. Pure.

use super::markup::Markup;
use super::{MOST_OCTETS, blocked_word, verdict};
use crate::audit::shell_word;
use crate::report::excerpt::{Excerpt, Shown};
use crate::report::figures::{grouped, octets};
use crate::report::{Destination, Summary, Traffic};

/// Blocked destinations that are listed.
const MOST_BLOCKED: usize = 300;

/// Blocked destinations, whichever programs wanted them.
pub(super) fn denials(page: &mut Markup, summary: &Summary, rows: &[(&Destination, Traffic)]) {
    let rows: Vec<_> = rows.iter().filter(|(_, traffic)| traffic.blocked() > 0).collect();
    if rows.is_empty() {
        return;
    }
    let title = blocked_word(summary.mode);
    page.literal("<section aria-labelledby=\"blocked\">\n").leaf("h2", &[("id", &"blocked")], title);
    page.literal(
        "\n<div class=\"scroll\"><table class=\"denials\">\n<caption>Each destination, and the option \
         that would allow it.</caption>\n<thead><tr><th scope=\"col\">Destination</th>\
         <th scope=\"col\">Kind</th><th scope=\"col\" class=\"number\">Count</th><th scope=\"col\">Reason</th>\
         <th scope=\"col\">To allow it</th></tr></thead>\n<tbody>\n",
    );
    let mut shown = 0;
    for (to, traffic) in rows.iter().take(MOST_BLOCKED) {
        if page.len() > MOST_OCTETS / 2 {
            break;
        }
        denial(page, to, traffic);
        shown += 1;
    }
    page.literal("</tbody></table></div>\n");
    left_out(page, rows.len() - shown);
    page.literal("</section>\n");
}

fn denial(page: &mut Markup, to: &Destination, traffic: &Traffic) {
    page.literal("<tr>");
    page.leaf("th", &[("scope", &"row"), ("class", &"host")], to.shown());
    page.leaf("td", &[("data-label", &"Kind")], to.kind);
    page.leaf("td", &[("data-label", &"Count"), ("class", &"number")], grouped(traffic.blocked()));
    page.element("td", &[("data-label", &"Reason")], |cell| {
        if let Some(reason) = traffic.reason {
            cell.text(reason);
        }
        if let Some(rule) = &traffic.rule {
            cell.literal(" by the rule ").leaf("code", &[], rule);
        }
    });
    page.element("td", &[("data-label", &"To allow it")], |cell| {
        match (&traffic.suggestion, &traffic.rule) {
            (Some(suggestion), None) => {
                cell.leaf(
                    "code",
                    &[("class", &"remedy")],
                    format_args!("--allow {}", shell_word(suggestion)),
                );
            }
            (_, Some(_)) => {
                cell.literal("<span class=\"muted\">a rule denies it</span>");
            }
            (None, None) => {
                cell.literal("<span class=\"muted\">no rule of one line</span>");
            }
        }
    });
    page.literal("</tr>\n");
}

/// Destinations by program.
pub(super) fn programs(page: &mut Markup, summary: &Summary, excerpt: &Excerpt<'_>) {
    page.literal(
        "<section aria-labelledby=\"programs\">\n<h2 id=\"programs\">Destinations by program</h2>\n",
    );
    if excerpt.programs.is_empty() {
        page.literal("<p class=\"muted\">There were none.</p>\n</section>\n");
        return;
    }
    page.literal(
        "<form class=\"filter\" hidden><label>Filter <input type=\"search\" id=\"filter\" autocomplete=\"off\"></label>\
         <label><input type=\"checkbox\" id=\"only-blocked\"> only what was blocked</label>\
         <output id=\"matches\"></output></form>\n",
    );
    let mut left = excerpt.left_out;
    for (number, program) in excerpt.programs.iter().enumerate() {
        if page.len() > MOST_OCTETS {
            left += program.destinations.len();
        } else {
            left += table(page, summary, number, program);
        }
    }
    left_out(page, left);
    page.literal("</section>\n");
}

/// One program; says how many of its rows were left out.
fn table(page: &mut Markup, summary: &Summary, number: usize, program: &Shown<'_>) -> usize {
    let mut shown = 0;
    page.element("article", &[("id", &format_args!("p{number}")), ("class", &"program")], |article| {
        article.leaf("h3", &[], program.who.shown());
        command_line(article, program);
        article.literal("<div class=\"scroll\"><table>\n");
        article.leaf(
            "caption",
            &[("class", &"unseen")],
            format_args!("Destinations of {}", program.who.shown()),
        );
        article.literal(
            "\n<thead><tr><th scope=\"col\">Destination</th><th scope=\"col\">Kind</th><th scope=\"col\">Verdict</th>\
             <th scope=\"col\" class=\"number\">Count</th><th scope=\"col\" class=\"number\">Sent</th>\
             <th scope=\"col\" class=\"number\">Received</th><th scope=\"col\" class=\"number\">Seen</th>\
             <th scope=\"col\">Decided by</th></tr></thead>\n<tbody>\n",
        );
        for (to, traffic) in &program.destinations {
            if article.len() > MOST_OCTETS {
                break;
            }
            row(article, summary, to, traffic);
            shown += 1;
        }
        article.literal("</tbody></table></div>");
    });
    program.destinations.len() - shown
}

/// How its first process was started.
fn command_line(page: &mut Markup, program: &Shown<'_>) {
    let Some(pid) = program.activity.pid else { return };
    page.element("p", &[("class", &"command")], |line| {
        line.text(format_args!("process {pid}"));
        if !program.activity.args.is_empty() {
            line.literal(": ").leaf("code", &[], program.activity.args.join(" "));
        }
    });
}

fn row(page: &mut Markup, summary: &Summary, to: &Destination, traffic: &Traffic) {
    let class = if traffic.blocked() > 0 { "is-blocked" } else { "is-allowed" };
    let number = |page: &mut Markup, label: &str, text: String| {
        page.leaf("td", &[("data-label", &label), ("class", &"number")], text);
    };
    page.open("tr", &[("class", &class)]);
    page.leaf("th", &[("scope", &"row"), ("class", &"host")], to.shown());
    page.leaf("td", &[("data-label", &"Kind")], to.kind);
    page.element("td", &[("data-label", &"Verdict")], |cell| verdict(cell, traffic));
    number(
        page,
        "Count",
        match (traffic.allowed, traffic.blocked()) {
            (0, count) | (count, 0) => grouped(count),
            (allowed, blocked) => format!("{} of {}", grouped(blocked), grouped(allowed + blocked)),
        },
    );
    let carried = |count: u64| if count == 0 { String::new() } else { octets(count) };
    number(page, "Sent", carried(traffic.bytes_up));
    number(page, "Received", carried(traffic.bytes_down));
    let seen = |at| humantime::format_rfc3339_millis(at);
    let times = format!("{} to {}", seen(traffic.first), seen(traffic.last));
    page.leaf(
        "td",
        &[("data-label", &"Seen"), ("class", &"number"), ("title", &times)],
        summary.seen(traffic),
    );
    page.element("td", &[("data-label", &"Decided by")], |cell| match (&traffic.rule, traffic.reason) {
        (Some(rule), None) => {
            cell.leaf("code", &[], rule);
        }
        (Some(rule), Some(reason)) => {
            cell.text(reason).literal(", ").leaf("code", &[], rule);
        }
        (None, Some(reason)) => {
            cell.text(reason);
        }
        (None, None) => {}
    });
    page.literal("</tr>\n");
}

/// Rules that decided nothing.
pub(super) fn unused(page: &mut Markup, summary: &Summary) {
    let mut rules = summary.unused().peekable();
    if rules.peek().is_none() {
        return;
    }
    page.literal(
        "<section aria-labelledby=\"unused\">\n<h2 id=\"unused\">Rules that were never used</h2>\n<ul class=\"rules\">",
    );
    for rule in rules {
        page.element("li", &[], |item| {
            item.leaf("code", &[], rule);
        });
    }
    page.literal("</ul>\n</section>\n");
}

fn left_out(page: &mut Markup, count: usize) {
    if count > 0 {
        page.leaf(
            "p",
            &[("class", &"note")],
            format_args!(
                "{} more rows are left out here. --report json=FILE has them.",
                grouped(count as u64)
            ),
        );
    }
}
