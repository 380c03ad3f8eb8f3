//! What the graph shows, and in which order: programs on the left, destinations on the right. Pure.

use std::collections::BTreeMap;

use super::tree::{self, Row};
use crate::report::excerpt::Excerpt;
use crate::report::figures::counted;
use crate::report::{Destination, Traffic};

/// Programs and destinations that are drawn: more cannot be told apart.
const MOST_PROGRAMS: usize = 30;
const MOST_DESTINATIONS: usize = 40;
/// Of the destinations those that were blocked, if there are enough of the others.
const MOST_BLOCKED: usize = 24;

pub(super) struct Layout {
    pub(super) rows: Vec<Row>,
    pub(super) places: Vec<Place>,
    pub(super) edges: Vec<Edge>,
    /// Programs that are not drawn.
    pub(super) programs_left_out: usize,
}

/// A destination, or the last: all that are not drawn by themselves.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) label: String,
    /// Empty for what is not drawn.
    pub(super) kind: &'static str,
    pub(super) is_blocked: bool,
}

/// What a program wanted of a place.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) row: usize,
    pub(super) place: usize,
    pub(super) allowed: u64,
    pub(super) blocked: u64,
}

impl Layout {
    /// The graph of a run with so many destinations in all.
    pub(super) fn of(excerpt: &Excerpt<'_>, destinations: usize) -> Layout {
        let programs = &excerpt.programs[..excerpt.programs.len().min(MOST_PROGRAMS)];
        let rows = tree::rows(programs);
        let links: Vec<(usize, &Destination, &Traffic)> = rows
            .iter()
            .enumerate()
            .filter_map(|(row, tree)| Some((row, &programs[tree.program?])))
            .flat_map(|(row, program)| {
                program.destinations.iter().map(move |(to, traffic)| (row, *to, *traffic))
            })
            .collect();
        let (order, mut places) = places(&links);
        let rest = destinations - order.len();
        if rest > 0 {
            let is_blocked =
                links.iter().any(|(_, to, traffic)| !order.contains_key(to) && traffic.blocked() > 0);
            let label = counted(rest as u64, "more destination");
            places.push(Place { label, is_blocked, ..Place::default() });
        }
        let mut edges: BTreeMap<(usize, usize), Edge> = BTreeMap::new();
        for (row, to, traffic) in links {
            let place = order.get(to).copied().unwrap_or(order.len());
            let edge = edges.entry((row, place)).or_insert(Edge { row, place, allowed: 0, blocked: 0 });
            edge.allowed += traffic.allowed;
            edge.blocked += traffic.blocked();
        }
        let programs_left_out = excerpt.programs.len() - programs.len();
        Layout { rows, places, edges: edges.into_values().collect(), programs_left_out }
    }
}

/// The destinations that are drawn, beside the programs that they belong to.
fn places<'a>(
    links: &[(usize, &'a Destination, &Traffic)],
) -> (BTreeMap<&'a Destination, usize>, Vec<Place>) {
    let mut sums: BTreeMap<&Destination, Sum> = BTreeMap::new();
    for (row, to, traffic) in links {
        let sum = sums.entry(to).or_default();
        sum.rows += row;
        sum.links += 1;
        sum.count += traffic.allowed + traffic.blocked();
        sum.is_blocked |= traffic.blocked() > 0;
    }
    let (mut blocked, mut allowed): (Vec<_>, Vec<_>) = sums.into_iter().partition(|(_, sum)| sum.is_blocked);
    let enough = MOST_BLOCKED.max(MOST_DESTINATIONS.saturating_sub(allowed.len()));
    for (part, most) in [(&mut blocked, enough), (&mut allowed, MOST_DESTINATIONS)] {
        part.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.count));
        part.truncate(most);
    }
    allowed.truncate(MOST_DESTINATIONS - blocked.len().min(MOST_DESTINATIONS));
    let mut drawn = [blocked, allowed].concat();
    drawn.sort_by_key(|(to, sum)| (sum.rows * 1000 / sum.links, *to));
    let place = |(to, sum): &(&Destination, Sum)| Place {
        label: to.shown(),
        kind: to.kind,
        is_blocked: sum.is_blocked,
    };
    let places = drawn.iter().map(place).collect();
    (drawn.into_iter().enumerate().map(|(index, (to, _))| (to, index)).collect(), places)
}

/// Of one destination, over all programs.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    /// The sum of the programs' rows.
    rows: usize,
    links: usize,
    count: u64,
    is_blocked: bool,
}
