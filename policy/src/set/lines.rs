//! Sets as plain text: a rule, an address or a range on each line, comments after `#`.

use std::sync::Arc;

use super::Member;
use crate::Position;

/// The members of a text, empty lines and comments left out.
pub(super) fn members(source: &Arc<str>, text: &str) -> Vec<Member> {
    let member = |(number, line): (usize, &str)| {
        let rule = without_comment(line);
        let text = rule.trim();
        let before = &rule[..rule.len() - rule.trim_start().len()];
        let at = Position { line: number + 1, column: before.chars().count() + 1 };
        (!text.is_empty()).then(|| Member::at(source, at, Some(at), text.into()))
    };
    text.lines().enumerate().filter_map(member).collect()
}

/// The line up to a `#` at its beginning or after white space; one within a word is part of it.
fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices('#').find(begins).map_or(line, |(at, _)| &line[..at])
}
