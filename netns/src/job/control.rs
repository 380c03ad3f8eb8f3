//! The messages between the gateway and the job's init, one a packet of a `SOCK_SEQPACKET` pair.
//!
//! Both ends are one binary, so the encoding is private and has no version.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recv, recvmsg, send, sendmsg};

use crate::error::Step;

/// Octets in the longest message.
pub(super) const MAX_MESSAGE: usize = 512;

/// What init tells the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The probe succeeded and the command was executed.
    Started,
    /// The set-up inside the job failed; nothing was run.
    Failed {
        /// The step.
        step: Step,
        /// The system's error number, or zero.
        errno: i32,
        /// What was being done.
        detail: String,
    },
    /// The command could not be executed.
    ExecFailed {
        /// The system's error number.
        errno: i32,
    },
    /// The command was stopped by this signal.
    Stopped {
        /// The signal's number.
        signal: i32,
    },
    /// The command exited.
    Exited {
        /// Its status, 0 to 255.
        status: i32,
    },
    /// The command was killed by a signal.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// Init says no more: it is gone, or nothing else of the job is left.
    Gone,
}

/// What the gateway tells init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Send this signal to the command's process group.
    Signal(i32),
    /// Put the command's process group into the terminal's foreground.
    Foreground,
}

impl Event {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (tag, first, second, text) = match self {
            Event::Started => (1, 0, 0, ""),
            Event::Failed { step, errno, detail } => (2, *errno, step_number(*step), detail.as_str()),
            Event::ExecFailed { errno } => (3, *errno, 0, ""),
            Event::Stopped { signal } => (4, *signal, 0, ""),
            Event::Exited { status } => (5, *status, 0, ""),
            Event::Signaled { signal } => (6, *signal, 0, ""),
            Event::Gone => (7, 0, 0, ""),
        };
        let mut bytes = vec![tag];
        bytes.extend(first.to_ne_bytes());
        bytes.push(second);
        bytes.extend(text.as_bytes());
        bytes.truncate(MAX_MESSAGE);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Event> {
        let (head, text) = bytes.split_at_checked(6)?;
        let first = i32::from_ne_bytes(head[1..5].try_into().ok()?);
        Some(match head[0] {
            1 => Event::Started,
            2 => Event::Failed {
                step: step_from(head[5]),
                errno: first,
                detail: String::from_utf8_lossy(text).into_owned(),
            },
            3 => Event::ExecFailed { errno: first },
            4 => Event::Stopped { signal: first },
            5 => Event::Exited { status: first },
            6 => Event::Signaled { signal: first },
            _ => Event::Gone,
        })
    }
}

/// Stands for [`Order::Foreground`] on the wire: no signal has this number.
const FOREGROUND: i32 = 0;

impl Order {
    pub(super) fn encode(self) -> [u8; 4] {
        match self {
            Order::Signal(signal) => signal.to_ne_bytes(),
            Order::Foreground => FOREGROUND.to_ne_bytes(),
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Order> {
        Some(match i32::from_ne_bytes(bytes.try_into().ok()?) {
            FOREGROUND => Order::Foreground,
            signal => Order::Signal(signal),
        })
    }
}

/// Sends a descriptor: the job's network namespace or the listener of its filter.
pub(super) fn send_descriptor(channel: impl AsFd, descriptor: BorrowedFd<'_>) -> nix::Result<()> {
    let descriptors = [descriptor.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let content = [IoSlice::new(&[0])];
    sendmsg::<()>(channel.as_fd().as_raw_fd(), &content, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Waits for the job's network namespace; the end of the sender is an error.
pub(super) fn receive_namespace(channel: &OwnedFd) -> io::Result<OwnedFd> {
    receive_descriptor(channel)?.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

/// Waits for a descriptor, or for the message that came in its place, which is empty if the sender ended.
pub(super) fn receive_descriptor(channel: &OwnedFd) -> io::Result<Result<OwnedFd, Vec<u8>>> {
    wait_for(channel)?;
    let mut content = [0; MAX_MESSAGE];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut content)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(channel.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let received = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
        _ => None,
    });
    let length = message.bytes;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let descriptor = received.map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) });
    Ok(descriptor.ok_or_else(|| content[..length].to_vec()))
}

/// Tells the gateway that the command is prepared.
pub(super) fn send_prepared(channel: &OwnedFd) -> nix::Result<()> {
    send(channel.as_raw_fd(), &[0], MsgFlags::MSG_NOSIGNAL).map(drop)
}

/// Waits until the command is prepared; `false` if there is none any more.
pub(super) fn receive_prepared(channel: &OwnedFd) -> io::Result<bool> {
    wait_for(channel)?;
    match recv(channel.as_raw_fd(), &mut [0], MsgFlags::empty()) {
        Ok(length) => Ok(length > 0),
        Err(nix::Error::ECONNRESET) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Tells the command that its network is complete and served.
pub(super) fn send_go(channel: &OwnedFd, both_families: bool) -> nix::Result<()> {
    send(channel.as_raw_fd(), &[u8::from(both_families)], MsgFlags::MSG_NOSIGNAL).map(drop)
}

/// Waits for the word; whether IPv6 works. The end of the sender is an error.
pub(super) fn receive_go(channel: &OwnedFd) -> io::Result<bool> {
    wait_for(channel)?;
    let mut families = [0];
    match recv(channel.as_raw_fd(), &mut families, MsgFlags::empty())? {
        0 => Err(io::ErrorKind::BrokenPipe.into()),
        _ => Ok(families[0] == 1),
    }
}

fn wait_for(channel: &OwnedFd) -> io::Result<()> {
    let mut descriptors = [PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
    while let Err(error) = poll(&mut descriptors, PollTimeout::NONE) {
        if error != nix::Error::EINTR {
            return Err(error.into());
        }
    }
    Ok(())
}

const STEPS: [Step; 11] = [
    Step::Control,
    Step::UserNamespace,
    Step::NetworkNamespace,
    Step::JobNamespaces,
    Step::Link,
    Step::PacketRules,
    Step::Socket,
    Step::Mount,
    Step::Credentials,
    Step::Probe,
    Step::Sensor,
];

fn step_number(step: Step) -> u8 {
    STEPS.iter().position(|known| *known == step).unwrap_or(0) as u8
}

fn step_from(number: u8) -> Step {
    STEPS.get(usize::from(number)).copied().unwrap_or(Step::Control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_socket() {
        let mut events = vec![
            Event::Started,
            Event::ExecFailed { errno: 2 },
            Event::Stopped { signal: 20 },
            Event::Exited { status: 255 },
            Event::Signaled { signal: 9 },
            Event::Gone,
        ];
        for step in STEPS {
            events.push(Event::Failed { step, errno: 1, detail: "mounting /proc".to_owned() });
        }
        for event in events {
            assert_eq!(Event::decode(&event.encode()), Some(event));
        }
        assert_eq!(Event::decode(&[1, 2]), None);
        assert_eq!(Order::decode(&Order::Signal(15).encode()), Some(Order::Signal(15)));
        assert_eq!(Order::decode(&Order::Foreground.encode()), Some(Order::Foreground));
    }
}
