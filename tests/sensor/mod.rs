//! Which programs ran, and who used which files.

mod files;
mod hostile;
mod programs;

use std::fs;
use std::path::PathBuf;

use crate::jail::Jail;
use crate::outcome::{Event, Outcome};
use crate::suite::{Mode, Suite, both};
use crate::world::{World, give_away};

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        names_are_escaped,
        policies_and_reports_have_it,
        bad_patterns_start_nothing,
        nothing_is_looked_at_unless_asked_for,
    );
    programs::add(suite);
    files::add(suite);
    hostile::add(suite);
}

impl Outcome {
    fn of_kind(&self, kind: &str) -> Vec<&Event> {
        self.events.iter().filter(|event| event.kind == kind).collect()
    }

    /// How often a program ran.
    fn ran(&self, path: &str) -> u64 {
        let events = self.of_kind("exec").into_iter();
        events
            .filter(|event| event.detail.is_none() && event.path.as_deref() == Some(path))
            .map(|event| event.count.unwrap_or(1))
            .sum()
    }

    /// How often a file was used in this way.
    fn used(&self, path: &str, access: &str) -> u64 {
        let events = self.of_kind("file").into_iter();
        let fits =
            |event: &&Event| event.path.as_deref() == Some(path) && event.access.as_deref() == Some(access);
        events.filter(fits).map(|event| event.count.unwrap_or(1)).sum()
    }

    #[track_caller]
    fn assert_used(&self, path: &str, access: &str, count: u64) -> &Self {
        assert_eq!(self.used(path, access), count, "{access} of {path} in {:?}", self.of_kind("file"));
        self
    }
}

fn real(path: &str) -> String {
    fs::canonicalize(path).unwrap().display().to_string()
}

/// A file in the job's home.
fn planted(jail: &Jail<'_>, mode: Mode, name: &str) -> PathBuf {
    let path = jail.home().join(name);
    fs::write(&path, "//registry.test/:_authToken=secret\n").unwrap();
    if mode == Mode::Rootless {
        give_away(&path).unwrap();
    }
    path
}

fn names_are_escaped(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec").option("--watch-path").option("~/**");
    let script = "\
import os, shutil
name = b'a\\n\\x1b[2J\\xff|`'
shutil.copy(b'/bin/true', name)
os.execv(name, [b'x\\ncijail-net: allow'])
";
    let log = jail.python(script);
    log.assert_success();
    let path = format!("{}/a\\n\\u{{1b}}[2J\\u{{fffd}}|`", jail.home().display());
    assert_eq!(log.ran(&path), 1, "{:?}", log.of_kind("exec"));
    let outcome = jail.without_log_file().python(script);
    outcome.assert_says(&format!("allow exec {path} "));
    assert!(!outcome.stderr.contains('\u{1b}'), "{outcome}");
    assert!(outcome.stderr.lines().all(|line| line.starts_with("cijail-net: ")), "{outcome}");
}

fn policies_and_reports_have_it(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let token = planted(&jail, mode, "token").display().to_string();
    let (json, markdown) = (jail.home().join("report.json"), jail.home().join("report.md"));
    let jail = jail
        .policy("[watch]\nexec = true\npaths = [\"~/token\"]\n")
        .option("--report=text")
        .option(format!("--report=json={}", json.display()))
        .option(format!("--report=markdown={}", markdown.display()));
    let outcome = jail.shell("cat token token > /dev/null; ./token; exit 0");
    outcome.assert_success().assert_says("0 destinations, 0 blocked");
    outcome
        .assert_says("programs that ran")
        .assert_says(&format!("2  read    {token}  by {}", real("/bin/cat")));
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let programs = report["executed"].as_array().unwrap();
    let row = |path: &str| programs.iter().find(|row| row["path"] == path).unwrap();
    assert_eq!((&row(&real("/bin/cat"))["ran"], &row(&token)["failed"]), (&1.into(), &1.into()));
    let file = &report["files"][0];
    assert_eq!(
        (&file["path"], &file["access"], &file["count"]),
        (&token.as_str().into(), &"read".into(), &2.into())
    );
    let markdown = fs::read_to_string(markdown).unwrap();
    assert!(markdown.contains("#### Programs that ran"), "{markdown}");
    assert!(markdown.contains(&format!("| `{token}` | read | `{}` | 2 |", real("/bin/cat"))), "{markdown}");
}

fn bad_patterns_start_nothing(mode: Mode) {
    let world = World::new();
    for (pattern, says) in [
        ("../x", "without `..`"),
        ("/a/", "write `/**`"),
        ("[", "`[` without `]`"),
        ("", "at least one name"),
    ] {
        let outcome = Jail::new(&world, mode).option("--watch-path").option(pattern).run(["echo", "ran"]);
        outcome.assert_code(125).assert_says(says).assert_stdout("");
    }
    let outcome = Jail::new(&world, mode).policy("[watch]\npaths = [\"a**\"]\n").run(["echo", "ran"]);
    outcome.assert_code(125).assert_says(":2:10").assert_stdout("");
    let outcome = Jail::new(&world, mode).env("HOME", "").option("--watch-path=~/x").run(["echo", "ran"]);
    outcome.assert_code(125).assert_says("HOME").assert_stdout("");
}

fn nothing_is_looked_at_unless_asked_for(mode: Mode) {
    let world = World::new();
    let outcome =
        Jail::new(&world, mode).shell("ls /proc/1/task | wc -l; grep Seccomp_filters /proc/self/status");
    outcome.assert_success();
    assert!(outcome.stdout.starts_with("2\n"), "{outcome}");
    assert!(outcome.events.is_empty(), "{:?}", outcome.events);
}
