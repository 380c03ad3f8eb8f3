//! Finds the processes that have given sockets open, all of a batch at once.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::Program;
use super::processes::Processes;

/// Processes that are looked at first: the last ones that had what was looked for.
const RECENT: usize = 8;
/// Descriptors that are guessed of each process, and processes of which they are.
const GUESSES: usize = 3;
const GUESSED: usize = 64;
/// What one search may take of a processor: a job may have many processes with many descriptors, to hide one.
const LONGEST: Duration = Duration::from_millis(40);
/// Descriptors between two looks at the clock.
const STRIDE: usize = 64;

/// Looks for sockets, and remembers where it found the last ones.
#[derive(Debug)]
pub(super) struct Search {
    processes: Processes,
    /// Process and descriptor, the last found last.
    recent: Vec<(u32, u32)>,
}

/// What came of a search.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Programs, each with the ids of its sockets.
    pub(super) programs: Vec<(Vec<u32>, Program)>,
    /// Ids of sockets that nobody was seen to have.
    pub(super) nobodys: Vec<u32>,
}

/// Ids that wait for the owner of an inode.
type Wanted = HashMap<u64, Vec<u32>>;

/// The calling thread's time on a processor, which a busy machine does not prolong.
pub(super) fn spent() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

impl Search {
    /// For the calling process, to which `socket` belongs.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub(super) fn open(socket: &OwnedFd) -> io::Result<Search> {
        Ok(Search { processes: Processes::open(socket)?, recent: Vec::new() })
    }

    /// Finds who has the sockets of these ids and inodes.
    pub(super) fn find(&mut self, sockets: Vec<(u32, u64)>) -> Found {
        let until = spent() + LONGEST;
        let mut wanted = Wanted::new();
        for (id, inode) in sockets {
            wanted.entry(inode).or_default().push(id);
        }
        let mut found = Found::default();
        let recent: Vec<_> = self.recent.iter().rev().copied().collect();
        // A program often uses the same descriptor again.
        for &(pid, descriptor) in &recent {
            if wanted.is_empty() {
                break;
            }
            if let Some(ids) = self.processes.socket(pid, descriptor).and_then(|inode| wanted.remove(&inode))
            {
                self.note(&mut found, pid, descriptor, ids);
            }
        }
        for &(pid, _) in &recent {
            self.look_at(pid, &mut wanted, &mut found, until);
        }
        if !wanted.is_empty() {
            let others: Vec<u32> = self.processes.list();
            self.guess(&others, &recent, &mut wanted, &mut found);
            for pid in others {
                if wanted.is_empty() || spent() >= until {
                    break;
                }
                if !recent.iter().any(|&(looked_at, _)| looked_at == pid) {
                    self.look_at(pid, &mut wanted, &mut found, until);
                }
            }
        }
        found.nobodys.extend(wanted.into_values().flatten());
        found
    }

    /// Looks at single descriptors of the newest processes: many that run the same program have their
    /// sockets at the same one, and a list of all takes ten times as long.
    fn guess(&mut self, pids: &[u32], recent: &[(u32, u32)], wanted: &mut Wanted, found: &mut Found) {
        let mut guesses: Vec<u32> = Vec::new();
        for &(_, descriptor) in recent {
            if guesses.len() < GUESSES && !guesses.contains(&descriptor) {
                guesses.push(descriptor);
            }
        }
        for &pid in pids.iter().take(GUESSED) {
            for &descriptor in &guesses {
                if wanted.is_empty() {
                    return;
                }
                let inode = self.processes.socket(pid, descriptor);
                if let Some(ids) = inode.and_then(|inode| wanted.remove(&inode)) {
                    self.note(found, pid, descriptor, ids);
                }
            }
        }
    }

    fn look_at(&mut self, pid: u32, wanted: &mut Wanted, found: &mut Found, until: Duration) {
        if wanted.is_empty() {
            return;
        }
        let Some(mut descriptors) = self.processes.descriptors(pid) else {
            self.recent.retain(|&(recent, _)| recent != pid);
            return;
        };
        let mut ids = Vec::new();
        let mut last = None;
        for (count, descriptor) in descriptors.numbers().into_iter().enumerate() {
            if wanted.is_empty() || (count % STRIDE == STRIDE - 1 && spent() >= until) {
                break;
            }
            if let Some(here) = descriptors.socket(descriptor).and_then(|inode| wanted.remove(&inode)) {
                ids.extend(here);
                last = Some(descriptor);
            }
        }
        if let Some(descriptor) = last {
            self.note(found, pid, descriptor, ids);
        }
    }

    fn note(&mut self, found: &mut Found, pid: u32, descriptor: u32, ids: Vec<u32>) {
        self.recent.retain(|&(recent, _)| recent != pid);
        if self.recent.len() >= RECENT {
            self.recent.remove(0);
        }
        self.recent.push((pid, descriptor));
        match found.programs.iter_mut().find(|(_, program)| program.pid == pid) {
            Some((known, _)) => known.extend(ids),
            None => match self.processes.describe(pid) {
                Some(program) => found.programs.push((ids, program)),
                None => found.nobodys.extend(ids),
            },
        }
    }
}
