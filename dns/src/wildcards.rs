//! Names under wildcard rules that have left the machine, counted rule by rule for the whole run:
//! labels of the job's choice are bytes that it sends. No I/O.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use policy::{Name, Policy};

/// Names that are remembered over all rules; more are denied, whatever the rules say.
const ROOM: usize = 65_536;

/// The names seen so far.
#[derive(Debug, Default)]
pub struct Wildcards {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    /// By the number of the rule that they are counted under.
    seen: HashMap<usize, HashSet<Name>>,
    names: usize,
}

/// A name that may not leave the machine, as too many others of its wildcard have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooManyNames {
    /// The rule that lists the name.
    pub suggestion: String,
    /// What is too many, and which keys raise the limit.
    pub detail: String,
}

impl Wildcards {
    /// Notes that a name is about to leave the machine. One that has been noted may do so again.
    ///
    /// # Errors
    /// The wildcard that the name is counted under has had its names.
    pub fn admit(&self, policy: &Policy, name: &Name) -> Result<(), TooManyNames> {
        let Some(wildcard) = policy.wildcard_of(name) else { return Ok(()) };
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = tables.names >= ROOM;
        let seen = tables.seen.entry(wildcard.number).or_default();
        if seen.contains(name) {
            return Ok(());
        }
        if seen.len() >= wildcard.most || is_full {
            let detail =
                if is_full { format!("more than {ROOM} names under wildcards") } else { wildcard.exceeded() };
            return Err(TooManyNames { suggestion: wildcard.suggestion(name), detail });
        }
        seen.insert(name.clone());
        tables.names += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use policy::PolicyBuilder;
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn policy(file: &str) -> Policy {
        let mut builder = PolicyBuilder::new();
        builder.add_file("policy.toml", file.as_bytes());
        builder.build().expect("a policy")
    }

    #[test]
    fn the_first_names_may_leave_and_go_on_leaving() {
        let policy = policy("allow = [\"*.a.test\", \"www.a.test\"]\n[limits]\nwildcard-names = 2\n");
        let wildcards = Wildcards::default();
        for text in ["1.a.test", "2.a.test", "WWW.a.test", "1.A.test", "2.a.test", "other.test"] {
            assert_eq!(wildcards.admit(&policy, &name(text)), Ok(()), "{text}");
        }
        let error = wildcards.admit(&policy, &name("3.a.test")).expect_err("the third");
        assert_eq!(error.suggestion, "3.a.test");
        assert!(error.detail.starts_with("more than 2 names under *.a.test; "), "{}", error.detail);
        assert_eq!(wildcards.admit(&policy, &name("1.a.test")), Ok(()));
    }

    #[test]
    fn memory_is_bounded_whatever_the_rules_say() {
        let policy = policy("allow = [\"*.a.test\", \"*.b.test\"]\n[limits]\nwildcard-names = 65536\n");
        let wildcards = Wildcards::default();
        let admitted = (0..ROOM + 10)
            .filter(|number| {
                let zone = if number % 2 == 0 { "a" } else { "b" };
                wildcards.admit(&policy, &name(&format!("n{number}.{zone}.test"))).is_ok()
            })
            .count();
        assert_eq!(admitted, ROOM);
    }

    proptest! {
        #[test]
        fn no_more_than_the_limit_ever_leaves(
            limits in (1usize..5, 1usize..5),
            asked in proptest::collection::vec((0usize..3, 0u8..12), 0..100),
        ) {
            let policy = policy(&format!(
                "allow = [\"**.a.test\"]\n[limits]\nwildcard-names = {}\n\
                 [[rule]]\nhost = \"*.b.test\"\nmax-names = {}\n",
                limits.0, limits.1
            ));
            let wildcards = Wildcards::default();
            let mut out: [HashSet<u8>; 3] = Default::default();
            for (zone, label) in asked {
                let parent = ["a.test", "b.test", "exact.test"][zone];
                let most = [limits.0, limits.1, usize::MAX][zone];
                let admitted = wildcards.admit(&policy, &name(&format!("n{label}.{parent}"))).is_ok();
                let was_out = out[zone].contains(&label);
                prop_assert_eq!(admitted, was_out || out[zone].len() < most);
                if admitted {
                    out[zone].insert(label);
                }
            }
        }
    }
}
