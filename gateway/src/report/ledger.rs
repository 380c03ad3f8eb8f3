//! Which program talked to which destination, in bounded memory. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::destination::{Destination, Room};
use super::program::Who;
use super::traffic::Traffic;
use crate::audit::Event;

/// Programs that are told apart; what comes after them is one.
const MOST_PROGRAMS: usize = 1_000;
/// Destinations of programs that are told apart, of those that were allowed at first and of the others alike.
const MOST_DESTINATIONS: usize = 5_000;

/// Programs, and what each talked to.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    programs: BTreeMap<Who, Activity>,
    room: Room,
}

/// What one program did.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// The number of its first process that was seen.
    pub(super) pid: Option<u32>,
    /// The arguments of that process, printable.
    pub(super) args: Vec<String>,
    pub(super) destinations: BTreeMap<Destination, Traffic>,
}

impl Ledger {
    pub(super) fn add(&mut self, event: &Event) {
        let mut who = Who::of(event);
        if self.programs.len() >= MOST_PROGRAMS && !self.programs.contains_key(&who) {
            who = Who::Others;
        }
        let is_one = who != Who::Others;
        let first = || if is_one { Activity::of(event) } else { Activity::default() };
        let activity = self.programs.entry(who).or_insert_with(first);
        let destination = Destination::of(event);
        if let Some(traffic) = activity.destinations.get_mut(&destination) {
            return traffic.add(event);
        }
        let destination = self.room.take(destination, event, MOST_DESTINATIONS);
        activity.destinations.entry(destination).or_insert_with(|| Traffic::new(event.at)).add(event);
    }

    /// Programs in order, with what there is to show of each.
    pub(super) fn programs(&self) -> impl Iterator<Item = (&Who, &Activity, Vec<(&Destination, &Traffic)>)> {
        let contacted = self.contacted();
        self.programs.iter().filter_map(move |(who, activity)| {
            let rows = activity.destinations.iter();
            let rows: Vec<_> = rows.filter(|(to, traffic)| is_shown(to, traffic, &contacted)).collect();
            (!rows.is_empty()).then_some((who, activity, rows))
        })
    }

    /// Destinations in order, whichever programs talked to them.
    pub(super) fn destinations(&self) -> Vec<(&Destination, Traffic)> {
        let mut all: BTreeMap<&Destination, Traffic> = BTreeMap::new();
        for (to, traffic) in self.programs.values().flat_map(|activity| &activity.destinations) {
            all.entry(to).and_modify(|sum| sum.merge(traffic)).or_insert_with(|| traffic.clone());
        }
        let contacted = self.contacted();
        all.into_iter().filter(|(to, traffic)| is_shown(to, traffic, &contacted)).collect()
    }

    /// Hosts that were wanted for more than their address.
    fn contacted(&self) -> BTreeSet<&str> {
        let all = self.programs.values().flat_map(|activity| activity.destinations.keys());
        all.filter(|to| to.kind != "dns").map(|to| to.host.as_str()).collect()
    }
}

/// A question for a name says nothing beside what the name was wanted for.
fn is_shown(to: &Destination, traffic: &Traffic, contacted: &BTreeSet<&str>) -> bool {
    to.kind != "dns" || traffic.blocked() > 0 || !contacted.contains(to.host.as_str())
}

impl Activity {
    fn of(event: &Event) -> Activity {
        let program = event.program.as_deref();
        let printable = |text: &String| crate::audit::printable(text).into_owned();
        Activity {
            pid: program.map(|program| program.pid),
            args: program.map(|program| program.args.iter().map(printable).collect()).unwrap_or_default(),
            destinations: BTreeMap::new(),
        }
    }
}
