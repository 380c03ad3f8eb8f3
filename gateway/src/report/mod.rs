//! What a run did, program by program and destination by destination, for its end. Pure: it is given
//! the events, and gives texts.

mod annotations;
mod baseline;
pub(crate) mod destination;
mod excerpt;
pub(crate) mod figures;
mod html;
mod json;
mod junit;
mod ledger;
mod markdown;
mod observed;
mod program;
mod sarif;
mod text;
mod timeline;
pub(crate) mod traffic;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use policy::{Mode, Policy};

use crate::audit::{Event, printable};
use destination::Destination;
use ledger::Ledger;
use observed::Observed;
use timeline::Timeline;
use traffic::Traffic;

pub use annotations::annotations;
pub use baseline::Baseline;
#[cfg(test)]
pub(crate) use json::Report as JsonReport;

/// What stands for programs, destinations and files that are not told apart.
const OTHERS: &str = "and others";

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// A table for terminals.
    Text,
    /// Tables as GitHub and GitLab show them.
    Markdown,
    /// One JSON object.
    Json,
    /// A page for a browser.
    Html,
    /// JUnit's XML.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
}

/// What a run did.
#[derive(Debug)]
pub struct Summary {
    mode: Mode,
    started: SystemTime,
    end: Option<End>,
    ledger: Ledger,
    timeline: Timeline,
    /// Every rule, in the order of the policy, with the set that it is of.
    rules: Vec<(String, Option<String>)>,
    used: BTreeSet<String>,
    observed: Observed,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// When.
    pub at: SystemTime,
    /// The command's exit status, as a shell shows it; `None` if cijail-net failed.
    pub command: Option<u8>,
    /// The exit status of cijail-net.
    pub status: u8,
}

impl Summary {
    /// Of a run under this policy that starts now, before its first event.
    pub fn new(policy: &Policy, now: SystemTime) -> Summary {
        Summary {
            mode: policy.mode(),
            started: now,
            end: None,
            ledger: Ledger::default(),
            timeline: Timeline::new(now),
            rules: policy
                .rules()
                .iter()
                .map(|rule| (rule.text().to_owned(), rule.set().map(str::to_owned)))
                .collect(),
            used: BTreeSet::new(),
            observed: Observed::default(),
        }
    }

    /// Adds what an event tells.
    pub fn add(&mut self, event: &Event) {
        if event.is_observation() {
            return self.observed.add(event);
        }
        if let Some(rule) = &event.rule
            && !self.used.contains(rule)
        {
            self.used.insert(rule.clone());
        }
        self.timeline.add(event);
        self.ledger.add(event);
    }

    /// Notes how the run ended.
    pub fn end(&mut self, end: End) {
        self.end = Some(end);
    }

    /// The report. Text is for a terminal with so many columns.
    pub fn write(&self, format: ReportFormat, columns: usize) -> String {
        match format {
            ReportFormat::Text => text::report(self, columns),
            ReportFormat::Markdown => markdown::report(self),
            ReportFormat::Json => json::report(self),
            ReportFormat::Html => html::report(self),
            ReportFormat::Junit => junit::report(self),
            ReportFormat::Sarif => sarif::report(self),
        }
    }

    /// Destinations, whichever programs talked to them.
    fn rows(&self) -> Vec<(&Destination, Traffic)> {
        self.ledger.destinations()
    }

    /// Rules that decided nothing; of a set that decided nothing its name, once. Printable.
    fn unused(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let used = |(rule, _): &&(String, Option<String>)| self.used.contains(rule);
        let mut told: BTreeSet<&str> =
            self.rules.iter().filter(used).filter_map(|(_, set)| set.as_deref()).collect();
        self.rules.iter().filter(move |rule| !used(rule)).filter_map(move |(rule, set)| match set {
            Some(set) => told.insert(set).then(|| printable(set)),
            None => Some(printable(rule)),
        })
    }

    /// How many destinations there are in these rows, and of how many something was blocked, in words.
    fn headline(&self, rows: &[(&Destination, Traffic)]) -> String {
        let blocked = rows.iter().filter(|(_, traffic)| traffic.blocked() > 0).count();
        let what = match self.mode {
            Mode::Enforce => "blocked",
            Mode::Monitor => "that would be blocked",
        };
        format!("{}, {blocked} {what}", figures::counted(rows.len() as u64, "destination"))
    }

    /// How the run ended, and in which mode it was, in words.
    fn ending(&self) -> String {
        let Some(end) = self.end else { return format!("mode {}", self.mode.as_str()) };
        let status = match end.command {
            None => format!("cijail-net failed ({})", end.status),
            Some(command) if command == end.status => format!("exit status {command}"),
            Some(command) => format!("exit status {} (the command's was {command})", end.status),
        };
        format!("{status} after {}, mode {}", figures::elapsed(self.since_start(end.at)), self.mode.as_str())
    }

    /// When something was first and last seen, from the start of the run: `0.1s-12s`.
    fn seen(&self, traffic: &Traffic) -> String {
        let [first, last] = [traffic.first, traffic.last].map(|at| figures::elapsed(self.since_start(at)));
        if first == last { first } else { format!("{first}-{last}") }
    }

    fn since_start(&self, at: SystemTime) -> Duration {
        at.duration_since(self.started).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests;
