//! Who talked: a program, told apart by its file and those of its ancestors. Pure.

use std::fmt::Write;

use super::OTHERS;
use crate::audit::{Event, printable};

/// Characters of a file's path, and of its name alone, that are shown.
const PATH: usize = 256;
const NAME: usize = 64;

/// A program of the job, all of it made harmless to show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Program {
        /// The path of its file.
        exe: String,
        /// Those of its ancestors, the nearest first.
        parents: Vec<String>,
    },
    /// Nobody saw which program it was.
    Unknown,
    /// Programs that are not told apart.
    Others,
}

impl Who {
    pub(super) fn of(event: &Event) -> Who {
        let Some(program) = event.program.as_deref() else { return Who::Unknown };
        Who::Program {
            exe: printable(&program.exe).into_owned(),
            parents: program.parents.iter().map(|parent| printable(parent).into_owned()).collect(),
        }
    }

    /// `/usr/bin/node < npm < sh`: its file, and the names of its ancestors'.
    pub(super) fn shown(&self) -> String {
        let parents = self.parents().iter().map(|parent| format!(" < {}", name(parent)));
        self.file() + &parents.collect::<String>()
    }

    /// The path of its file, in which nothing looks like a part of a line.
    pub(super) fn file(&self) -> String {
        match self {
            Who::Program { exe, .. } => plain(exe, PATH),
            Who::Unknown => "an unknown program".to_owned(),
            Who::Others => OTHERS.to_owned(),
        }
    }

    /// The files from the eldest ancestor to its own; `None` if it is no one program.
    pub(super) fn lineage(&self) -> Option<Vec<&str>> {
        match self {
            Who::Program { exe, parents } => {
                Some(parents.iter().rev().chain([exe]).map(String::as_str).collect())
            }
            Who::Unknown | Who::Others => None,
        }
    }

    fn parents(&self) -> &[String] {
        match self {
            Who::Program { parents, .. } => parents,
            Who::Unknown | Who::Others => &[],
        }
    }
}

/// The name of a file, in which nothing looks like a part of a line; without what the kernel says of one that is unlinked.
pub(super) fn name(path: &str) -> String {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    plain(path.rsplit('/').next().unwrap_or(path), NAME)
}

/// Printable text with everything escaped that could look like another part of the line, cut after that
/// many characters. What is escaped already stays as it is.
fn plain(path: &str, most: usize) -> String {
    let mut text = String::new();
    for character in path.chars() {
        if text.len() >= most {
            text.push_str("...");
            break;
        }
        if character.is_ascii_alphanumeric() || "/._+-@:,~%=\\{}".contains(character) {
            text.push(character);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}", character.escape_unicode());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_apart() {
        let who = Who::Program {
            exe: "/tmp/a[1] < npm) \\u{1b}".to_owned(),
            parents: ["/usr/bin/npm", "/bin/sh (deleted)"].map(str::to_owned).to_vec(),
        };
        let file = "/tmp/a\\u{5b}1\\u{5d}\\u{20}\\u{3c}\\u{20}npm\\u{29}\\u{20}\\u{1b}";
        assert_eq!(who.shown(), format!("{file} < npm < sh"));
        assert_eq!(who.lineage().unwrap()[..2], ["/bin/sh (deleted)", "/usr/bin/npm"]);
        assert_eq!(name("/tmp/a (deleted)"), "a");
        assert_eq!(name(&"/<".repeat(500)).len(), "\\u{3c}".len());
        assert_eq!(name(&"x".repeat(500)).len(), NAME + "...".len());
        assert_eq!(Who::Unknown.shown(), "an unknown program");
    }
}
