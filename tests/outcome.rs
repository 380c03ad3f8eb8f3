//! How a run ended, and what to say about it when a test disagrees.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use serde::Deserialize;

use crate::wait::patience;

/// One line of the JSON log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Event {
    pub(crate) ts: serde_json::Value,
    pub(crate) session: serde_json::Value,
    pub(crate) verdict: String,
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
    pub(crate) dst: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) method: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) access: Option<String>,
    pub(crate) count: Option<u64>,
    pub(crate) rule: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) exe: Option<String>,
    pub(crate) args: Vec<String>,
    pub(crate) parents: Vec<String>,
    pub(crate) bytes_up: Option<u64>,
    pub(crate) bytes_down: Option<u64>,
    pub(crate) duration_ms: Option<f64>,
}

#[derive(Clone)]
pub(crate) struct Outcome {
    pub(crate) command: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The log in JSON, empty without a jail.
    pub(crate) lines: Vec<String>,
    /// The same.
    pub(crate) events: Vec<Event>,
    pub(crate) duration: Duration,
}

impl Outcome {
    /// The exit code as a shell shows it: 128 and the number of the signal that ended the process.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
    }

    #[track_caller]
    pub(crate) fn assert_code(&self, expected: i32) -> &Self {
        assert_eq!(self.code(), expected, "the exit code of {self}");
        self
    }

    #[track_caller]
    pub(crate) fn assert_success(&self) -> &Self {
        self.assert_code(0)
    }

    /// The command itself failed: neither did it succeed nor is it the jail that failed.
    #[track_caller]
    pub(crate) fn assert_failure(&self) -> &Self {
        assert!(![0, 125].contains(&self.code()), "it should have failed: {self}");
        self
    }

    #[track_caller]
    pub(crate) fn assert_stdout(&self, expected: &str) -> &Self {
        assert_eq!(self.stdout, expected, "the output of {self}");
        self
    }

    #[track_caller]
    pub(crate) fn assert_says(&self, part: &str) -> &Self {
        assert!(self.says(part), "nothing says {part:?} in {self}");
        self
    }

    #[track_caller]
    pub(crate) fn assert_says_one_of(&self, parts: &[&str]) -> &Self {
        assert!(parts.iter().any(|part| self.says(part)), "nothing says any of {parts:?} in {self}");
        self
    }

    #[track_caller]
    pub(crate) fn assert_faster_than(&self, limit: Duration) -> &Self {
        assert!(self.duration < limit * patience(), "took {:?}: {self}", self.duration);
        self
    }

    /// Whether the jail's log lines or either output without them have these words, in any case. A program that
    /// writes a message piece by piece may have a line of the log in the midst of it.
    pub(crate) fn says(&self, part: &str) -> bool {
        let part = part.to_lowercase();
        let (job, log) = split_off_log(&self.stderr);
        [&self.stdout, &job, &log].iter().any(|output| output.to_lowercase().contains(&part))
    }

    pub(crate) fn denied(&self) -> Vec<&Event> {
        self.events.iter().filter(|event| event.verdict == "deny").collect()
    }

    /// There is a denial of this kind and for this reason that is about `subject`: a name or an address.
    #[track_caller]
    pub(crate) fn assert_denied(&self, kind: &str, subject: &str, reason: &str) -> &Self {
        self.assert_event("deny", kind, subject, Some(reason))
    }

    #[track_caller]
    pub(crate) fn assert_allowed(&self, kind: &str, subject: &str) -> &Self {
        self.assert_event("allow", kind, subject, None)
    }

    #[track_caller]
    pub(crate) fn assert_event(
        &self,
        verdict: &str,
        kind: &str,
        subject: &str,
        reason: Option<&str>,
    ) -> &Self {
        let fits = |event: &Event| {
            event.verdict == verdict
                && event.kind == kind
                && [&event.name, &event.dst].into_iter().flatten().any(|about| about.contains(subject))
                && reason.is_none_or(|reason| event.reason.as_deref() == Some(reason))
        };
        assert!(
            self.events.iter().any(fits),
            "no event {verdict} {kind} {subject} {} of {self}",
            reason.unwrap_or_default()
        );
        self
    }
}

/// What the job wrote, and the jail's lines.
fn split_off_log(stderr: &str) -> (String, String) {
    let mut pieces = stderr.split("cijail-net: ");
    let mut job = pieces.next().unwrap_or_default().to_owned();
    let mut log = String::new();
    for piece in pieces {
        let (line, rest) = piece.split_once('\n').unwrap_or((piece, ""));
        log.extend(["cijail-net: ", line, "\n"]);
        job.push_str(rest);
    }
    (job, log)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "`{}`, {} after {:?}", self.command, self.status, self.duration)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        writeln!(f, "--- stderr\n{}", self.stderr)?;
        writeln!(f, "--- events")?;
        self.events.iter().try_for_each(|event| {
            let Event { verdict, kind, name, dst, port, url, rule, reason, pid, exe, .. } = event;
            writeln!(
                f,
                "{verdict} {kind} {name:?} {dst:?} {port:?} {url:?} {rule:?} {reason:?} {pid:?} {exe:?}"
            )
        })
    }
}
