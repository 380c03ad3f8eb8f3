//! Programs that were asked for, until it shows whether they run: the kernel tells when a process asks for
//! a program, not what came of it. Pure: it is told what the process is when it is next seen.

use std::collections::HashMap;
use std::time::SystemTime;

use super::super::witness::lines::Image;
use super::{Ending, Observation, Program};

/// A process that asked for a program.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) at: SystemTime,
    /// What it asked for, with every link followed if that is there; absent if that could not be read.
    pub(super) path: Option<String>,
    /// Whether it is there, as far as can be told.
    pub(super) is_there: bool,
    pub(super) args: Vec<String>,
    pub(super) parents: Vec<String>,
    /// What the process was then.
    pub(super) before: Image,
}

/// What a process is found to be afterwards.
#[derive(Debug)]
pub(super) struct Now {
    /// Its image; absent if it may not be looked at.
    pub(super) image: Option<Image>,
    /// Its executable; absent if it has none any more, or may not be looked at.
    pub(super) exe: Option<String>,
}

/// By process. There are no more than processes.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<u32, Attempt>);

impl Attempts {
    pub(super) fn add(&mut self, process: u32, attempt: Attempt) {
        self.0.insert(process, attempt);
    }

    pub(super) fn withdraw(&mut self, process: u32) {
        self.0.remove(&process);
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

    /// What came of an attempt, the process being in its next call, where it is not executing any more.
    pub(super) fn decide(&mut self, process: u32, now: Now) -> Option<Observation> {
        let attempt = self.0.remove(&process)?;
        Some(attempt.ended(process, now))
    }

    /// The same for a process that may be anywhere. One that has not changed may be executing still, and so
    /// may one without an executable: its first thread ends before the one that asked takes its place
    /// (`de_thread` in fs/exec.c of the kernel).
    pub(super) fn look(&mut self, process: u32, now: Now) -> Option<Observation> {
        let before = self.0.get(&process)?.before;
        let may_be_executing =
            |image: Image| image == before || (image.started == before.started && now.exe.is_none());
        if now.image.is_some_and(may_be_executing) {
            return None;
        }
        self.decide(process, now)
    }
}

impl Attempt {
    fn ended(self, process: u32, now: Now) -> Observation {
        let is_other = |image: Image| image.started != self.before.started;
        let (exe, ending) = match (now.image, now.exe) {
            // Its number may be another's by now.
            (Some(image), Some(exe)) if !is_other(image) => {
                let ran = image != self.before;
                (Some(exe), if ran { Ending::Ran } else { self.failed() })
            }
            _ if !self.is_there => (None, Ending::NotFound),
            _ => (None, Ending::Unseen),
        };
        let path = self.path.or_else(|| exe.clone().filter(|_| ending == Ending::Ran));
        let Some(path) = path else { return Observation::Missed(1) };
        // Nobody has seen what runs: at least it is a file, which is what was asked for.
        let exe = exe.unwrap_or_else(|| path.clone());
        let program = Program { pid: process, exe, args: self.args, parents: self.parents };
        Observation::Program { at: self.at, program, path, ending, times: 1 }
    }

    fn failed(&self) -> Ending {
        if self.is_there { Ending::Refused } else { Ending::NotFound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Image = Image { started: 100, stack: 7 };

    fn attempts(is_there: bool) -> Attempts {
        let mut attempts = Attempts::default();
        let attempt = Attempt {
            at: SystemTime::UNIX_EPOCH,
            path: Some("/bin/script".to_owned()),
            is_there,
            args: Vec::new(),
            parents: Vec::new(),
            before: BEFORE,
        };
        attempts.add(5, attempt);
        attempts
    }

    fn ending(observation: Option<Observation>) -> Option<(Ending, String)> {
        match observation? {
            Observation::Program { ending, program, .. } => Some((ending, program.exe)),
            other => panic!("{other:?}"),
        }
    }

    fn now(image: Option<Image>, exe: &str) -> Now {
        Now { image, exe: Some(exe.to_owned()) }
    }

    #[test]
    fn a_new_image_has_run() {
        let after = Some(Image { stack: 8, ..BEFORE });
        let told = ending(attempts(true).decide(5, now(after, "/bin/sh")));
        assert_eq!(told, Some((Ending::Ran, "/bin/sh".to_owned())));
        // Also if it looked as if nothing was there.
        let told = ending(attempts(false).look(5, now(after, "/bin/sh")));
        assert_eq!(told, Some((Ending::Ran, "/bin/sh".to_owned())));
    }

    #[test]
    fn the_same_image_has_not() {
        let told = ending(attempts(true).decide(5, now(Some(BEFORE), "/bin/make")));
        assert_eq!(told, Some((Ending::Refused, "/bin/make".to_owned())));
        let told = ending(attempts(false).decide(5, now(Some(BEFORE), "/bin/make")));
        assert_eq!(told, Some((Ending::NotFound, "/bin/make".to_owned())));
    }

    #[test]
    fn a_hidden_path_shows_by_what_runs() {
        let hidden = || {
            let mut attempts = attempts(true);
            attempts.0.get_mut(&5).unwrap().path = None;
            attempts
        };
        let after = Some(Image { stack: 8, ..BEFORE });
        let told = hidden().decide(5, now(after, "/bin/sh"));
        assert!(matches!(told, Some(Observation::Program { path, .. }) if path == "/bin/sh"));
        for image in [Some(BEFORE), None] {
            assert_eq!(hidden().decide(5, now(image, "/bin/make")), Some(Observation::Missed(1)));
        }
    }

    #[test]
    fn who_may_be_executing_is_left_alone() {
        let mut attempts = attempts(true);
        assert!(attempts.look(5, now(Some(BEFORE), "/bin/make")).is_none());
        assert!(attempts.has(5) && !attempts.has(6));
    }

    #[test]
    fn whose_first_thread_has_ended_is_left_alone() {
        let mut attempts = attempts(true);
        let ended = Image { stack: 0, ..BEFORE };
        assert!(attempts.look(5, Now { image: Some(ended), exe: None }).is_none());
        let after = Some(Image { stack: 8, ..BEFORE });
        let told = ending(attempts.look(5, now(after, "/bin/true")));
        assert_eq!(told, Some((Ending::Ran, "/bin/true".to_owned())));
    }

    #[test]
    fn who_is_gone_was_not_seen() {
        let other = Some(Image { started: 101, ..BEFORE });
        for image in [None, other] {
            let told = ending(attempts(true).look(5, now(image, "/bin/other")));
            assert_eq!(told, Some((Ending::Unseen, "/bin/script".to_owned())));
        }
        assert_eq!(ending(attempts(false).look(5, now(None, ""))).unwrap().0, Ending::NotFound);
    }
}
