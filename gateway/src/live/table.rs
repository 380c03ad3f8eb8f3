//! A snapshot as a table for terminals. Pure.

mod rates;

use std::borrow::Cow;
use std::time::Duration;

use super::snapshot::{Connection, Denial, Row, Snapshot};
use crate::audit::{printable, shell_word};
use crate::report::figures::{counted, elapsed, grouped, octets};
use rates::Rates;

/// Columns at least.
const NARROWEST: usize = 40;
/// Characters of a destination or a program that are shown in a column.
const WIDEST_CELL: usize = 48;

const CONNECTION: [&str; 6] = ["program", "destination", "kind", "up/down", "a second", "age"];
const DENIAL: [&str; 6] = ["program", "destination", "kind", "count", "ago", "why"];
const ROW: [&str; 5] = ["destination", "kind", "open", "allowed+denied", "up/down"];
const RUN: [&str; 4] = ["pid", "session", "age", "command"];

/// Lines of what a run does, none wider than so many columns. Octets a second are told if there is an earlier
/// snapshot of the same run.
pub fn table(now: &Snapshot, before: Option<&Snapshot>, columns: usize) -> Vec<String> {
    let rates = Rates::between(before, now);
    let mut lines = head(now, &rates);
    let connections: Vec<Vec<String>> =
        now.connections.iter().map(|connection| connection_cells(connection, &rates)).collect();
    section(&mut lines, "in flight", &CONNECTION, connections, now.connections_left_out);
    let denials = now.denials.iter().map(|denial| denial_cells(denial, now)).collect();
    section(&mut lines, "denied last", &DENIAL, denials, 0);
    let rows = now.destinations.iter().map(row_cells).collect();
    section(&mut lines, "destinations", &ROW, rows, now.destinations_left_out);
    fit(&mut lines, columns);
    lines
}

/// What `top` says of several runs, one a line.
pub fn list(runs: &[Snapshot], columns: usize) -> Vec<String> {
    let mut lines = vec![format!("{} are under way; name one:", counted(runs.len() as u64, "run"))];
    let rows = runs.iter().map(|run| {
        vec![
            run.pid.to_string(),
            harmless(&run.session).into_owned(),
            age(run.age_ms),
            command_line(&run.command),
        ]
    });
    section(&mut lines, "", &RUN, rows.collect(), 0);
    lines.retain(|line| !line.is_empty());
    fit(&mut lines, columns);
    lines
}

/// Ends each line where there is nothing more, or no more room. Lines are ASCII.
fn fit(lines: &mut [String], columns: usize) {
    for line in lines {
        line.truncate(line.trim_end().len().min(columns.max(NARROWEST)));
    }
}

fn head(now: &Snapshot, rates: &Rates) -> Vec<String> {
    let mut figures = format!(
        "{} open of {}, {} up, {} down, {} denied",
        grouped(now.open),
        grouped(now.begun),
        octets(now.bytes_up),
        octets(now.bytes_down),
        grouped(now.denied)
    );
    if let Some((up, down)) = rates.all {
        figures.push_str(&format!("; a second {} up, {} down", octets(up), octets(down)));
    }
    vec![
        format!(
            "cijail-net {}: {} for {}, session {}",
            now.pid,
            match &*now.mode {
                "enforce" => "enforcing",
                "monitor" => "monitoring",
                _ => "running",
            },
            age(now.age_ms),
            harmless(&now.session)
        ),
        format!("  {}", command_line(&now.command)),
        format!("  {figures}"),
    ]
}

fn connection_cells(connection: &Connection, rates: &Rates) -> Vec<String> {
    vec![
        program(connection.exe.as_deref(), connection.pid),
        destination(&connection.host, connection.port),
        harmless(&connection.kind).into_owned(),
        up_down(connection.bytes_up, connection.bytes_down),
        rates.of(connection).map(|(up, down)| up_down(up, down)).unwrap_or_default(),
        age(connection.age_ms),
    ]
}

