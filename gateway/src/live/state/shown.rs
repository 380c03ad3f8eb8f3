//! The state as an answer shows it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{Denied, Open, State};
use crate::audit::{Origin, printable};
use crate::live::snapshot::{self, Connection, Denial, Row, Run, Snapshot};
use crate::report::destination::Destination;
use crate::report::traffic::Traffic;

impl State {
    /// Everything, as far as an answer has room for it.
    pub(in crate::live) fn snapshot(&self, run: &Run, now: Instant) -> Snapshot {
        let sum = self.sum();
        let (connections, connections_left_out) = most(
            self.open.iter().map(|(id, open)| open.shown(*id, now)),
            snapshot::CONNECTIONS,
            |connection| connection.bytes_up + connection.bytes_down,
        );
        let (destinations, destinations_left_out) =
            most(self.rows().into_iter(), snapshot::DESTINATIONS, |row| row.bytes_up + row.bytes_down);
        Snapshot {
            session: run.session.clone(),
            pid: run.pid,
            mode: run.mode.as_str().to_owned(),
            command: run.command.clone(),
            started: humantime::format_rfc3339_millis(run.started).to_string(),
            age_ms: milliseconds(now, run.begun),
            open: sum.open as u64,
            begun: sum.begun,
            bytes_up: sum.bytes_up,
            bytes_down: sum.bytes_down,
            denied: sum.denied,
            connections,
            connections_left_out,
            destinations,
            destinations_left_out,
            denials: self.denials.iter().rev().map(Denied::shown).collect(),
        }
    }

    /// Destinations with what goes on there now.
    fn rows(&self) -> Vec<Row> {
        let mut rows: BTreeMap<&Destination, Row> =
            self.destinations.iter().map(|(to, traffic)| (to, row(to, traffic))).collect();
        for open in self.open.values() {
            let row = rows.entry(&open.destination).or_insert_with(|| Row::of(&open.destination));
            let (up, down) = open.carried();
            row.open += 1;
            row.bytes_up += up;
            row.bytes_down += down;
        }
        let contacted: BTreeSet<String> =
            rows.values().filter(|row| row.kind != "dns").map(|row| row.host.clone()).collect();
        // As in reports, a question for a name says nothing beside what the name was wanted for.
        let is_shown = |row: &Row| {
            row.kind != "dns" || row.denied + row.would_deny > 0 || !contacted.contains(&row.host)
        };
        rows.into_values().filter(is_shown).collect()
    }
}

impl Open {
    fn shown(&self, id: u64, now: Instant) -> Connection {
        let program = self.origin.as_ref().and_then(Origin::known);
        let (bytes_up, bytes_down) = self.carried();
        Connection {
            id,
            kind: self.destination.kind.to_owned(),
            host: self.destination.host.clone(),
            port: self.destination.port,
            rule: self.rule.as_deref().map(|rule| printable(rule).into_owned()),
            pid: program.as_ref().map(|program| program.pid),
            exe: program.as_ref().map(|program| printable(&program.exe).into_owned()),
            bytes_up,
            bytes_down,
            age_ms: milliseconds(now, self.started),
        }
    }
}

impl Denied {
    fn shown(&self) -> Denial {
        let event = &self.event;
        let to = Destination::of(event);
        let program = event.origin.as_ref().and_then(Origin::known);
        let shown = |text: &str| printable(text).into_owned();
        Denial {
            at: humantime::format_rfc3339_millis(event.at).to_string(),
            verdict: event.verdict.as_str().to_owned(),
            kind: to.kind.to_owned(),
            host: to.host,
            port: to.port,
            reason: event.reason.map(|reason| reason.as_str().to_owned()),
            suggestion: event.suggestion.as_deref().map(shown),
            pid: program.as_ref().map(|program| program.pid),
            exe: program.as_ref().map(|program| shown(&program.exe)),
            count: self.count,
        }
    }
}

fn row(to: &Destination, traffic: &Traffic) -> Row {
    Row {
        allowed: traffic.allowed,
        denied: traffic.denied,
        would_deny: traffic.would_deny,
        bytes_up: traffic.bytes_up,
        bytes_down: traffic.bytes_down,
        ..Row::of(to)
    }
}

/// The first so many by weight, each with its place as it was given, and how many are left out.
fn most<T>(all: impl Iterator<Item = T>, limit: usize, weight: impl Fn(&T) -> u64) -> (Vec<T>, u64) {
    let mut all: Vec<T> = all.collect();
    // Stable, so that what weighs the same does not jump.
    all.sort_by_key(|one| std::cmp::Reverse(weight(one)));
    let left_out = all.len().saturating_sub(limit);
    all.truncate(limit);
    (all, left_out as u64)
}

fn milliseconds(now: Instant, since: Instant) -> u64 {
    now.saturating_duration_since(since).as_millis() as u64
}
