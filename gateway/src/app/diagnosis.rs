//! What the machine lacks when a set-up has failed: everything at once, with remedies. It costs a
//! run that succeeds nothing.

use netns::doctor::{self, Finding};

use super::{AppError, ProcessState};

/// A failed set-up and what the doctor found.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unfit {
    #[source]
    error: AppError,
    missing: Vec<String>,
    remedies: Vec<String>,
}

impl AppError {
    /// What a failed set-up lacks: every check of `cijail-net doctor` that fails.
    pub fn missing(&self) -> &[String] {
        match self {
            AppError::Unfit(unfit) => &unfit.missing,
            _ => &[],
        }
    }

    /// What a user can do about it, as far as that is known.
    pub fn remedies(&self) -> Vec<&str> {
        match self {
            AppError::Unfit(unfit) => unfit.remedies.iter().map(String::as_str).collect(),
            AppError::Setup(error) => error.remedy().into_iter().collect(),
            AppError::Inside { remedy, .. } => remedy.iter().copied().collect(),
            _ => Vec::new(),
        }
    }
}

/// Adds the diagnosis to a failure of the set-up. The process must have one thread again. Once it is
/// confined there is nothing left that the machine could lack.
pub(super) fn examine(error: AppError, state: &ProcessState) -> AppError {
    if state.confined {
        return error;
    }
    // A filter that kills ends init without a word.
    if !matches!(error, AppError::Setup(_) | AppError::Inside { .. } | AppError::InitKilled) {
        return error;
    }
    let (mut missing, mut remedies) = (Vec::new(), Vec::new());
    for check in doctor::examine(state.held) {
        if let Finding::Missing { problem, remedy } = check.finding {
            missing.push(format!("{}: {problem}", check.name));
            // One thing in the way often fails several checks.
            if !remedies.contains(&remedy) {
                remedies.push(remedy);
            }
        }
    }
    // Where every check succeeds, what the error itself tells is all that is known.
    if missing.is_empty() { error } else { AppError::Unfit(Box::new(Unfit { error, missing, remedies })) }
}
