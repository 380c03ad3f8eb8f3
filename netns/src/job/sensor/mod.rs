//! Which programs of the job run, and who uses which files: threads of init that look at the job's calls.
//!
//! The job's filter of system calls asks about those that matter (seccomp_unotify(2)), each waits until
//! it was looked at, and then goes on as if nothing had been: the sensor observes and decides nothing. It is
//! the same for root and for users, nothing that the job starts can get out of it, and a call that the
//! filter refuses stays refused, as refusals come before questions (seccomp(2)).

mod attempts;
mod calls;
mod crew;
mod fold;
mod listener;
mod memory;
mod observation;
mod outlet;
mod paths;
mod proof;
mod resolve;
mod serve;
mod wire;

use std::fmt::Debug;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use libc::c_long;
use nix::sys::socket::{MsgFlags, recv};

use super::Program;

pub use observation::{Access, Ending, Observation};
pub(super) use proof::prove;
pub(super) use serve::Sensor;

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Which programs run.
    pub programs: bool,
    /// Which files are used.
    pub files: Option<Arc<dyn WatchedFiles>>,
}

/// The files that are watched, by path: absolute, as the job sees it, without `.` and `..`.
pub trait WatchedFiles: Debug + Send + Sync {
    /// Whether this file is one.
    fn has(&self, path: &[u8]) -> bool;
    /// Whether some that is may be beneath this directory.
    fn may_be_beneath(&self, directory: &[u8]) -> bool;
}

/// The gateway's way to hear what the sensor sees.
#[derive(Debug)]
pub struct Observer(OwnedFd);

impl Watch {
    /// The system calls to look at.
    pub(super) fn calls(&self) -> Vec<c_long> {
        let programs = if self.programs { calls::PROGRAMS } else { &[] };
        let (files, old) =
            if self.files.is_some() { (calls::FILES, calls::OLD_FILES) } else { (&[][..], &[][..]) };
        [programs, files, old].concat()
    }
}

impl Observer {
    pub(super) fn new(channel: OwnedFd) -> Observer {
        Observer(channel)
    }

    /// Reads what was seen next; `None` once the job is gone.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing yet.
    pub fn hear(&self, buffer: &mut Vec<u8>) -> io::Result<Option<Observation>> {
        buffer.resize(super::witness::MAX_MESSAGE, 0);
        match recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)? {
            0 => Ok(None),
            length => {
                wire::decode(&buffer[..length]).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
            }
        }
    }
}

impl AsRawFd for Observer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
