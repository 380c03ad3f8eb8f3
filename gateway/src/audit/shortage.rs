//! What the machine has no more of, by what it says. Pure.

use std::error::Error;
use std::io;

/// ENFILE, EMFILE and ENOSPC, which are the same on every architecture of Linux.
const NO_FILES_AT_ALL: i32 = 23;
const NO_FILES: i32 = 24;
const NO_SPACE: i32 = 28;

/// What a connection lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    /// The process or the machine has no descriptor left.
    Descriptors,
    /// The user has no room left for descriptors in event loops (epoll(7)).
    Watches,
}

impl Shortage {
    /// How many kinds there are.
    pub(super) const KINDS: usize = 2;

    /// The one that an error, or what led to it, speaks of.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Shortage> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            match error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
                Some(NO_FILES_AT_ALL | NO_FILES) => return Some(Shortage::Descriptors),
                Some(NO_SPACE) => return Some(Shortage::Watches),
                _ => cause = error.source(),
            }
        }
        None
    }

    /// What it means, and the remedy.
    pub(super) fn text(self) -> &'static str {
        match self {
            Shortage::Descriptors => {
                "out of file descriptors: connections wait or fail until others end; raise the hard limit (ulimit -Hn)"
            }
            Shortage::Watches => {
                "out of epoll watches: connections are reset until a program of this user closes some; raise the sysctl \
                 fs.epoll.max_user_watches"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::LogError;

    #[test]
    fn shortages_are_told_apart() {
        let of = |number| Shortage::of(&io::Error::from_raw_os_error(number));
        assert_eq!(of(libc::EMFILE), Some(Shortage::Descriptors));
        assert_eq!(of(libc::ENFILE), Some(Shortage::Descriptors));
        assert_eq!(of(libc::ENOSPC), Some(Shortage::Watches));
        assert_eq!(of(libc::ECONNREFUSED), None);
        let source = io::Error::from_raw_os_error(libc::EMFILE);
        let caused = LogError::File { path: "log".into(), source };
        assert_eq!(Shortage::of(&caused), Some(Shortage::Descriptors));
    }
}
