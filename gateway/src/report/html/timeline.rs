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
    let blocked = blocked_word(summary.mode).to_ascii_lowercase();
    let bars = Bars { width, whole, most, blocked: &blocked };
    page.literal("<section aria-labelledby=\"timeline\">\n<h2 id=\"timeline\">Timeline</h2>\n<figure>");
    page.literal("<svg class=\"bars\" viewBox=\"0 0 1200 121\" preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"timeline-text\">");
    for (index, interval) in intervals.iter().enumerate() {
        bars.pair(page, interval, width * index as u32);
    }
    page.literal("<line class=\"axis\" x1=\"0\" x2=\"1200\" y1=\"60.5\" y2=\"60.5\"/></svg><p class=\"ticks\" aria-hidden=\"true\">");
    for tick in 0..=TICKS {
        page.leaf("span", &[], elapsed(whole * tick / TICKS));
    }
    page.literal("</p>");
    page.element("figcaption", &[("id", &"timeline-text")], |caption| {
        caption.text(format_args!(
            "Connections and requests by when they began, in steps of {}. Above the line: allowed. Below: {blocked}. \
             The highest bar stands for {most}.",
            precise(width),
        ));
    });
    page.literal("</figure>\n</section>\n");
}

/// What all bars are drawn by.
struct Bars<'a> {
    /// Of an interval.
    width: Duration,
    /// Of the drawing.
    whole: Duration,
    /// What the highest bar stands for.
    most: u64,
    /// What a verdict other than allowed is called.
    blocked: &'a str,
}

impl Bars<'_> {
    /// The bars of an interval, above and below the line; none if nothing happened.
    fn pair(&self, page: &mut Markup, interval: &Interval, from: Duration) {
        if *interval == Interval::default() {
            return;
        }
        let scaled = |time: Duration| time.as_secs_f64() / self.whole.as_secs_f64() * WIDTH;
        let (x, wide) = (scaled(from), scaled(self.width).max(2.0) * 0.86);
        let times = format!("{} to {}", elapsed(from), elapsed(from + self.width));
        let Interval { allowed, blocked } = interval;
        page.literal("<g>");
        page.leaf("title", &[], format_args!("{times}: {allowed} allowed, {blocked} {}", self.blocked));
        let mut bar = |class: &str, y: f64, height: f64| {
            if height > 0.0 {
                page.shape(
                    "rect",
                    &[
                        ("class", &class),
                        ("x", &format_args!("{x:.1}")),
                        ("y", &format_args!("{y:.1}")),
                        ("width", &format_args!("{wide:.1}")),
                        ("height", &format_args!("{height:.1}")),
                    ],
                );
            }
        };
        let above = self.height(*allowed);
        bar("allowed", HALF - above, above);
        bar("blocked", HALF + 1.0, self.height(*blocked));
        page.literal("</g>");
    }

    fn height(&self, count: u64) -> f64 {
        match count {
            0 => 0.0,
            count => (count as f64 / self.most as f64 * HALF).max(LEAST),
        }
    }
}

/// `10ms`, `1.28s`
fn precise(time: Duration) -> String {
    match time.as_millis() {
        milliseconds @ 0..1000 => format!("{milliseconds}ms"),
        milliseconds @ 1000..10_000 => format!("{:.2}s", milliseconds as f64 / 1000.0),
        _ => elapsed(time),
    }
}
