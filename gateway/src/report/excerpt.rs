//! What of a summary people are shown: what was blocked first, and not more than they can read. Pure.

use super::Summary;
use super::destination::Destination;
use super::ledger::Activity;
use super::program::Who;
use super::traffic::Traffic;

/// A part of a summary.
pub(super) struct Excerpt<'a> {
    /// Those that had something blocked first.
    pub(super) programs: Vec<Shown<'a>>,
    /// Destinations of programs that are left out.
    pub(super) left_out: usize,
    /// How many of them had something blocked.
    pub(super) left_out_blocked: usize,
}

/// A program.
pub(super) struct Shown<'a> {
    pub(super) who: &'a Who,
    pub(super) activity: &'a Activity,
    /// Those of which something was blocked first.
    pub(super) destinations: Vec<(&'a Destination, &'a Traffic)>,
}

impl<'a> Excerpt<'a> {
    /// As many destinations of programs: what was blocked, and of the rest what there is room for.
    pub(super) fn of(summary: &'a Summary, most: usize) -> Excerpt<'a> {
        let mut programs: Vec<Shown<'a>> = summary
            .ledger
            .programs()
            .map(|(who, activity, destinations)| Shown { who, activity, destinations })
            .collect();
        let is_blocked = |row: &(&Destination, &Traffic)| row.1.blocked() > 0;
        for program in &mut programs {
            program.destinations.sort_by_key(|row| !is_blocked(row));
        }
        programs.sort_by_key(|program| !program.destinations.iter().any(is_blocked));
        let count = |blocked: bool| {
            let rows = programs.iter().flat_map(|program| &program.destinations);
            rows.filter(|row| is_blocked(row) == blocked).count()
        };
        let (blocked, allowed) = (count(true), count(false));
        let mut room_blocked = blocked.min(most);
        let mut room_allowed = allowed.min(most - room_blocked);
        let (left_out_blocked, left_out_allowed) = (blocked - room_blocked, allowed - room_allowed);
        for program in &mut programs {
            program.destinations.retain(|row| {
                let room = if is_blocked(row) { &mut room_blocked } else { &mut room_allowed };
                let fits = *room > 0;
                *room = room.saturating_sub(1);
                fits
            });
        }
        programs.retain(|program| !program.destinations.is_empty());
        Excerpt { programs, left_out: left_out_blocked + left_out_allowed, left_out_blocked }
    }

    /// What is left out, as a sentence.
    pub(super) fn remark(&self) -> Option<String> {
        let blocked = match self.left_out_blocked {
            0 => "none of them blocked".to_owned(),
            count => format!("{count} of them blocked"),
        };
        (self.left_out > 0).then(|| {
            format!("{} more rows are left out, {blocked}; --report json=FILE has them", self.left_out)
        })
    }
}
