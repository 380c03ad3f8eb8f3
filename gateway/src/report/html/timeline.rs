//! Connections and denials over the run, as bars above and below a line. Pure.

use std::time::Duration;

use super::blocked_word;
use super::markup::Markup;
use crate::report::Summary;
use crate::report::figures::elapsed;
use crate::report::timeline::Interval;

/// The drawing's own units; the page stretches it to any width.
const WIDTH: f64 = 1200.0;
const HALF: f64 = 60.0;
/// The least height of a bar that stands for something.
const LEAST: f64 = 3.0;
/// Times that are written below, with that of the start.
const TICKS: u32 = 4;

pub(super) fn add(page: &mut Markup, summary: &Summary) {
    let timeline = &summary.timeline;
    let intervals = timeline.intervals();
    if intervals.is_empty() {
        return;
    }
    let width = timeline.width();
    let ran = summary.end.map(|end| summary.since_start(end.at)).unwrap_or_default();
    let whole = ran.max(width * intervals.len() as u32);
    let most = intervals.iter().map(|interval| interval.allowed.max(interval.blocked)).max().unwrap_or(1);
    page.literal("<section aria-labelledby=\"timeline\">\n<h2 id=\"timeline\">Timeline</h2>\n<figure>");
    page.literal("<svg class=\"bars\" viewBox=\"0 0 1200 121\" preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"timeline-text\">");
    for (index, interval) in intervals.iter().enumerate() {
        let from = width * index as u32;
        bar(page, interval, from, width, whole, most, summary);
    }
    page.literal("<line class=\"axis\" x1=\"0\" x2=\"1200\" y1=\"60.5\" y2=\"60.5\"/></svg><p class=\"ticks\" aria-hidden=\"true\">");
    for tick in 0..=TICKS {
        page.leaf("span", &[], elapsed(whole * tick / TICKS));
    }
    page.literal("</p>");
    page.element("figcaption", &[("id", &"timeline-text")], |caption| {
        caption.text(format_args!(
            "Connections and requests by when they began, in steps of {}. Above the line: allowed. Below: {}. \
             The highest bar stands for {}.",
            precise(width),
            blocked_word(summary.mode).to_ascii_lowercase(),
            most,
        ));
    });
    page.literal("</figure>\n</section>\n");
}

fn bar(
    page: &mut Markup,
    interval: &Interval,
    from: Duration,
    width: Duration,
    whole: Duration,
    most: u64,
    summary: &Summary,
) {
    if *interval == Interval::default() {
        return;
    }
    let scaled = |time: Duration| time.as_secs_f64() / whole.as_secs_f64() * WIDTH;
    let (x, wide) = (scaled(from), scaled(width).max(2.0));
    let height = |count: u64| match count {
        0 => 0.0,
        count => (count as f64 / most as f64 * HALF).max(LEAST),
    };
    page.literal("<g>");
    page.leaf(
        "title",
        &[],
        format_args!(
            "{} to {}: {} allowed, {} {}",
            elapsed(from),
            elapsed(from + width),
            interval.allowed,
            interval.blocked,
            blocked_word(summary.mode).to_ascii_lowercase(),
        ),
    );
    let mut rectangle = |class: &str, y: f64, height: f64| {
        if height > 0.0 {
            page.shape(
                "rect",
                &[
                    ("class", &class),
                    ("x", &format_args!("{x:.1}")),
                    ("y", &format_args!("{y:.1}")),
                    ("width", &format_args!("{:.1}", wide * 0.86)),
                    ("height", &format_args!("{height:.1}")),
                ],
            );
        }
    };
    let above = height(interval.allowed);
    rectangle("allowed", HALF - above, above);
    rectangle("blocked", HALF + 1.0, height(interval.blocked));
    page.literal("</g>");
}

/// `10ms`, `1.28s`
fn precise(time: Duration) -> String {
    match time.as_millis() {
        milliseconds @ 0..1000 => format!("{milliseconds}ms"),
        milliseconds @ 1000..10_000 => format!("{:.2}s", milliseconds as f64 / 1000.0),
        _ => elapsed(time),
    }
}
