//! Host patterns of rules: an exact name, or a wildcard for labels at the front.

use std::fmt;

use crate::{Name, NameError};

/// Which names a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// That name alone.
    Exact(Name),
    /// `*.name`: one label in front of the name, never the name itself.
    OneLabel(Name),
    /// `**.name`: one or more labels in front of the name, never the name itself.
    AnyDepth(Name),
}

/// Why a text is no host pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// `*` or `**` alone.
    #[error("`*` alone would allow every name: to see what a job asks for, use monitor mode")]
    EveryName,
    /// A `*` that is not a whole label at the front.
    #[error(
        "`*` stands only for whole labels at the front: write *.example.com (one label) or **.example.com (one or more)"
    )]
    Wildcard,
    /// The rest is not a name.
    #[error("{0}")]
    Name(NameError),
}

impl Pattern {
    /// Reads a pattern as a person writes it; IDNA applies to the name.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        if matches!(text, "*" | "**" | "*." | "**.") {
            return Err(PatternError::EveryName);
        }
        let (build, name): (fn(Name) -> Pattern, &str) = if let Some(name) = text.strip_prefix("**.") {
            (Pattern::AnyDepth, name)
        } else if let Some(name) = text.strip_prefix("*.") {
            (Pattern::OneLabel, name)
        } else {
            (Pattern::Exact, text)
        };
        if name.contains('*') {
            return Err(PatternError::Wildcard);
        }
        Name::parse(name).map(build).map_err(PatternError::Name)
    }

    /// The name without its wildcard.
    pub fn base(&self) -> &Name {
        match self {
            Pattern::Exact(name) | Pattern::OneLabel(name) | Pattern::AnyDepth(name) => name,
        }
    }

    /// Whether the pattern stands for more than one name.
    pub fn is_wildcard(&self) -> bool {
        !matches!(self, Pattern::Exact(_))
    }

    /// Whether the pattern speaks of this name.
    pub fn matches(&self, name: &Name) -> bool {
        match self {
            Pattern::Exact(exact) => exact == name,
            Pattern::OneLabel(base) => name.parent() == Some(base.as_str()),
            Pattern::AnyDepth(base) => is_below(name, base),
        }
    }

    /// Whether the pattern speaks of every name of the other.
    pub(crate) fn covers(&self, other: &Pattern) -> bool {
        match (self, other) {
            (_, Pattern::Exact(name)) => self.matches(name),
            (Pattern::Exact(_), _) | (Pattern::OneLabel(_), Pattern::AnyDepth(_)) => false,
            (Pattern::OneLabel(base), Pattern::OneLabel(name)) => base == name,
            (Pattern::AnyDepth(base), Pattern::OneLabel(name) | Pattern::AnyDepth(name)) => {
                base == name || is_below(name, base)
            }
        }
    }
}

fn is_below(name: &Name, base: &Name) -> bool {
    name.as_str().strip_suffix(base.as_str()).is_some_and(|front| front.ends_with('.'))
}

/// As a rule writes it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wildcard = match self {
            Pattern::Exact(_) => "",
            Pattern::OneLabel(_) => "*.",
            Pattern::AnyDepth(_) => "**.",
        };
        write!(f, "{wildcard}{}", self.base())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&Name::parse(name).unwrap())
    }

    #[test]
    fn wildcards_stop_at_labels() {
        assert!(matches("*.example.com", "a.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*.example.com", "a.b.example.com"));
        assert!(matches("**.example.com", "a.example.com"));
        assert!(matches("**.example.com", "a.b.example.com"));
        assert!(!matches("**.example.com", "example.com"));
    }

    #[test]
    fn look_alikes_do_not_match() {
        for pattern in ["github.test", "*.github.test", "**.github.test"] {
            assert!(!matches(pattern, "evilgithub.test"), "{pattern}");
            assert!(!matches(pattern, "github.test.evil.test"), "{pattern}");
            assert!(!matches(pattern, "a.evilgithub.test"), "{pattern}");
        }
    }

    #[test]
    fn refuses_other_uses_of_the_star() {
        for text in ["a*.example", "*a.example", "a.*.example", "***.example", "**a.b", "a.*", "*.*.b"] {
            assert_eq!(Pattern::parse(text), Err(PatternError::Wildcard), "{text}");
        }
        for text in ["*", "**", "*."] {
            assert_eq!(Pattern::parse(text), Err(PatternError::EveryName), "{text}");
        }
        assert_eq!(Pattern::parse("*..b"), Err(PatternError::Name(NameError::EmptyLabel)));
        assert!(Pattern::parse("*.com").is_ok());
    }

    #[test]
    fn idna_applies_below_a_wildcard() {
        let pattern = Pattern::parse("**.Bücher.example").unwrap();
        assert_eq!(pattern.to_string(), "**.xn--bcher-kva.example");
    }

    #[test]
    fn covering() {
        let covers = |a: &str, b: &str| Pattern::parse(a).unwrap().covers(&Pattern::parse(b).unwrap());
        assert!(
            covers("**.b", "*.b")
                && covers("**.b", "**.b")
                && covers("**.b", "**.a.b")
                && covers("**.b", "a.b")
        );
        assert!(covers("*.b", "a.b") && covers("*.b", "*.b"));
        assert!(
            !covers("*.b", "**.b")
                && !covers("**.a.b", "**.b")
                && !covers("a.b", "*.b")
                && !covers("**.b", "b")
        );
    }
}
