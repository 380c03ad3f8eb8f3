//! What goes on, and what there was so far, in bounded memory. Pure.

mod shown;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::audit::{Event, Origin, Outcome};
use crate::counters::Counters;
use crate::report::destination::{Destination, Room};
use crate::report::traffic::Traffic;

/// Destinations that are told apart, of those that were allowed at first and of the others alike.
const MOST_DESTINATIONS: usize = 1_000;
/// Denials that are remembered; repeats are one.
const MOST_DENIALS: usize = 20;

/// What goes on, and what there was.
#[derive(Debug, Default)]
pub(super) struct State {
    /// How many began.
    begun: u64,
    next: u64,
    /// What goes on, the oldest first. Bounded by the limits on connections and flows.
    open: BTreeMap<u64, Open>,
    room: Room,
    destinations: BTreeMap<Destination, Traffic>,
    denials: VecDeque<Denied>,
    /// Octets of what has ended, and denials.
    ended: Sum,
}

/// A run in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// What goes on now.
    pub open: usize,
    /// What began so far.
    pub begun: u64,
    /// Octets that hosts were sent.
    pub bytes_up: u64,
    /// Octets that hosts sent.
    pub bytes_down: u64,
    /// What was denied, or would be in enforce mode.
    pub denied: u64,
    /// Whom the last denial was about, printable.
    pub last_denied: Option<String>,
}

#[derive(Debug)]
struct Open {
    destination: Destination,
    rule: Option<String>,
    started: Instant,
    origin: Option<Origin>,
    counters: Arc<Counters>,
    /// A connection that carries more than this, and what it had carried before.
    connection: Option<(Arc<Counters>, u64, u64)>,
}

#[derive(Debug)]
struct Denied {
    /// The last one.
    event: Event,
    count: u64,
}

impl State {
    /// Notes what begins; its number.
    pub(super) fn begin(&mut self, event: &Event, counters: Arc<Counters>, started: Instant) -> u64 {
        let open = Open {
            destination: Destination::of(event),
            rule: event.rule.clone(),
            started,
            origin: event.origin.clone(),
            counters,
            connection: None,
        };
        self.begun += 1;
        self.next += 1;
        self.open.insert(self.next, open);
        self.next
    }

    pub(super) fn shows(&mut self, number: u64, connection: Arc<Counters>) {
        if let Some(open) = self.open.get_mut(&number) {
            let (up, down) = (connection.up(), connection.down());
            open.connection = Some((connection, up, down));
        }
    }

    pub(super) fn withdraw(&mut self, number: u64) {
        if self.open.remove(&number).is_some() {
            self.begun -= 1;
        }
    }

    pub(super) fn end(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Adds what an event tells. What nobody decided about is not for here.
    pub(super) fn add(&mut self, event: &Event) {
        if event.is_observation() {
            return;
        }
        self.ended.bytes_up += event.bytes_up.unwrap_or(0);
        self.ended.bytes_down += event.bytes_down.unwrap_or(0);
        let destination = Destination::of(event);
        if event.verdict != Outcome::Allow {
            self.deny(event);
        }
        if let Some(traffic) = self.destinations.get_mut(&destination) {
            return traffic.add(event);
        }
        let destination = self.room.take(destination, event, MOST_DESTINATIONS);
        self.destinations.entry(destination).or_insert_with(|| Traffic::new(event.at)).add(event);
    }

    fn deny(&mut self, event: &Event) {
        let times = event.count.unwrap_or(1);
        self.ended.denied += times;
        let is_same = |denied: &Denied| {
            let before = &denied.event;
            let subject = |event: &Event| (event.kind, event.port, event.destination, event.reason);
            before.name == event.name && before.url == event.url && subject(before) == subject(event)
        };
        let before = self.denials.iter().rposition(is_same).and_then(|place| self.denials.remove(place));
        if before.is_none() && self.denials.len() == MOST_DENIALS {
            self.denials.pop_front();
        }
        // Of a repeat nothing is new but its time and who it was.
        let mut denied = before.unwrap_or_else(|| Denied { event: event.clone(), count: 0 });
        denied.count += times;
        denied.event.at = event.at;
        denied.event.origin.clone_from(&event.origin);
        self.denials.push_back(denied);
    }

    pub(super) fn sum(&self) -> Sum {
        let mut sum = Sum { open: self.open.len(), begun: self.begun, ..self.ended.clone() };
        sum.last_denied = self.denials.back().map(|denied| Destination::of(&denied.event).shown());
        for open in self.open.values() {
            let (up, down) = open.carried();
            sum.bytes_up += up;
            sum.bytes_down += down;
        }
        sum
    }
}

impl Open {
    fn carried(&self) -> (u64, u64) {
        let (mut up, mut down) = (self.counters.up(), self.counters.down());
        if let Some((connection, up_before, down_before)) = &self.connection {
            up += connection.up().saturating_sub(*up_before);
            down += connection.down().saturating_sub(*down_before);
        }
        (up, down)
    }
}

#[cfg(test)]
mod tests;
