//! What is to be told of the job's programs and files.

use crate::Glob;

/// What to tell beside network traffic: `[watch]`, `--watch-exec` and `--watch-path`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watch {
    /// Which programs run.
    pub exec: bool,
    /// Who opens, writes, moves or removes which files.
    pub paths: Vec<Glob>,
}

impl Watch {
    /// Whether there is nothing to tell.
    pub fn is_off(&self) -> bool {
        !self.exec && self.paths.is_empty()
    }
}
