//! `cijail-net top`: what a run does now.

mod screen;

use std::io::{self, IsTerminal};

use netns::job::Uid;

use super::args::TopArgs;
use super::{Failure, answer, say};
use crate::audit::printable;
use crate::causes::chain;
use crate::exit;
use crate::live::ask::{AskError, ask, names};
use crate::live::name::RunName;
use crate::live::snapshot::Snapshot;
use crate::live::table::{list, table};

/// Runs that are asked to find those that may be meant.
const MOST: usize = 100;
/// Columns where no terminal says how many there are.
const COLUMNS: usize = 120;

/// A run that cannot be shown.
#[derive(Debug, thiserror::Error)]
enum TopError {
    #[error("reading /proc/net/unix, where runs are found")]
    Table(#[source] io::Error),
    #[error("standard output")]
    Screen(#[source] io::Error),
}

pub(super) fn main(args: &TopArgs) -> Result<u8, Failure> {
    let (name, first) = match find(args)? {
        Found::One(name, snapshot) => (name, snapshot),
        Found::Several(runs) => {
            answer(&lines(&list(&runs, columns())))?;
            return Ok(exit::NO);
        }
        Found::None(why) => {
            say(&why);
            return Ok(exit::NO);
        }
    };
    if args.json {
        answer(&(serde_json::to_string(&*first)? + "\n"))?;
    } else if args.once || !io::stdout().is_terminal() {
        answer(&lines(&table(&first, None, columns())))?;
    } else {
        let ended = screen::watch(&name, *first).map_err(TopError::Screen)?;
        if let Some(error) = ended {
            say(&error.to_string());
        }
    }
    Ok(0)
}

enum Found {
    One(RunName, Box<Snapshot>),
    Several(Vec<Snapshot>),
    /// And why.
    None(String),
}

/// The run that is meant: the only one of the caller's, or the one that is named, whosever it is.
fn find(args: &TopArgs) -> Result<Found, TopError> {
    let all = names().map_err(TopError::Table)?;
    let own = Uid::current();
    let Some(wanted) = &args.run else {
        let mut found: Vec<(RunName, Snapshot)> = all
            .into_iter()
            .filter(|name| name.uid == own.as_raw())
            .take(MOST)
            .filter_map(|name| ask(&name).ok().map(|snapshot| (name, snapshot)))
            .collect();
        return Ok(match found.len() {
            0 => Found::None("no run of yours is under way here".to_owned()),
            1 => {
                let (name, snapshot) = found.remove(0);
                Found::One(name, Box::new(snapshot))
            }
            _ => Found::Several(found.into_iter().map(|(_, snapshot)| snapshot).collect()),
        });
    };
    let meant = |name: &RunName| name.session == *wanted || name.pid.to_string() == *wanted;
    let mut refused = None;
    for name in all.into_iter().filter(meant).take(MOST) {
        match ask(&name) {
            Ok(snapshot) => return Ok(Found::One(name, Box::new(snapshot))),
            Err(AskError::Ended) => {}
            Err(error) => refused = Some(format!("{}: {}", printable(wanted), chain(&error))),
        }
    }
    Ok(Found::None(refused.unwrap_or_else(|| {
        format!(
            "no run {} is under way here; of one that has ended, see its log or report",
            printable(wanted)
        )
    })))
}

fn columns() -> usize {
    netns::terminal_columns(io::stdout()).map_or(COLUMNS, usize::from)
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
