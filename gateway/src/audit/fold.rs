//! Repeats of a line are counted instead of printed. Pure.

use std::collections::HashMap;

/// Different lines that are remembered; at the bound the counts are told and the table starts anew.
const REMEMBERED: usize = 4096;

/// Which lines have been seen, and how often since.
#[derive(Debug, Default)]
pub(super) struct Fold {
    seen: HashMap<String, u64>,
}

impl Fold {
    /// Whether a line that stands for so many times is new and is to be printed; a repeat is counted.
    pub(super) fn is_new(&mut self, line: &str, times: u64) -> bool {
        match self.seen.get_mut(line) {
            Some(count) => {
                *count += times;
                false
            }
            None => {
                self.seen.insert(line.to_owned(), 0);
                true
            }
        }
    }

    /// Whether the table is at its bound, so that [`Fold::repeats`] is due.
    pub(super) fn is_full(&self) -> bool {
        self.seen.len() >= REMEMBERED
    }

    /// Empties the table: each line that was repeated, with the number of its repeats, in order.
    pub(super) fn repeats(&mut self) -> Vec<(String, u64)> {
        let mut repeats: Vec<_> = self.seen.drain().filter(|(_, count)| *count > 0).collect();
        repeats.sort();
        repeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_repeats() {
        let mut fold = Fold::default();
        assert!(fold.is_new("a", 1));
        assert!(fold.is_new("b", 1));
        assert!(!fold.is_new("a", 1));
        assert!(!fold.is_new("a", 1));
        assert!(!fold.is_new("b", 5));
        assert!(fold.is_new("c", 5));
        assert_eq!(fold.repeats(), [("a".to_owned(), 2), ("b".to_owned(), 5)]);
        assert!(fold.is_new("a", 1));
    }

    #[test]
    fn is_bounded() {
        let mut fold = Fold::default();
        for number in 0..REMEMBERED {
            assert!(!fold.is_full());
            fold.is_new(&number.to_string(), 1);
        }
        assert!(fold.is_full());
    }
}
