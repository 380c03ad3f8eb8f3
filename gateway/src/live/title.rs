//! What a terminal's title says of a run, and how a title is set. Pure.
//!
//! A job that owns the terminal moves its cursor as it likes, and a line of ours in between would be written over or
//! would spoil its progress bars. The title is beside all that: it moves nothing.

use super::Sum;
use crate::report::figures::{counted, grouped, octets};

/// Puts the title on the terminal's stack (xterm, XTWINOPS).
pub const SAVE: &str = "\x1b[22;2t";
/// Empties it, for terminals without a stack, and takes the old one from the stack.
pub const RESTORE: &str = "\x1b]2;\x07\x1b[23;2t";

/// How terminals are called that have titles (`TERM`).
const TITLED: [&str; 13] = [
    "alacritty",
    "contour",
    "foot",
    "ghostty",
    "gnome",
    "konsole",
    "mlterm",
    "rxvt",
    "screen",
    "tmux",
    "vte",
    "wezterm",
    "xterm",
];
/// Characters of the name that was denied last.
const NAME: usize = 60;

/// Whether a terminal of this kind has a title.
pub fn has_title(term: &str) -> bool {
    TITLED.iter().any(|known| term.starts_with(known)) || term == "st" || term.starts_with("st-")
}

/// A run in one line, printable.
pub fn title(sum: &Sum) -> String {
    let mut text = format!(
        "cijail-net: {} open of {}, {} up, {} down",
        grouped(sum.open as u64),
        counted(sum.begun, "connection"),
        octets(sum.bytes_up),
        octets(sum.bytes_down)
    );
    if sum.denied > 0 {
        text.push_str(&format!(", {} denied", grouped(sum.denied)));
    }
    if let Some(name) = &sum.last_denied {
        let (cut, rest) = name.split_at(name.len().min(NAME));
        text.push_str(&format!(" (last {cut}{})", if rest.is_empty() { "" } else { "..." }));
    }
    text
}

/// What sets the title to a printable text (xterm, OSC 2).
pub fn setting(text: &str) -> String {
    format!("\x1b]2;{text}\x07")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_a_run_in_one_line() {
        let mut sum = Sum { open: 1, begun: 1, bytes_up: 10, bytes_down: 2_000_000, ..Sum::default() };
        assert_eq!(title(&sum), "cijail-net: 1 open of 1 connection, 10 B up, 2.0 MB down");
        sum.denied = 2;
        sum.last_denied = Some("x".repeat(300));
        let last = format!(", 2 denied (last {}...)", "x".repeat(NAME));
        assert!(title(&sum).ends_with(&last), "{}", title(&sum));
    }

    #[test]
    fn only_known_terminals_have_titles() {
        for term in ["xterm-256color", "screen.xterm", "tmux-256color", "st", "st-256color", "xterm-kitty"] {
            assert!(has_title(term), "{term}");
        }
        for term in ["", "dumb", "linux", "vt100", "stterm", "unknown"] {
            assert!(!has_title(term), "{term}");
        }
    }
}
