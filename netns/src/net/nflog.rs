//! Records of the packets that the rules dropped (NFLOG).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::nflog::{
    ConfigCmd, ConfigFlags, ConfigMode, ConfigNla, PacketNla, ULogMessage,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use nix::sys::socket::{MsgFlags, SockProtocol, recv, setsockopt, sockopt};

use super::netlink::{Netlink, Refused};
use super::packet_rules::LOG_SNAPLEN;
use super::plan::NFLOG_GROUP;

/// Octets of records that may wait to be read.
const BUFFER: usize = 4 * 1024 * 1024;
/// SO_MEMINFO (asm-generic/socket.h), and its last value (linux/sock_diag.h, SK_MEMINFO_DROPS).
const SO_MEMINFO: libc::c_int = 55;
const DROPS: usize = 8;

/// The record of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropRecord<'a> {
    /// Its number among all packets that the rules dropped, from zero.
    pub sequence: u32,
    /// The packet from its IP header on, perhaps cut.
    pub packet: &'a [u8],
}

/// A netlink socket that receives the records of one NFLOG group.
#[derive(Debug)]
pub struct DropLog(OwnedFd);

impl DropLog {
    pub(super) fn open() -> Result<DropLog, Refused> {
        let mut netlink = Netlink::open(SockProtocol::NetlinkNetFilter)
            .map_err(|source| Refused { what: "opening an NFLOG socket", source })?;
        let options = vec![
            ConfigNla::Cmd(ConfigCmd::Bind),
            ConfigNla::Mode(ConfigMode::new_packet(LOG_SNAPLEN)),
            ConfigNla::Flags(ConfigFlags::SEQ),
        ];
        let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, NFLOG_GROUP);
        netlink.add(
            "binding the NFLOG group",
            0,
            NetfilterMessage::new(header, ULogMessage::Config(options)),
        );
        netlink.commit::<NetfilterMessage>()?;
        let socket = netlink.into_fd();
        // Without the capability the buffer is as large as the host lets everybody have it.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &BUFFER);
        Ok(DropLog(socket))
    }

    /// Reads what is there and hands each record to `record`; `WouldBlock` when there is nothing,
    /// `ENOBUFS` when records were lost.
    pub fn receive(&self, buffer: &mut [u8], mut record: impl FnMut(DropRecord<'_>)) -> io::Result<()> {
        let length = recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?;
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let message = NetlinkMessage::<NetfilterMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            if let NetlinkPayload::InnerMessage(NetfilterMessage {
                inner: NetfilterMessageInner::ULog(ULogMessage::Packet(parts)),
                ..
            }) = &message.payload
            {
                deliver(parts, &mut record);
            }
            let step = (message.header.length as usize).next_multiple_of(4).clamp(4, rest.len());
            rest = &rest[step..];
        }
        Ok(())
    }

    /// Records that found the socket full so far.
    pub fn overflowed(&self) -> io::Result<u64> {
        let mut values = [0u32; DROPS + 1];
        let mut length = size_of_val(&values) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` octets to the values, and their number to `length`.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_MEMINFO,
                values.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        nix::errno::Errno::result(result)?;
        Ok(values[DROPS].into())
    }
}

/// A record without a packet or a number counts as one that was lost.
fn deliver(parts: &[PacketNla], record: &mut impl FnMut(DropRecord<'_>)) {
    let packet = parts.iter().find_map(|part| match part {
        PacketNla::Payload(bytes) => Some(bytes.as_slice()),
        _ => None,
    });
    let sequence = parts.iter().find_map(|part| match part {
        PacketNla::Seq(number) => Some(*number),
        _ => None,
    });
    if let (Some(packet), Some(sequence)) = (packet, sequence) {
        record(DropRecord { sequence, packet });
    }
}

impl AsRawFd for DropLog {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for DropLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
