//! How a run went, for the reports at its end.

use std::time::SystemTime;

use crate::exit;
use crate::report::End;

/// What the log's writer is told last.
#[derive(Debug, Clone, Copy)]
pub struct RunOutcome {
    /// The command's exit status; `None` if cijail-net failed.
    pub command: Option<u8>,
    /// Whether a success of the command is none, as something was blocked.
    pub objected: bool,
}

impl RunOutcome {
    /// The end of the run, which is now, perhaps with a destination that is new.
    pub(super) fn end(self, new: bool) -> End {
        let status = self.command.map(|command| exit::after(command, self.objected || new));
        End { at: SystemTime::now(), command: self.command, status: status.unwrap_or(exit::FAILED) }
    }
}
