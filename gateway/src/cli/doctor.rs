//! `cijail-net doctor`: the checks of the machine, as a table.

use std::fmt::Write;
use std::io::IsTerminal;

use netns::doctor::{self, Check, Finding};

use super::{Failure, answer};
use crate::exit;

/// Columns of the longest name and a gap.
const NAME_WIDTH: usize = 20;

pub(super) fn main() -> Result<u8, Failure> {
    let checks = doctor::examine(None);
    let colour =
        std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    answer(&render(&checks, colour))?;
    Ok(if doctor::is_fit(&checks) { 0 } else { exit::NO })
}

/// One line a check, each remedy beneath, and whether a run works.
fn render(checks: &[Check], colour: bool) -> String {
    let mut text = String::new();
    let mut missing = 0;
    let mut previous = None;
    for Check { name, finding } in checks {
        let (word, sgr, detail) = match finding {
            Finding::Works { note } => ("ok", 32, note.clone()),
            Finding::Missing { problem, .. } => ("missing", 31, problem.clone()),
            Finding::Untested { needs } => ("untested", 33, format!("needs {needs}")),
        };
        let word = if colour { format!("\x1b[{sgr}m{word:<8}\x1b[0m") } else { format!("{word:<8}") };
        let line = format!("{word}  {name:<NAME_WIDTH$}{detail}");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
        if let Finding::Missing { remedy, .. } = finding {
            missing += 1;
            let shown = if previous == Some(remedy) { "as above" } else { remedy };
            let _ = writeln!(text, "{:10}remedy: {shown}", "");
            previous = Some(remedy);
        }
    }
    let summary = match missing {
        0 if doctor::is_fit(checks) => "`cijail-net run` works here".to_owned(),
        0 => "`cijail-net run` may not work here: not everything could be tried".to_owned(),
        1 => "`cijail-net run` does not work here: 1 thing is missing".to_owned(),
        count => format!("`cijail-net run` does not work here: {count} things are missing"),
    };
    let _ = writeln!(text, "\n{summary}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Vec<Check> {
        let missing = |name| Check {
            name,
            finding: Finding::Missing {
                problem: "making it: refused".to_owned(),
                remedy: "allow it".to_owned(),
            },
        };
        vec![
            Check { name: "/proc", finding: Finding::Works { note: String::new() } },
            missing("user namespace"),
            missing("seccomp"),
            Check { name: "veth link", finding: Finding::Untested { needs: "user namespace".to_owned() } },
        ]
    }

    #[test]
    fn lines_are_aligned_and_plain() {
        let text = render(&checks(), false);
        assert_eq!(
            text,
            "ok        /proc\n\
             missing   user namespace      making it: refused\n\
             \x20         remedy: allow it\n\
             missing   seccomp             making it: refused\n\
             \x20         remedy: as above\n\
             untested  veth link           needs user namespace\n\
             \n`cijail-net run` does not work here: 2 things are missing\n"
        );
        assert!(render(&checks(), true).contains("\x1b[31mmissing \x1b[0m"));
        assert!(render(&checks()[..1], false).ends_with("\n\n`cijail-net run` works here\n"));
        assert!(render(&checks()[3..], false).ends_with("not everything could be tried\n"));
    }
}
