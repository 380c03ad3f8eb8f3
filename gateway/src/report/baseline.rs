//! Destinations that are known from an earlier run's report. Pure.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Summary;
use super::destination::Destination;

/// What tells destinations apart.
type Key = (String, Option<u16>, String);

/// What an earlier run talked to.
#[derive(Debug)]
pub struct Baseline(BTreeSet<Key>);

/// Of a report only what tells destinations apart.
#[derive(Deserialize)]
struct Report {
    destinations: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    host: String,
    port: Option<u16>,
    kind: String,
}

impl Baseline {
    /// Reads what `--report json` has written.
    ///
    /// # Errors
    /// It is no such report.
    pub fn read(text: &[u8]) -> Result<Baseline, serde_json::Error> {
        let report: Report = serde_json::from_slice(text)?;
        let rows = report.destinations.into_iter().map(|row| (row.host, row.port, row.kind));
        // Nobody knows whom it stands for: whoever it is in another run is new.
        let others = key(&Destination::others());
        Ok(Baseline(rows.filter(|row| *row != others).collect()))
    }

    /// What the run talked to, or tried to, and the earlier one did not.
    pub fn new_in(&self, summary: &Summary) -> Vec<String> {
        let is_new = |to: &&Destination| !self.0.contains(&key(to));
        let rows = summary.rows();
        rows.iter()
            .map(|(to, _)| *to)
            .filter(is_new)
            .map(|to| format!("{} {}", to.kind, to.shown()))
            .collect()
    }
}

fn key(to: &Destination) -> Key {
    (to.host.clone(), to.port, to.kind.to_owned())
}
