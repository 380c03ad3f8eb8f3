//! Names that no rule of the policy allows but other rules do, for the whole run. No I/O.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use policy::Name;

use crate::wildcards::TooManyNames;

/// The names so far.
#[derive(Debug, Default)]
pub(crate) struct Grants(Mutex<HashSet<Name>>);

impl Grants {
    /// Adds a name, unless `most` others are there: labels of the job's choice are bytes that it sends.
    pub(crate) fn grant(&self, name: &Name, most: usize) -> Result<(), TooManyNames> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(name) {
            return Ok(());
        }
        if names.len() >= most {
            return Err(TooManyNames {
                suggestion: name.to_string(),
                detail: format!("more than {most} names that Rego alone allows; raise wildcard-names"),
            });
        }
        names.insert(name.clone());
        Ok(())
    }

    pub(crate) fn has(&self, name: &Name) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit() {
        let grants = Grants::default();
        let grant = |text: &str| grants.grant(&Name::parse(text).expect("a name"), 2).is_ok();
        assert_eq!(
            [grant("a.test"), grant("b.test"), grant("c.test"), grant("a.test")],
            [true, true, false, true]
        );
    }
}
