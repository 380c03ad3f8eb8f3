//! A table for terminals and logs. Pure.
//!
//! No line begins with text that the job chose: CI servers take some beginnings as commands.

use super::Summary;
use super::excerpt::{Excerpt, Shown};
use super::figures::octets;
use super::traffic::Traffic;

/// Rows at most.
const MOST: usize = 500;
/// Columns at least and at most, whatever the terminal says.
const NARROWEST: usize = 40;
const WIDEST: usize = 160;

/// Where rows begin, and what belongs to them.
const INDENT: &str = "    ";
const DEEPER: &str = "      ";
/// Before what is left of a text that is longer than a line.
const CONTINUED: &str = "      | ";

const HEAD: [&str; 6] = ["", "destination", "kind", "count", "up/down", "seen"];

pub(super) fn report(summary: &Summary, columns: usize) -> String {
    let columns = columns.clamp(NARROWEST, WIDEST);
    let excerpt = Excerpt::of(summary, MOST);
    let rows: Vec<[String; 6]> =
        excerpt.programs.iter().flat_map(|program| cells(summary, program)).collect();
    let widths = widths(&rows, columns);
    let mut lines = Lines { columns, text: String::new() };
    lines.push(&format!("cijail-net: {}", summary.headline(&summary.rows())));
    lines.push(&format!("  {}", summary.ending()));
    if !rows.is_empty() {
        lines.row(&HEAD.map(str::to_owned), &widths);
    }
    let mut rows = rows.iter();
    for program in &excerpt.programs {
        lines.push(&format!("  by {}", program.who.shown()));
        for ((_, traffic), row) in program.destinations.iter().zip(&mut rows) {
            lines.row(row, &widths);
            lines.decision(traffic);
        }
    }
    if let Some(remark) = excerpt.remark() {
        lines.push(&format!("  {remark}"));
    }
    for rule in summary.unused() {
        lines.push(&format!("  never used: {rule}"));
    }
    for line in summary.observed.text() {
        lines.push(&line);
    }
    lines.text
}

fn cells<'a>(summary: &'a Summary, program: &'a Shown<'_>) -> impl Iterator<Item = [String; 6]> + 'a {
    program.destinations.iter().map(|(to, traffic)| {
        let count = match (traffic.allowed, traffic.blocked()) {
            (0, blocked) => blocked.to_string(),
            (allowed, 0) => allowed.to_string(),
            (allowed, blocked) => format!("{allowed}+{blocked}"),
        };
        let bytes = match traffic.bytes_up + traffic.bytes_down {
            0 => String::new(),
            _ => format!("{}/{}", octets(traffic.bytes_up), octets(traffic.bytes_down)),
        };
        let verdict = traffic.outcome().as_str().to_owned();
        [verdict, to.shown(), to.kind.to_owned(), count, bytes, summary.seen(traffic)]
    })
}

/// Columns as wide as their widest cell, but for destinations, which take what is left.
fn widths(rows: &[[String; 6]], columns: usize) -> [usize; 6] {
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.chain([HEAD[column].len()]).max().unwrap_or(0)
    };
    let mut widths: [usize; 6] = std::array::from_fn(widest);
    let others = INDENT.len() + widths.iter().sum::<usize>() - widths[1] + 2 * (widths.len() - 1);
    widths[1] = widths[1].min(columns.saturating_sub(others)).max(HEAD[1].len());
    widths
}

/// Lines of at most so many columns.
struct Lines {
    columns: usize,
    text: String,
}

impl Lines {
    /// One line, or more if it is too long.
    fn push(&mut self, line: &str) {
        let mut rest = line.trim_end().to_owned();
        while rest.len() > self.columns {
            // Between words if that fills half of the line.
            let end = match rest[..=self.columns].rfind(' ') {
                Some(space) if space > self.columns / 2 => space,
                _ => self.columns,
            };
            self.text.push_str(rest[..end].trim_end());
            self.text.push('\n');
            rest = format!("{CONTINUED}{}", rest[end..].trim_start());
        }
        self.text.push_str(&rest);
        self.text.push('\n');
    }

    /// Cells beside each other. A destination that is too long stands above the others.
    fn row(&mut self, cells: &[String; 6], widths: &[usize; 6]) {
        let mut line = format!("{INDENT}{:<1$}", cells[0], widths[0]);
        if cells[1].len() > widths[1] {
            self.push(&format!("{line}  {}", cells[1]));
            line = format!("{INDENT}{:<1$}", "", widths[0] + 2 + widths[1]);
        } else {
            line.push_str(&format!("  {:<1$}", cells[1], widths[1]));
        }
        for (cell, width) in cells.iter().zip(widths).skip(2) {
            line.push_str(&format!("  {cell:<width$}"));
        }
        self.push(&line);
    }

    /// What decided about a row, below it.
    fn decision(&mut self, traffic: &Traffic) {
        let why = match (&traffic.rule, traffic.reason) {
            (None, None) => return,
            (Some(rule), None) => format!("by {rule}"),
            _ => traffic.why(),
        };
        self.push(&format!("{DEEPER}{why}"));
    }
}
