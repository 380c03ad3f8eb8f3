//! What a run did, destination by destination, for its end. Pure: it is given the events, and gives
//! texts.

mod annotations;
mod baseline;
mod json;
mod junit;
mod markdown;
mod sarif;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use policy::{Mode, Policy, Reason};

use crate::audit::{Event, Kind, Outcome, chain, printable};

pub use annotations::annotations;
pub use baseline::Baseline;
#[cfg(test)]
pub(crate) use json::Report as JsonReport;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// A table for terminals.
    Text,
    /// A table as GitHub and GitLab show it.
    Markdown,
    /// One JSON object.
    Json,
    /// JUnit's XML.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
}

/// Destinations that are told apart; what comes after them is counted as one.
const MOST_DESTINATIONS: usize = 10_000;

/// What a run did.
#[derive(Debug)]
pub struct Summary {
    mode: Mode,
    destinations: BTreeMap<Destination, Traffic>,
    /// Every rule, in the order of the policy.
    rules: Vec<String>,
    used: BTreeSet<String>,
}

/// Whom something was for, all of it made harmless to show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Destination {
    host: String,
    port: Option<u16>,
    kind: &'static str,
}

/// What there was of it.
#[derive(Debug, Clone)]
struct Traffic {
    allowed: u64,
    denied: u64,
    would_deny: u64,
    bytes_up: u64,
    bytes_down: u64,
    first: SystemTime,
    last: SystemTime,
    /// The rule that decided last.
    rule: Option<String>,
    reason: Option<Reason>,
    suggestion: Option<String>,
    /// The program and its ancestors, as the log names them.
    by: Option<String>,
}

impl Summary {
    /// Of a run under this policy, before its first event.
    pub fn new(policy: &Policy) -> Summary {
        Summary {
            mode: policy.mode(),
            destinations: BTreeMap::new(),
            rules: policy.rules().iter().map(|rule| rule.text().to_owned()).collect(),
            used: BTreeSet::new(),
        }
    }

    /// Adds what an event tells.
    pub fn add(&mut self, event: &Event) {
        if let Some(rule) = &event.rule
            && !self.used.contains(rule)
        {
            self.used.insert(rule.clone());
        }
        let mut destination = Destination::of(event);
        if self.destinations.len() >= MOST_DESTINATIONS && !self.destinations.contains_key(&destination) {
            destination = Destination { host: "and others".to_owned(), port: None, kind: "other" };
        }
        self.destinations.entry(destination).or_insert_with(|| Traffic::new(event.at)).add(event);
    }

    /// The report.
    pub fn write(&self, format: ReportFormat) -> String {
        match format {
            ReportFormat::Text => text::report(self),
            ReportFormat::Markdown => markdown::report(self),
            ReportFormat::Json => json::report(self),
            ReportFormat::Junit => junit::report(self),
            ReportFormat::Sarif => sarif::report(self),
        }
    }

    /// What to show: a question for a name says nothing beside what the name was wanted for.
    fn rows(&self) -> impl Iterator<Item = (&Destination, &Traffic)> {
        let contacted: BTreeSet<&str> =
            self.destinations.keys().filter(|to| to.kind != "dns").map(|to| to.host.as_str()).collect();
        let is_shown = move |(to, traffic): &(&Destination, &Traffic)| {
            to.kind != "dns" || traffic.blocked() > 0 || !contacted.contains(to.host.as_str())
        };
        self.destinations.iter().filter(is_shown)
    }

    /// Rules that decided nothing.
    fn unused(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|rule| !self.used.contains(*rule)).map(String::as_str)
    }

    /// Destinations of which something was denied, or would have been.
    fn blocked(&self) -> usize {
        self.rows().filter(|(_, traffic)| traffic.blocked() > 0).count()
    }

    /// One sentence.
    fn headline(&self) -> String {
        let (all, blocked) = (self.rows().count(), self.blocked());
        let destinations = |count: usize| match count {
            1 => "1 destination".to_owned(),
            count => format!("{count} destinations"),
        };
        let what = match self.mode {
            Mode::Enforce => "blocked",
            Mode::Monitor => "that would be blocked",
        };
        format!("{}, {blocked} {what}", destinations(all))
    }
}

impl Destination {
    fn of(event: &Event) -> Destination {
        let host = match (&event.name, event.destination) {
            (Some(name), _) => printable(name).into_owned(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "?".to_owned(),
        };
        // The server of a question is not whom the job wants.
        let port = event.port.filter(|_| event.kind != Kind::Dns);
        Destination { host, port, kind: event.kind.as_str() }
    }

    fn shown(&self) -> String {
        match self.port {
            Some(port) if self.host.contains(':') => format!("[{}]:{port}", self.host),
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

impl Traffic {
    fn new(at: SystemTime) -> Traffic {
        Traffic {
            allowed: 0,
            denied: 0,
            would_deny: 0,
            bytes_up: 0,
            bytes_down: 0,
            first: at,
            last: at,
            rule: None,
            reason: None,
            suggestion: None,
            by: None,
        }
    }

    fn add(&mut self, event: &Event) {
        match event.verdict {
            Outcome::Allow => self.allowed += 1,
            Outcome::Deny => self.denied += 1,
            Outcome::WouldDeny => self.would_deny += 1,
        }
        self.bytes_up += event.bytes_up.unwrap_or(0);
        self.bytes_down += event.bytes_down.unwrap_or(0);
        self.first = self.first.min(event.at);
        self.last = self.last.max(event.at + event.duration.unwrap_or_default());
        // What was denied is what people look for.
        if event.verdict != Outcome::Allow || self.blocked() == 0 {
            let shown = |text: &Option<String>| text.as_deref().map(|text| printable(text).into_owned());
            self.rule = shown(&event.rule);
            self.reason = event.reason;
            self.suggestion = shown(&event.suggestion);
            self.by = event.program.as_deref().map(chain).or(self.by.take());
        }
    }

    fn blocked(&self) -> u64 {
        self.denied + self.would_deny
    }

    fn verdict(&self) -> &'static str {
        match (self.denied, self.would_deny) {
            (0, 0) => "allowed",
            (0, _) => "would be blocked",
            _ => "BLOCKED",
        }
    }

    /// The rule that decided, or the reason and what would allow it.
    fn why(&self) -> String {
        match (&self.rule, self.reason, &self.suggestion) {
            (_, Some(reason), Some(suggestion)) => format!("{reason}; to allow: {suggestion}"),
            (Some(rule), Some(reason), None) => format!("{reason}, by {rule}"),
            (None, Some(reason), None) => reason.to_string(),
            (Some(rule), None, _) => rule.clone(),
            (None, None, _) => String::new(),
        }
    }
}

/// Octets for people: `999 B`, `1.5 kB`, `12 MB`.
fn octets(count: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.95 { 1 } else { 0 };
    format!("{value:.digits$} {}", units[unit])
}

#[cfg(test)]
pub(crate) mod tests;
