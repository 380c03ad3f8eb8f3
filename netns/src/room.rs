//! Whether a descriptor takes anything (poll(2)).

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Whether a write would not block now or within that time. One that would fail does not block.
pub fn writable_within(descriptor: impl AsFd, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(descriptor.as_fd(), PollFlags::POLLOUT)], limit) {
            Err(nix::Error::EINTR) => {}
            Ok(0) => return false,
            // What cannot be polled is written to as before.
            Ok(_) | Err(_) => return true,
        }
    }
}
