//! How much of request bodies may still be sent under a rule. Pure but for the counting.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use policy::Rule;

/// The budgets of a run, one for each rule that has one.
#[derive(Debug, Default)]
pub struct Budgets(Mutex<HashMap<usize, Arc<Budget>>>);

/// What a rule's `max-upload` leaves.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicU64,
    most: u64,
    rule: String,
    exceeded: AtomicBool,
}

/// More octets than a rule lets through.
#[derive(Debug, thiserror::Error)]
#[error(
    "more than {most} octets of request bodies under {rule} in this run; raise max-upload of its [[rule]]"
)]
pub(super) struct TooMuch {
    most: u64,
    rule: String,
}

impl Budgets {
    /// The budget of a rule, if it has one.
    pub(super) fn of(&self, rule: &Rule) -> Option<Arc<Budget>> {
        let most = rule.max_upload()?;
        let new = || {
            let (left, exceeded) = (AtomicU64::new(most), AtomicBool::new(false));
            Arc::new(Budget { left, most, rule: rule.text().to_owned(), exceeded })
        };
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The rules of a run stay where they are.
        Some(budgets.entry(std::ptr::from_ref(rule) as usize).or_insert_with(new).clone())
    }
}

impl Budget {
    /// Whether so many octets are left.
    pub(super) fn has(&self, octets: u64) -> Result<(), TooMuch> {
        if octets > self.left.load(Ordering::Relaxed) { Err(self.too_much()) } else { Ok(()) }
    }

    /// What is wrong if something was not sent for want of budget.
    pub(super) fn exceeded(&self) -> Option<TooMuch> {
        self.exceeded.load(Ordering::Relaxed).then(|| self.too_much())
    }

    /// Takes octets that are about to be sent, all of them or none.
    pub(super) fn take(&self, octets: u64) -> Result<(), TooMuch> {
        let taken = |left: u64| left.checked_sub(octets);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken) {
            Ok(_) => Ok(()),
            Err(_) => {
                self.exceeded.store(true, Ordering::Relaxed);
                Err(self.too_much())
            }
        }
    }

    fn too_much(&self) -> TooMuch {
        TooMuch { most: self.most, rule: self.rule.clone() }
    }
}

#[cfg(test)]
mod tests {
    use policy::PolicyBuilder;

    use super::*;

    #[test]
    fn a_rule_has_one_budget() {
        let mut builder = PolicyBuilder::new();
        builder.add_file(
            "p",
            b"allow = ['https://b.test/p/']\n[[rule]]\nhost = 'a.test'\npaths = '/p/'\nmax-upload = 10",
        );
        let policy = builder.build().unwrap();
        let budgets = Budgets::default();
        let (without, with) = (&policy.rules()[0], &policy.rules()[1]);
        assert!(budgets.of(without).is_none());
        budgets.of(with).unwrap().take(7).unwrap();
        let again = budgets.of(with).unwrap();
        again.take(4).unwrap_err();
        again.has(4).unwrap_err();
        again.take(3).unwrap();
        let error = again.take(1).unwrap_err().to_string();
        assert!(
            error.starts_with("more than 10 octets of request bodies under https://a.test/p/"),
            "{error}"
        );
    }
}
