//! Where the log goes: standard error, a file, or both.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::fold::Fold;
use super::{Event, RunOutcome, json, text};
use crate::report::{Baseline, ReportFormat, Summary, annotations};
use crate::stderr::{PATIENCE, Stderr};

/// Columns of a text that no terminal shows.
pub const FILE_COLUMNS: usize = 80;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// The log could not be written in full.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file could not be written.
    #[error("writing the log file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said first.
        source: io::Error,
    },
    /// A report could not be written.
    #[error("writing the report {}", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Events came faster than they could be written.
    #[error("{0} events were not logged, as they came faster than the log could be written")]
    Lost(u64),
    /// The file, perhaps a pipe, takes nothing any more.
    #[error("the log's destination takes no more lines: its last ones are lost")]
    Stuck,
    /// A signal came while the last lines were written.
    #[error("interrupted while the log was written: its last lines are lost")]
    Interrupted,
    /// The writer could not give up its rights, and wrote nothing.
    #[error("the log's writer could not be confined")]
    Unconfined(#[from] netns::Error),
    /// The writer has a bug.
    #[error("the log's writer panicked")]
    Panicked,
}

/// The destinations of a run's log.
#[derive(Debug)]
pub struct Sinks {
    session: String,
    stderr: Option<Format>,
    printer: Stderr,
    file: Option<LogFile>,
    fold: Fold,
    reports: Option<Reports>,
}

/// What is written when everything is over. Files are open from the start: later none can be opened.
#[derive(Debug)]
pub struct Reports {
    /// What the run did so far.
    pub summary: Summary,
    /// The columns of standard error.
    pub columns: usize,
    /// Each report with its file; without one it goes to standard error.
    pub written: Vec<(ReportFormat, Option<(PathBuf, File)>)>,
    /// What an earlier run talked to, if anything else is to be told.
    pub baseline: Option<Baseline>,
    /// Whether a GitHub workflow reads standard error.
    pub annotated: bool,
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    format: Format,
    writer: BufWriter<File>,
    failure: Option<io::Error>,
}

impl Sinks {
    /// Standard error in this format, or nothing.
    pub fn new(session: String, stderr: Option<Format>) -> Sinks {
        Sinks {
            session,
            stderr,
            printer: Stderr::default(),
            file: None,
            fold: Fold::default(),
            reports: None,
        }
    }

    /// Adds a file.
    pub fn with_file(mut self, path: PathBuf, file: File, format: Format) -> Sinks {
        self.file = Some(LogFile { path, format, writer: BufWriter::new(file), failure: None });
        self
    }

    /// Adds reports.
    pub fn with_reports(self, reports: Reports) -> Sinks {
        Sinks { reports: Some(reports), ..self }
    }

    /// Whether events go nowhere.
    pub(super) fn is_silent(&self) -> bool {
        self.stderr.is_none() && self.file.is_none() && self.reports.is_none()
    }

    pub(super) fn event(&mut self, event: &Event) {
        if let Some(reports) = &mut self.reports {
            reports.summary.add(event);
        }
        if let Some(file) = &mut self.file {
            let line = match file.format {
                Format::Json => json::line(event, &self.session),
                Format::Text => text::line(event),
            };
            file.write(&line);
        }
        match self.stderr {
            Some(Format::Json) => self.print(&json::line(event, &self.session)),
            Some(Format::Text) => self.print_folded(event),
            None => {}
        }
    }

    pub(super) fn notice(&mut self, text: &str) {
        if self.stderr == Some(Format::Text) {
            self.print(&format!("cijail-net: {text}"));
        }
    }

    /// Whether lines wait for standard error to take them.
    pub(super) fn is_behind(&self) -> bool {
        self.printer.is_behind()
    }

    /// Writes of them what it takes now.
    pub(super) fn catch_up(&mut self) {
        self.printer.flush(Duration::ZERO);
        let lost = self.printer.take_lost();
        if lost > 0 {
            self.notice(&format!("{lost} lines are missing here: nothing read them in time"));
        }
    }

    /// Writes what is left, and says whether there was a destination that the baseline has not. `progress` is
    /// called after each step.
    pub(super) fn finish(mut self, outcome: RunOutcome, progress: impl Fn()) -> Result<bool, LogError> {
        self.tell_repeats();
        let mut reports = self.reports.take();
        let new = reports.as_ref().is_some_and(|reports| self.tell_new(reports));
        if let Some(reports) = &mut reports {
            reports.summary.end(outcome.end(new));
        }
        let reported = self.report(reports, progress);
        self.printer.flush(PATIENCE);
        if let Some(mut file) = self.file.take() {
            file.flush();
            if let Some(source) = file.failure {
                return Err(LogError::File { path: file.path, source });
            }
        }
        reported.map(|()| new)
    }

    fn tell_new(&mut self, reports: &Reports) -> bool {
        let Some(baseline) = &reports.baseline else { return false };
        let new = baseline.new_in(&reports.summary);
        for destination in &new {
            self.printer.print(&format!("cijail-net: new destination, not in the baseline: {destination}\n"));
        }
        !new.is_empty()
    }

    fn report(&mut self, reports: Option<Reports>, progress: impl Fn()) -> Result<(), LogError> {
        let Some(reports) = reports else { return Ok(()) };
        let mut result = Ok(());
        for (format, file) in reports.written {
            let columns = if file.is_some() { FILE_COLUMNS } else { reports.columns };
            let text = reports.summary.write(format, columns);
            match file {
                None => self.printer.print(&text),
                Some((path, mut file)) => {
                    let failed = |source| LogError::Report { path, source };
                    result = result.and(file.write_all(text.as_bytes()).map_err(failed));
                }
            }
            progress();
        }
        if reports.annotated {
            self.printer.print(&annotations(&reports.summary));
        }
        result
    }

    fn print_folded(&mut self, event: &Event) {
        if self.fold.is_full() {
            self.tell_repeats();
        }
        let times = event.count.map(|count| format!(" ({count} times)")).unwrap_or_default();
        if self.fold.is_new(&text::subject_of_repeats(event), event.count.unwrap_or(1)) {
            self.print(&format!("cijail-net: {}{times}", text::line(event)));
        }
    }

    fn tell_repeats(&mut self) {
        for (line, count) in self.fold.repeats() {
            self.print(&format!("cijail-net: {line} ({count} more)"));
        }
    }

    /// One write a line, so that lines of the job and ours do not mix.
    fn print(&mut self, line: &str) {
        self.printer.print(&format!("{line}\n"));
    }
}

impl LogFile {
    /// Lines reach the file at once, so that what a killed run did is known.
    fn write(&mut self, line: &str) {
        let written = self.writer.write_all(line.as_bytes()).and_then(|()| self.writer.write_all(b"\n"));
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
        self.flush();
    }

    fn flush(&mut self) {
        if let Err(error) = self.writer.flush() {
            self.failure.get_or_insert(error);
        }
    }
}
