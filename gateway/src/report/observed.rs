//! Programs that ran and files that were watched. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::OTHERS;
use crate::audit::{Event, Kind, ending, printable};

/// Programs and uses of files that are told apart; what comes after them is counted as one each.
const MOST: usize = 10_000;
/// Rows that people are shown of each kind.
pub(super) const SHOWN: usize = 200;

/// What the sensor told.
#[derive(Debug, Default)]
pub(super) struct Observed {
    programs: BTreeMap<String, Runs>,
    files: BTreeMap<Use, u64>,
    /// Calls that were not seen.
    missed: u64,
}

/// How often a program ran.
#[derive(Debug, Clone, Copy, Default)]
struct Runs {
    ran: u64,
    /// It was asked for, is there, and did not run.
    failed: u64,
    /// It was asked for, and the process was gone before it was known whether it runs.
    unseen: u64,
}

/// Who did what with which file, all of it made harmless to show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    path: String,
    access: &'static str,
    exe: String,
}

/// A program that ran.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(super) struct ExecutedRow<'a> {
    /// Its file.
    pub(super) path: &'a str,
    /// How often it ran.
    pub(super) ran: u64,
    /// How often it was asked for, and did not run.
    pub(super) failed: u64,
    /// How often it was asked for by a process that was gone before it was known whether it ran.
    pub(super) unseen: u64,
}

/// A use of a watched file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(super) struct FileRow<'a> {
    /// The file.
    pub(super) path: &'a str,
    /// What was done with it.
    pub(super) access: &'a str,
    /// The executable of the process.
    pub(super) exe: &'a str,
    /// How often.
    pub(super) count: u64,
}

impl Observed {
    /// Adds what an observation tells.
    pub(super) fn add(&mut self, event: &Event) {
        let times = event.count.unwrap_or(1);
        let path = || printable(event.path.as_deref().unwrap_or("?")).into_owned();
        match event.kind {
            // A search through PATH tries many places.
            Kind::Exec if event.detail.as_deref() == Some(ending::NOT_FOUND) => {}
            Kind::Exec => {
                let runs = entry(&mut self.programs, path(), || OTHERS.to_owned());
                let count = match event.detail.as_deref() {
                    Some(ending::REFUSED) => &mut runs.failed,
                    Some(ending::UNSEEN) => &mut runs.unseen,
                    _ => &mut runs.ran,
                };
                *count += times;
            }
            Kind::File => {
                let exe = event.program.as_ref().map_or("?", |program| &program.exe);
                let exe = printable(exe).into_owned();
                let used = Use { path: path(), access: event.access.unwrap_or("?"), exe };
                let others = || Use { path: OTHERS.to_owned(), access: "?", exe: "?".to_owned() };
                *entry(&mut self.files, used, others) += times;
            }
            _ => self.missed += times,
        }
    }

    /// The programs, those that ran most first.
    pub(super) fn executed(&self) -> Vec<ExecutedRow<'_>> {
        let mut rows: Vec<_> = self
            .programs
            .iter()
            .map(|(path, &Runs { ran, failed, unseen })| ExecutedRow { path, ran, failed, unseen })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.ran));
        rows
    }

    /// The uses of watched files, by path.
    pub(super) fn files(&self) -> Vec<FileRow<'_>> {
        self.files
            .iter()
            .map(|(used, count)| FileRow {
                path: &used.path,
                access: used.access,
                exe: &used.exe,
                count: *count,
            })
            .collect()
    }

    /// How many calls were not seen.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }

    /// Lines for terminals; none if nobody looked.
    pub(super) fn text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let programs = self.executed();
        if !programs.is_empty() {
            lines.push("cijail-net: programs that ran".to_owned());
        }
        for row in programs.iter().take(SHOWN) {
            let others = [(row.failed, "failed"), (row.unseen, "gone before they were seen")];
            let others = others.iter().filter(|(count, _)| *count > 0);
            let others: String = others.map(|(count, what)| format!(", {count} {what}")).collect();
            lines.push(format!("  {:>7}  {}{others}", row.ran, row.path));
        }
        lines.extend(left_out(programs.len()).map(|text| format!("  {text}")));
        let files = self.files();
        if !files.is_empty() {
            lines.push("cijail-net: files that were watched".to_owned());
        }
        for row in files.iter().take(SHOWN) {
            lines.push(format!("  {:>7}  {:<6}  {}  by {}", row.count, row.access, row.path, row.exe));
        }
        lines.extend(left_out(files.len()).map(|text| format!("  {text}")));
        lines.extend((self.missed > 0).then(|| format!("  calls that were not seen: {}", self.missed)));
        lines
    }

    /// Tables as GitHub and GitLab show them; nothing if nobody looked. `code` makes a text one without markup.
    pub(super) fn markdown(&self, code: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        let programs = self.executed();
        if !programs.is_empty() {
            text.push_str(
                "\n#### Programs that ran\n\n| program | ran | failed | unseen |\n|---|--:|--:|--:|\n",
            );
        }
        for row in programs.iter().take(SHOWN) {
            text.push_str(&format!(
                "| {} | {} | {} | {} |\n",
                code(row.path),
                row.ran,
                row.failed,
                row.unseen
            ));
        }
        text.extend(left_out(programs.len()).map(|left| format!("\n{left}\n")));
        let files = self.files();
        if !files.is_empty() {
            text.push_str(
                "\n#### Files that were watched\n\n| file | access | program | count |\n|---|---|---|--:|\n",
            );
        }
        for row in files.iter().take(SHOWN) {
            let (path, exe) = (code(row.path), code(row.exe));
            text.push_str(&format!("| {path} | {} | {exe} | {} |\n", row.access, row.count));
        }
        text.extend(left_out(files.len()).map(|left| format!("\n{left}\n")));
        if self.missed > 0 {
            text.push_str(&format!("\nCalls that were not seen: {}\n", self.missed));
        }
        text
    }
}

