//! Lines and columns of byte offsets.

use std::ops::Range;

use crate::Position;

/// Answers where an offset lies. It remembers the last answer, so that many questions about one
/// long line cost no more than the distance between them.
pub(crate) struct Places<'t> {
    text: &'t str,
    /// Offsets at which lines start, in order.
    lines: Vec<usize>,
    last: (usize, Position),
}

impl<'t> Places<'t> {
    pub(crate) fn new(text: &'t str) -> Places<'t> {
        let starts = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Places { text, lines, last: (0, Position { line: 1, column: 1 }) }
    }

    /// The place of an offset.
    pub(crate) fn of(&mut self, offset: usize) -> Position {
        let line = self.lines.partition_point(|&start| start <= offset);
        let start = self.lines[line.saturating_sub(1)];
        let (known, position) = self.last;
        let column = if position.line != line {
            self.count(start..offset) + 1
        } else if known <= offset {
            position.column + self.count(known..offset)
        } else {
            position.column.saturating_sub(self.count(offset..known))
        };
        let position = Position { line, column };
        self.last = (offset, position);
        position
    }

    /// The place of a byte of a string's content; of the string itself where escapes make the two
    /// differ.
    pub(crate) fn inside(&mut self, span: Range<usize>, content: &str, offset: usize) -> Position {
        match self.quotes(&span, content) {
            Some(quotes) => self.of(span.start + quotes + offset),
            None => self.of(span.start),
        }
    }

    /// The place of a string's content; `None` where escapes make it differ from the text.
    pub(crate) fn verbatim(&mut self, span: Range<usize>, content: &str) -> Option<Position> {
        let quotes = self.quotes(&span, content)?;
        Some(self.of(span.start + quotes))
    }

    /// Octets of the quotes before a string's content, if it stands there as it is.
    fn quotes(&self, span: &Range<usize>, content: &str) -> Option<usize> {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        raw.find(content).filter(|quotes| raw.len() == content.len() + 2 * quotes)
    }

    fn count(&self, range: Range<usize>) -> usize {
        self.text.get(range).map_or(0, |text| text.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_in_any_order() {
        let mut places = Places::new("aé\nüb\n");
        let mut at = |offset| {
            let Position { line, column } = places.of(offset);
            (line, column)
        };
        for _ in 0..2 {
            assert_eq!(
                [at(0), at(1), at(3), at(4), at(6), at(8)],
                [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]
            );
            assert_eq!([at(6), at(4), at(1)], [(2, 2), (2, 1), (1, 2)]);
        }
    }
}
