//! The top of the page: what came of the run, in one sentence and a few figures. Pure.

use policy::Mode;

use super::blocked_word;
use super::markup::Markup;
use crate::report::figures::{counted, elapsed, grouped, octets};
use crate::report::{Destination, Summary, Traffic};

pub(super) fn add(page: &mut Markup, summary: &Summary, rows: &[(&Destination, Traffic)]) {
    let blocked = rows.iter().filter(|(_, traffic)| traffic.blocked() > 0).count();
    let failed = summary.end.is_some_and(|end| end.command.is_none());
    let class = match (failed, blocked) {
        (false, 0) => "clean",
        _ => "alarm",
    };
    page.element("header", &[("class", &class)], |header| {
        let started = humantime::format_rfc3339_seconds(summary.started);
        header.literal("<p class=\"product\">cijail-net &middot; network report &middot; ");
        header.leaf("time", &[], started).literal("</p>");
        header.element("h1", &[], |title| {
            sign(title, summary.mode, failed, blocked);
            title.text(sentence(summary, rows.len(), blocked, failed));
        });
        header.literal("<dl class=\"facts\">");
        for (name, value) in facts(summary, rows) {
            header.element("div", &[], |fact| {
                fact.leaf("dt", &[], name).leaf("dd", &[], value);
            });
        }
        header.literal("</dl>");
    });
    page.literal("\n");
}

fn sign(title: &mut Markup, mode: Mode, failed: bool, blocked: usize) {
    title.literal(match (failed, blocked, mode) {
        (true, ..) => "<span class=\"sign\" aria-hidden=\"true\">!</span>",
        (false, 0, _) => "<span class=\"sign\" aria-hidden=\"true\">&#10003;</span>",
        (false, _, Mode::Enforce) => "<span class=\"sign\" aria-hidden=\"true\">&#10005;</span>",
        (false, _, Mode::Monitor) => "<span class=\"sign\" aria-hidden=\"true\">!</span>",
    });
}

/// The headline.
fn sentence(summary: &Summary, all: usize, blocked: usize, failed: bool) -> String {
    let destinations = counted(all as u64, "destination");
    let was = if blocked == 1 { "was" } else { "were" };
    match (failed, blocked, summary.mode) {
        (true, ..) => "The run was ended: cijail-net failed".to_owned(),
        (false, 0, _) if all == 0 => "The command talked to nobody".to_owned(),
        (false, 0, _) => format!("Nothing was blocked: {destinations}, all allowed"),
        (false, _, Mode::Enforce) => format!("{} of {destinations} {was} blocked", grouped(blocked as u64)),
        (false, _, Mode::Monitor) => {
            format!("{} of {destinations} would be blocked", grouped(blocked as u64))
        }
    }
}

fn facts(summary: &Summary, rows: &[(&Destination, Traffic)]) -> Vec<(&'static str, String)> {
    let sum = |part: fn(&Traffic) -> u64| rows.iter().map(|(_, traffic)| part(traffic)).sum::<u64>();
    let mut facts = Vec::new();
    if let Some(end) = summary.end {
        facts.push((
            "Exit status",
            match end.command {
                Some(command) if command != end.status => format!("{} (command: {command})", end.status),
                _ => end.status.to_string(),
            },
        ));
        facts.push(("Duration", elapsed(summary.since_start(end.at))));
    }
    facts.push(("Mode", summary.mode.as_str().to_owned()));
    facts.push(("Programs", grouped(summary.ledger.programs().count() as u64)));
    facts.push(("Allowed", grouped(sum(|traffic| traffic.allowed))));
    facts.push((blocked_word(summary.mode), grouped(sum(Traffic::blocked))));
    facts.push(("Sent", octets(sum(|traffic| traffic.bytes_up))));
    facts.push(("Received", octets(sum(|traffic| traffic.bytes_down))));
    facts
}
