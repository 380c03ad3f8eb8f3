//! Opinions that depend on nothing but the question. Pure, and bounded.

use std::collections::HashMap;

use policy::Opinion;

use super::Question;

/// Opinions of each of the two ages.
const ROOM: usize = 4096;

/// Keeps what was asked for lately: when the young ones have no room, the old ones are dropped.
#[derive(Debug, Default)]
pub(super) struct Cache {
    young: HashMap<Question, Opinion>,
    old: HashMap<Question, Opinion>,
}

impl Cache {
    pub(super) fn get(&mut self, question: &Question) -> Option<Opinion> {
        if let Some(opinion) = self.young.get(question) {
            return Some(opinion.clone());
        }
        let (question, opinion) = self.old.remove_entry(question)?;
        self.put(question, opinion.clone());
        Some(opinion)
    }

    pub(super) fn put(&mut self, question: Question, opinion: Opinion) {
        if self.young.len() >= ROOM {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(question, opinion);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rego::Protocol;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let mut cache = Cache::default();
        let question =
            |number: usize| Question { port: u16::try_from(number).ok(), ..Question::new(Protocol::Tcp) };
        for number in 0..3 * ROOM {
            cache.put(question(number), Opinion::default());
            assert!(cache.get(&question(0)).is_some());
        }
        assert!(cache.get(&question(1)).is_none());
        assert!(cache.young.len() + cache.old.len() <= 2 * ROOM);
    }
}