fn denial_cells(denial: &Denial, now: &Snapshot) -> Vec<String> {
    let mut why = denial.reason.as_deref().map(harmless).unwrap_or_default().into_owned();
    if let Some(rule) = &denial.suggestion {
        why.push_str(&format!("; to allow: --allow {}", shell_word(&harmless(rule))));
    }
    vec![
        program(denial.exe.as_deref(), denial.pid),
        destination(&denial.host, denial.port),
        harmless(&denial.kind).into_owned(),
        grouped(denial.count),
        since(&now.started, now.age_ms, &denial.at),
        why,
    ]
}

fn row_cells(row: &Row) -> Vec<String> {
    let blocked = row.denied.saturating_add(row.would_deny);
    vec![
        destination(&row.host, row.port),
        harmless(&row.kind).into_owned(),
        grouped(row.open),
        format!("{}+{}", grouped(row.allowed), grouped(blocked)),
        up_down(row.bytes_up, row.bytes_down),
    ]
}

/// A title, and cells beneath each other. Columns in which there is nothing are left out, and the last one may be
/// as long as it likes.
fn section(lines: &mut Vec<String>, title: &str, names: &[&str], rows: Vec<Vec<String>>, left_out: u64) {
    if rows.is_empty() {
        return;
    }
    lines.extend([String::new(), title.to_owned()]);
    let width = |column: usize| rows.iter().map(|row| row[column].len().min(WIDEST_CELL)).max().unwrap_or(0);
    let shown: Vec<usize> = (0..names.len()).filter(|column| width(*column) > 0).collect();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    for row in std::iter::once(&names).chain(&rows) {
        let mut line = String::from("  ");
        for &column in &shown {
            let width = width(column).max(names[column].len());
            let cell = &row[column];
            let is_last = shown.last() == Some(&column);
            let cell = if is_last { Cow::Borrowed(cell.as_str()) } else { cut(cell) };
            line.push_str(&format!("{cell:<width$}  "));
        }
        lines.push(line);
    }
    if left_out > 0 {
        lines.push(format!("  and {} more", grouped(left_out)));
    }
}

/// The beginning and the end, which tells files and names apart.
fn cut(cell: &str) -> Cow<'_, str> {
    if cell.len() <= WIDEST_CELL {
        return Cow::Borrowed(cell);
    }
    let half = (WIDEST_CELL - 2) / 2;
    Cow::Owned(format!("{}..{}", &cell[..half], &cell[cell.len() - half..]))
}

/// The text as it is if a run made it harmless, and made so otherwise.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if plain && !text.contains("##") { Cow::Borrowed(text) } else { printable(text) }
}

fn command_line(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| shell_word(&harmless(word)).into_owned()).collect();
    words.join(" ")
}

fn program(exe: Option<&str>, pid: Option<u32>) -> String {
    let name = exe.map(harmless);
    let name = name.as_deref().map(|exe| exe.rsplit('/').next().unwrap_or(exe));
    match (name, pid) {
        (Some(name), Some(pid)) => format!("{name}[{pid}]"),
        _ => "?".to_owned(),
    }
}

fn destination(host: &str, port: Option<u16>) -> String {
    let host = harmless(host);
    match port {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.into_owned(),
    }
}

fn up_down(up: u64, down: u64) -> String {
    format!("{}/{}", octets(up), octets(down))
}

fn age(milliseconds: u64) -> String {
    elapsed(Duration::from_millis(milliseconds))
}

/// How long before the snapshot a time was; the run's clock tells both.
fn since(started: &str, age_ms: u64, at: &str) -> String {
    let times = humantime::parse_rfc3339(started).ok().zip(humantime::parse_rfc3339(at).ok());
    let from_start = times.and_then(|(started, at)| at.duration_since(started).ok());
    let passed = from_start.map(|passed| Duration::from_millis(age_ms).saturating_sub(passed));
    passed.map(elapsed).unwrap_or_default()
}

#[cfg(test)]
mod tests;
