//! The sensor's way to the gateway.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::socket::{MsgFlags, send, setsockopt, sockopt::SendTimeout};
use nix::sys::time::{TimeVal, TimeValLike};

use super::{Observation, wire};

/// How long a gateway that does not read may keep the job waiting, once.
const PATIENCE: i64 = 1000;

/// Sends observations, and counts what could not be sent.
#[derive(Debug)]
pub(super) struct Outlet {
    channel: OwnedFd,
    missed: AtomicU64,
    /// The gateway did not read the last time.
    stalled: AtomicBool,
}

impl Outlet {
    pub(super) fn new(channel: OwnedFd) -> Outlet {
        // Without it, a gateway that stands still would stop the job for as long.
        let _ = setsockopt(&channel, SendTimeout, &TimeVal::milliseconds(PATIENCE));
        Outlet { channel, missed: AtomicU64::new(0), stalled: AtomicBool::new(false) }
    }

    /// Tells the gateway, which reads faster than the job can act: its pace is the job's.
    pub(super) fn tell(&self, observation: &Observation) {
        let waits = !self.stalled.load(Ordering::Relaxed);
        let flags = if waits { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT };
        let message = wire::encode(observation);
        let sent = send(self.channel.as_raw_fd(), &message, flags | MsgFlags::MSG_NOSIGNAL).is_ok();
        self.stalled.store(!sent, Ordering::Relaxed);
        if !sent {
            self.miss(observation.times());
        }
    }

    /// Counts calls that nobody is told of.
    pub(super) fn miss(&self, calls: u64) {
        self.missed.fetch_add(calls, Ordering::Relaxed);
    }

    /// Tells how many calls nobody was told of, if there were any.
    pub(super) fn tell_missed(&self) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            self.tell(&Observation::Missed(missed));
        }
    }
}
