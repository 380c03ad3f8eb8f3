//! A blocking netlink socket that sends a batch of requests and checks every acknowledgement.
//!
//! The set-up runs before there is an async runtime and must take few system calls, so requests go
//! out in one datagram (Documentation/userspace-api/netlink/intro.rst).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

/// Octets for one read of acknowledgements; each echoes at most a header.
const READ_SIZE: usize = 8 * 1024;

/// A netlink socket of the network namespace that the opening thread was in.
#[derive(Debug)]
pub(crate) struct Netlink {
    fd: OwnedFd,
    sequence: u32,
    batch: Vec<u8>,
    pending: Vec<Pending>,
}

/// A request whose acknowledgement is waited for.
#[derive(Debug)]
struct Pending {
    sequence: u32,
    what: &'static str,
    /// A refusal of it is no error.
    optional: bool,
}

/// A request that the kernel refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) what: &'static str,
    pub(crate) source: io::Error,
}

impl Netlink {
    pub(crate) fn open(protocol: SockProtocol) -> io::Result<Netlink> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Netlink { fd, sequence: 0, batch: Vec::with_capacity(4096), pending: Vec::new() })
    }

    /// Adds a request whose acknowledgement [`Netlink::commit`] waits for.
    pub(crate) fn add<T>(&mut self, what: &'static str, flags: u16, message: impl Into<NetlinkPayload<T>>)
    where
        T: NetlinkSerializable,
    {
        let sequence = self.append(NLM_F_REQUEST | NLM_F_ACK | flags, message.into());
        self.pending.push(Pending { sequence, what, optional: false });
    }

    /// Adds a request that an older kernel may refuse, and then does without.
    pub(crate) fn add_optional<T>(&mut self, what: &'static str, message: impl Into<NetlinkPayload<T>>)
    where
        T: NetlinkSerializable,
    {
        let sequence = self.append(NLM_F_REQUEST | NLM_F_ACK, message.into());
        self.pending.push(Pending { sequence, what, optional: true });
    }

    /// Adds a request that is not acknowledged (the brackets of an nftables transaction).
    pub(crate) fn add_silent<T>(&mut self, message: impl Into<NetlinkPayload<T>>)
    where
        T: NetlinkSerializable,
    {
        self.append(NLM_F_REQUEST, message.into());
    }

    fn append<T: NetlinkSerializable>(&mut self, flags: u16, payload: NetlinkPayload<T>) -> u32 {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, payload);
        message.finalize();
        let start = self.batch.len();
        // Requests are aligned to four octets (NLMSG_ALIGN).
        let length = message.buffer_len().next_multiple_of(4);
        self.batch.resize(start + length, 0);
        message.serialize(&mut self.batch[start..]);
        self.sequence
    }

    /// Sends the batch and waits until each request is acknowledged; the first refusal is the error.
    pub(crate) fn commit<T: NetlinkDeserializable>(&mut self) -> Result<(), Refused> {
        let batch = std::mem::take(&mut self.batch);
        let mut pending = std::mem::take(&mut self.pending);
        let failed = |what| move |source| Refused { what, source };
        send(self.fd.as_raw_fd(), &batch, MsgFlags::empty())
            .map_err(io::Error::from)
            .map_err(failed("sending netlink requests"))?;
        let mut buffer = vec![0; READ_SIZE];
        while !pending.is_empty() {
            let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())
                .map_err(io::Error::from)
                .map_err(failed("reading netlink acknowledgements"))?;
            let mut rest = &buffer[..length];
            while !rest.is_empty() {
                let message = NetlinkMessage::<T>::deserialize(rest)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
                    .map_err(failed("reading netlink acknowledgements"))?;
                let sequence = message.header.sequence_number;
                if let NetlinkPayload::Error(answer) = &message.payload {
                    let place = pending.iter().position(|request| request.sequence == sequence);
                    let request = place.map(|place| pending.swap_remove(place));
                    if answer.code.is_some() && !request.as_ref().is_some_and(|request| request.optional) {
                        return Err(Refused {
                            what: request.map_or("a netlink batch", |request| request.what),
                            source: answer.to_io(),
                        });
                    }
                }
                let step = (message.header.length as usize).next_multiple_of(4).min(rest.len());
                rest = &rest[step..];
            }
        }
        Ok(())
    }

    /// The socket itself, for what follows the set-up.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }
}