/// What to say of rows that are not shown.
pub(super) fn left_out(rows: usize) -> Option<String> {
    (rows > SHOWN).then(|| format!("and {} more", rows - SHOWN))
}

/// The value of a key, or of `others` if there are too many keys.
fn entry<K: Ord, V: Default>(map: &mut BTreeMap<K, V>, key: K, others: impl FnOnce() -> K) -> &mut V {
    let key = if map.len() >= MOST && !map.contains_key(&key) { others() } else { key };
    map.entry(key).or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use netns::job::Program;

    use super::*;
    use crate::audit::Outcome;

    fn event(kind: Kind, path: &str) -> Event {
        let mut event = Event::new(Outcome::Allow, kind);
        event.path = Some(path.to_owned());
        event.program = Some(Arc::new(Program { exe: "/bin/cat|".to_owned(), ..Program::default() }));
        event
    }

    fn observed() -> Observed {
        let mut observed = Observed::default();
        let mut read = event(Kind::File, "/home/me/.npmrc\n");
        read.access = Some("read");
        observed.add(&read);
        read.count = Some(41);
        observed.add(&read);
        for _ in 0..3 {
            observed.add(&event(Kind::Exec, "/bin/true"));
        }
        let mut failed = event(Kind::Exec, "/bin/false");
        failed.detail = Some(ending::REFUSED.to_owned());
        observed.add(&failed);
        let mut unseen = event(Kind::Exec, "/bin/false");
        unseen.detail = Some(ending::UNSEEN.to_owned());
        unseen.count = Some(2);
        observed.add(&unseen);
        observed
    }

    #[test]
    fn tells_counts() {
        let text = observed().text().join("\n");
        assert_eq!(
            text,
            "cijail-net: programs that ran\n\
             \x20       3  /bin/true\n\
             \x20       0  /bin/false, 1 failed, 2 gone before they were seen\n\
             cijail-net: files that were watched\n\
             \x20      42  read    /home/me/.npmrc\\n  by /bin/cat|"
        );
        assert!(Observed::default().text().is_empty());
    }

    #[test]
    fn tables_have_no_markup_of_the_jobs() {
        let markdown = observed().markdown(|text| format!("`{}`", text.replace('|', "\\|")));
        assert!(
            markdown.contains("| `/bin/true` | 3 | 0 | 0 |\n| `/bin/false` | 0 | 1 | 2 |\n"),
            "{markdown}"
        );
        assert!(markdown.contains("| `/home/me/.npmrc\\n` | read | `/bin/cat\\|` | 42 |\n"), "{markdown}");
        assert!(Observed::default().markdown(str::to_owned).is_empty());
    }

    #[test]
    fn is_bounded() {
        let mut observed = Observed::default();
        for number in 0..MOST + 5 {
            observed.add(&event(Kind::Exec, &number.to_string()));
            observed.add(&event(Kind::File, &number.to_string()));
        }
        assert_eq!((observed.programs.len(), observed.files.len()), (MOST + 1, MOST + 1));
        assert_eq!(observed.executed()[0].ran, 5);
    }

    #[test]
    fn what_was_missed_is_told() {
        let mut observed = Observed::default();
        let mut missed = Event::new(Outcome::Allow, Kind::Other);
        missed.count = Some(7);
        observed.add(&missed);
        assert_eq!(observed.text(), ["  calls that were not seen: 7"]);
        assert!(observed.markdown(str::to_owned).contains("not seen: 7"));
    }
}
