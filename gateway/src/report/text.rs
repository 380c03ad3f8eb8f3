//! A table for terminals and logs. Pure.

use super::{Summary, octets};

/// Characters of the widest line.
const WIDTH: usize = 100;
const HEAD: [&str; 5] = ["destination", "kind", "count", "up/down", ""];

pub(super) fn report(summary: &Summary) -> String {
    let mut rows: Vec<[String; 5]> = vec![HEAD.map(str::to_owned)];
    // What was blocked comes first.
    let mut all: Vec<_> = summary.rows().collect();
    all.sort_by_key(|(_, traffic)| traffic.blocked() == 0);
    for (to, traffic) in all {
        let count = match (traffic.allowed, traffic.blocked()) {
            (allowed, 0) => allowed.to_string(),
            (0, blocked) => format!("{blocked} {}", traffic.verdict()),
            (allowed, blocked) => format!("{allowed} allowed, {blocked} {}", traffic.verdict()),
        };
        let bytes = match traffic.bytes_up + traffic.bytes_down {
            0 => String::new(),
            _ => format!("{}/{}", octets(traffic.bytes_up), octets(traffic.bytes_down)),
        };
        rows.push([to.shown(), to.kind.to_owned(), count, bytes, traffic.why()]);
    }
    let mut lines = vec![format!("cijail-net: {}", summary.headline())];
    if rows.len() > 1 {
        lines.extend(table(&rows));
    }
    lines.extend(summary.unused().map(|rule| format!("  never used: {rule}")));
    lines.extend(summary.observed.text());
    lines.join("\n") + "\n"
}

/// Columns as wide as their widest cell; the last takes what is left, and goes on below if it must.
fn table(rows: &[[String; 5]]) -> Vec<String> {
    let widths: [usize; 4] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len().min(48)).max().unwrap_or(0));
    let indent: usize = 2 + widths.iter().sum::<usize>() + 2 * widths.len();
    let mut lines = Vec::new();
    for row in rows {
        let mut line = "  ".to_owned();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        if indent + row[4].len() <= WIDTH {
            line.push_str(&row[4]);
            lines.push(line.trim_end().to_owned());
        } else {
            lines.push(line.trim_end().to_owned());
            lines.push(format!("      {}", row[4]));
        }
    }
    lines
}
