//! Everything that is wrong with the sources of a policy, each mistake with its place.

use std::fmt;
use std::sync::Arc;

use crate::Position;

/// Characters of the offending words that an error shows.
const SHOWN: usize = 120;

/// One mistake in one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    pub(crate) source: Arc<str>,
    pub(crate) position: Option<Position>,
    pub(crate) message: String,
    pub(crate) words: Option<String>,
}

/// Every mistake of every source, in the order of the sources and their lines. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyErrors(Vec<PolicyError>);

impl PolicyErrors {
    /// `None` if nothing is wrong.
    pub(crate) fn new(mut errors: Vec<PolicyError>) -> Option<PolicyErrors> {
        // A set that is used twice is read twice; sources stay in their order.
        let mut seen = std::collections::HashSet::new();
        errors
            .retain(|error| seen.insert((Arc::clone(&error.source), error.position, error.message.clone())));
        (!errors.is_empty()).then_some(PolicyErrors(errors))
    }

    /// The mistakes, one at a time.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyError> {
        self.0.iter()
    }
}

impl PolicyError {
    /// The file, option or variable.
    pub fn source_name(&self) -> &str {
        &self.source
    }

    /// The place in it, if it has lines.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// What is wrong and what to do.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// `policy.toml:7:12: port 70000 is not between 1 and 65535: "example.com:70000"`
impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", escape(&self.message))?;
        let Some(words) = &self.words else { return Ok(()) };
        let shown: String = words.chars().take(SHOWN).collect();
        let dots = if shown.len() < words.len() { "…" } else { "" };
        write!(f, ": \"{}{dots}\"", escape(&shown))
    }
}

/// One mistake a line.
impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            let newline = if number == 0 { "" } else { "\n" };
            write!(f, "{newline}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

impl std::error::Error for PolicyErrors {}

/// The text without control characters and invisible format characters, which a terminal would act on.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        let hides = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if character.is_control() || hides {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}
