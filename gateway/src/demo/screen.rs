//! What the demo shows: plain text of at most 80 columns, and colours if the terminal has them.

use std::io::{self, IsTerminal, Write};

use super::way::Step;

/// The widths of the columns of a pass; the last one takes what is left.
const PASS: [usize; 3] = [13, 28, 19];
/// The widths of the columns of the summary.
const SUMMARY: [usize; 3] = [13, 12, 16];
/// The width of its last column.
const REASON: usize = 33;
/// Columns before the first.
const INDENT: &str = "  ";

/// How a text looks on a terminal that has colours (ECMA-48, SGR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Bad,
}

/// A text and its tone.
pub(super) type Cell<'a> = (&'a str, Tone);

/// Standard output.
#[derive(Debug)]
pub(super) struct Screen {
    coloured: bool,
}

/// A row of the summary.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) step: Step,
    pub(super) without: (String, Tone),
    pub(super) with: (String, Tone),
    pub(super) reason: String,
}

impl Screen {
    /// Colours only on a terminal, and not where they are unwanted (no-color.org).
    pub(super) fn new() -> Screen {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|value| value == "dumb");
        Screen { coloured: io::stdout().is_terminal() && !refused && !dumb }
    }

    /// A line of its own, after `before`, which has no tone.
    pub(super) fn line(&self, before: &str, text: &str, tone: Tone) -> io::Result<()> {
        self.write(&format!("{before}{}\n", self.painted(text, tone)))
    }

    /// The heads of the columns of a pass.
    pub(super) fn pass_head(&self) -> io::Result<()> {
        let heads = [("step", Tone::Faint), ("the job tried", Tone::Faint), ("the job saw", Tone::Faint)];
        self.write(&self.cells(&heads, &PASS))?;
        self.line("", "the outside saw", Tone::Faint)
    }

    /// The first half of a row, before it is known what comes of it.
    pub(super) fn trying(&self, step: Step, what: &str) -> io::Result<()> {
        self.write(&self.cells(&[(step.title(), Tone::Plain), (what, Tone::Plain)], &PASS))
    }

    /// The second half.
    pub(super) fn saw(&self, saw: Cell<'_>, outside: Cell<'_>) -> io::Result<()> {
        self.write(&format!("{}{}\n", self.column(saw, PASS[2]), self.painted(outside.0, outside.1)))
    }

    /// The table at the end.
    pub(super) fn summary(&self, rows: &[Summary]) -> io::Result<()> {
        self.write(&self.summary_text(rows))
    }

    fn summary_text(&self, rows: &[Summary]) -> String {
        let heads = ["way", "without", "with cijail-net"].map(|head| (head, Tone::Strong));
        let mut text = self.cells(&heads, &SUMMARY) + &self.painted("reason given", Tone::Strong) + "\n";
        for row in rows {
            let cells =
                [(row.step.title(), Tone::Plain), (&row.without.0, row.without.1), (&row.with.0, row.with.1)];
            text.push_str(&(self.cells(&cells, &SUMMARY) + &self.column((&row.reason, Tone::Plain), REASON)));
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }

    fn cells(&self, cells: &[Cell<'_>], widths: &[usize]) -> String {
        let columns = cells.iter().zip(widths).map(|(&cell, &width)| self.column(cell, width));
        INDENT.to_owned() + &columns.collect::<String>()
    }

    /// Padded to the column's width and a blank; longer text is cut.
    fn column(&self, (text, tone): Cell<'_>, width: usize) -> String {
        let shown: String = text.chars().take(width).collect();
        let padding = " ".repeat(width + 1 - shown.chars().count());
        self.painted(&shown, tone) + &padding
    }

    fn painted(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            _ if !self.coloured => return text.to_owned(),
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Bad => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Written at once, so that each step is seen when it happens.
    fn write(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::way::Way;

    fn rows() -> Vec<Summary> {
        let row = |step, without: &str, with: &str, reason: &str| Summary {
            step,
            without: (without.to_owned(), Tone::Bad),
            with: (with.to_owned(), Tone::Good),
            reason: reason.to_owned(),
        };
        vec![
            row(Step::Package, "fetched", "fetched", ""),
            row(Step::Steal(Way::DnsTcp), "token out", "nothing out", "dns: dns-server-not-allowed"),
        ]
    }

    #[test]
    fn the_summary_is_aligned_and_narrow() {
        let text = Screen { coloured: false }.summary_text(&rows());
        let expected = "  way           without      with cijail-net  reason given\n\
                        \x20 fetch         fetched      fetched\n\
                        \x20 DNS over TCP  token out    nothing out      dns: dns-server-not-allowed\n";
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.len() <= 80));
    }

    #[test]
    fn colours_take_no_columns() {
        let plain = Screen { coloured: false }.summary_text(&rows());
        let coloured = Screen { coloured: true }.summary_text(&rows());
        assert!(coloured.contains("\x1b[1;31mtoken out\x1b[0m    "));
        let mut stripped = coloured;
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[32m", "\x1b[1;31m"] {
            stripped = stripped.replace(code, "");
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn long_texts_are_cut() {
        let column = Screen { coloured: false }.column((&"x".repeat(100), Tone::Plain), 10);
        assert_eq!(column, format!("{} ", "x".repeat(10)));
    }
}
