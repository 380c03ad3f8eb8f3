//! Repeats are counted instead of told: a build opens the same files a hundred thousand times. Pure.

use std::collections::HashMap;

use super::Observation;

/// Different observations that are remembered; at the bound the counts are told and the table starts anew.
const REMEMBERED: usize = 4096;

/// What has been told, and how often it happened since.
#[derive(Debug, Default)]
pub(super) struct Fold {
    seen: HashMap<(String, String, u8), Observation>,
}

impl Fold {
    /// What is to be told now: the observation if it is new, and nothing of a repeat; before it everything that
    /// was counted, if there is no more room.
    pub(super) fn add(&mut self, observation: Observation) -> Vec<Observation> {
        let Some(key) = observation.key() else { return vec![observation] };
        if let Some(seen) = self.seen.get_mut(&key) {
            seen.count();
            return Vec::new();
        }
        let mut told = if self.seen.len() >= REMEMBERED { self.rest() } else { Vec::new() };
        self.seen.insert(key, observation.clone().uncounted());
        told.push(observation);
        told
    }

    /// The repeats that were not told yet.
    pub(super) fn rest(&mut self) -> Vec<Observation> {
        self.seen.drain().map(|(_, seen)| seen).filter(|seen| seen.times() > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::job::{Access, Program};

    fn file(path: &str, access: Access) -> Observation {
        let program = Program { exe: "/bin/cat".to_owned(), ..Program::default() };
        Observation::File { at: SystemTime::UNIX_EPOCH, program, path: path.to_owned(), access, times: 1 }
    }

    #[test]
    fn counts_repeats() {
        let mut fold = Fold::default();
        assert_eq!(fold.add(file("/a", Access::Read)), [file("/a", Access::Read)]);
        assert_eq!(fold.add(file("/a", Access::Write)).len(), 1);
        assert_eq!(fold.add(file("/a", Access::Read)), []);
        assert_eq!(fold.add(file("/a", Access::Read)), []);
        let rest = fold.rest();
        assert_eq!((rest.len(), rest[0].times()), (1, 2));
        assert_eq!(fold.rest(), []);
    }

    #[test]
    fn is_bounded_and_loses_nothing() {
        let mut fold = Fold::default();
        let mut told = 0;
        for round in 0..3 {
            for number in 0..REMEMBERED + round {
                told += fold
                    .add(file(&number.to_string(), Access::Read))
                    .iter()
                    .map(Observation::times)
                    .sum::<u64>();
                assert!(fold.seen.len() <= REMEMBERED);
            }
        }
        told += fold.rest().iter().map(Observation::times).sum::<u64>();
        assert_eq!(told, (3 * REMEMBERED + 3) as u64);
    }
}
