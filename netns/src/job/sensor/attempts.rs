//! Programs that were asked for, until it shows whether they run: the kernel tells when a process asks for
//! a program, not what came of it. Pure: it is told what the process is when it is next seen.
//!
//! Several threads of a process may ask at once, and the one that succeeds takes the place of all. A thread's next
//! call shows that its own attempt failed, and nothing of what others asked for.

use std::collections::HashMap;
use std::time::SystemTime;

use super::super::witness::lines::Image;
use super::{Ending, Observation, Program};

/// Attempts of one process that are remembered: threads that are gone leave theirs.
const MOST: usize = 16;

/// A thread that asked for a program.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) thread: u32,
    pub(super) at: SystemTime,
    /// What it asked for, with every link followed if that is there; absent if that could not be read.
    pub(super) path: Option<String>,
    /// Whether it is there, as far as can be told.
    pub(super) is_there: bool,
    pub(super) args: Vec<String>,
    pub(super) parents: Vec<String>,
    /// What the process was then.
    pub(super) before: State,
}

/// What a process is.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) image: Image,
    /// Its executable; absent if it has none any more, or may not be looked at.
    pub(super) exe: Option<String>,
    /// What the kernel gave its program at random; absent if that may not be looked at.
    pub(super) seed: Option<[u8; 16]>,
}

/// Attempts under way, by process; all of one process are of one program.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<u32, Vec<Attempt>>);

impl Attempts {
    /// Remembers an attempt; if there are too many, the oldest is told as one of which nothing is known.
    pub(super) fn add(&mut self, process: u32, attempt: Attempt) -> Option<Observation> {
        let all = self.0.entry(process).or_default();
        let oldest = (all.len() >= MOST).then(|| all.remove(0));
        all.push(attempt);
        oldest.map(|attempt| attempt.unseen(process))
    }

    /// The thread's call did not go on.
    pub(super) fn withdraw(&mut self, process: u32, thread: u32) {
        self.take(process, thread);
    }

    pub(super) fn has(&self, process: u32) -> bool {
        self.0.contains_key(&process)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn processes(&self) -> Vec<u32> {
        self.0.keys().copied().collect()
    }

    /// What came of a process's attempts, this thread of it being in its next call, where it is not executing any
    /// more. Without a state the process may not be looked at.
    pub(super) fn decide(&mut self, process: u32, thread: u32, now: Option<&State>) -> Vec<Observation> {
        let Some(before) = self.before(process) else { return Vec::new() };
        match now {
            Some(now) if now.exe.is_some() && now.is_still(before) => {
                let its = self.take(process, thread).into_iter();
                its.map(|attempt| attempt.failed(process, now)).collect()
            }
            _ => self.finish(process, now),
        }
    }

    /// The same for a process that may be anywhere. One that has not changed may be executing still, and so
    /// may one without an executable: its first thread ends before the one that asked takes its place
    /// (`de_thread` in fs/exec.c of the kernel).
    pub(super) fn look(&mut self, process: u32, now: Option<&State>) -> Vec<Observation> {
        let Some(before) = self.before(process) else { return Vec::new() };
        let may_be_executing = |now: &State| {
            now.is_still(before) || (now.image.started == before.image.started && now.exe.is_none())
        };
        if now.is_some_and(may_be_executing) {
            return Vec::new();
        }
        self.finish(process, now)
    }

    /// What came of a process's attempts if none of them can be under way.
    pub(super) fn finish(&mut self, process: u32, now: Option<&State>) -> Vec<Observation> {
        let Some(mut all) = self.0.remove(&process) else { return Vec::new() };
        let Some(before) = all.first().map(|attempt| attempt.before.clone()) else { return Vec::new() };
        // Its number may be another's by now.
        let now = now.filter(|now| now.exe.is_some() && now.image.started == before.image.started);
        let Some(now) = now else {
            return all.into_iter().map(|attempt| attempt.unseen(process)).collect();
        };
        let mut ran = None;
        if !now.is_still(&before) {
            // A script, and what hid its path, runs under another name.
            let named = all.iter().position(|attempt| attempt.path == now.exe);
            ran = Some(all.remove(named.unwrap_or(all.len() - 1)));
        }
        let failed = all.into_iter().map(|attempt| attempt.failed(process, &before));
        let mut told: Vec<Observation> = failed.collect();
        told.extend(ran.map(|attempt| attempt.ran(process, now)));
        told
    }

    fn before(&self, process: u32) -> Option<&State> {
        self.0.get(&process)?.first().map(|attempt| &attempt.before)
    }

    /// The attempt of one thread.
    fn take(&mut self, process: u32, thread: u32) -> Vec<Attempt> {
        let all = self.0.remove(&process).unwrap_or_default();
        let (its, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|attempt| attempt.thread == thread);
        if !others.is_empty() {
            self.0.insert(process, others);
        }
        its
    }
}

impl State {
    /// Whether it is the program that it was. The stack of another one may begin at the same place, as a job can
    /// switch random addresses off (personality(2)), but then its file is another, or at least its seed.
    fn is_still(&self, before: &State) -> bool {
        fn agree<T: PartialEq>(now: Option<&T>, then: Option<&T>) -> bool {
            now.zip(then).is_none_or(|(now, then)| now == then)
        }
        self.image == before.image
            && agree(self.exe.as_ref(), before.exe.as_ref())
            && agree(self.seed.as_ref(), before.seed.as_ref())
    }
}

impl Attempt {
    fn ran(self, process: u32, now: &State) -> Observation {
        self.ended(process, now.exe.clone(), Ending::Ran)
    }

    fn failed(self, process: u32, state: &State) -> Observation {
        let ending = if self.is_there { Ending::Refused } else { Ending::NotFound };
        self.ended(process, state.exe.clone(), ending)
    }

    /// Nobody has seen what runs: at least it is a file, which is what was asked for.
    fn unseen(self, process: u32) -> Observation {
        let ending = if self.is_there { Ending::Unseen } else { Ending::NotFound };
        self.ended(process, None, ending)
    }

    fn ended(self, process: u32, exe: Option<String>, ending: Ending) -> Observation {
        let path = self.path.or_else(|| exe.clone().filter(|_| ending == Ending::Ran));
        let Some(path) = path else { return Observation::Missed(1) };
        let exe = exe.unwrap_or_else(|| path.clone());
        let program = Program { pid: process, exe, args: self.args, parents: self.parents };
        Observation::Program { at: self.at, program, path, ending, times: 1 }
    }
}

#[cfg(test)]
mod tests;
