//! How fast octets went between two snapshots of a run. Pure.

use std::collections::HashMap;

use crate::live::snapshot::{Connection, Snapshot};

/// Octets a second between two snapshots.
#[derive(Default)]
pub(super) struct Rates<'a> {
    seconds: f64,
    /// Of the whole run, up and down.
    pub(super) all: Option<(u64, u64)>,
    before: HashMap<u64, &'a Connection>,
}

impl<'a> Rates<'a> {
    pub(super) fn between(before: Option<&'a Snapshot>, now: &Snapshot) -> Rates<'a> {
        let Some(before) = before.filter(|before| before.session == now.session) else {
            return Rates::default();
        };
        let seconds = now.age_ms.saturating_sub(before.age_ms) as f64 / 1000.0;
        if seconds <= 0.0 {
            return Rates::default();
        }
        let mut rates = Rates { seconds, ..Rates::default() };
        let all =
            (now.bytes_up.saturating_sub(before.bytes_up), now.bytes_down.saturating_sub(before.bytes_down));
        rates.all = Some(rates.rate(all));
        rates.before = before.connections.iter().map(|connection| (connection.id, connection)).collect();
        rates
    }

    /// What was not there before, or not shown, has none yet.
    pub(super) fn of(&self, connection: &Connection) -> Option<(u64, u64)> {
        let before = self.before.get(&connection.id)?;
        let (up, down) = (before.bytes_up, before.bytes_down);
        Some(self.rate((connection.bytes_up.saturating_sub(up), connection.bytes_down.saturating_sub(down))))
    }

    fn rate(&self, (up, down): (u64, u64)) -> (u64, u64) {
        ((up as f64 / self.seconds) as u64, (down as f64 / self.seconds) as u64)
    }
}
