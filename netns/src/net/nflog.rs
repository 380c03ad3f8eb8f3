//! Records of the packets that the rules dropped (NFLOG).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::nflog::{ConfigCmd, ConfigMode, ConfigNla, PacketNla, ULogMessage};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use nix::sys::socket::{MsgFlags, SockProtocol, recv};

use super::netlink::{Netlink, Refused};
use super::packet_rules::LOG_SNAPLEN;
use super::plan::NFLOG_GROUP;

/// A netlink socket that receives the records of one NFLOG group.
#[derive(Debug)]
pub struct DropLog(OwnedFd);

impl DropLog {
    pub(super) fn open() -> Result<DropLog, Refused> {
        let mut netlink = Netlink::open(SockProtocol::NetlinkNetFilter)
            .map_err(|source| Refused { what: "opening an NFLOG socket", source })?;
        let options =
            vec![ConfigNla::Cmd(ConfigCmd::Bind), ConfigNla::Mode(ConfigMode::new_packet(LOG_SNAPLEN))];
        let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, NFLOG_GROUP);
        netlink.add(
            "binding the NFLOG group",
            0,
            NetfilterMessage::new(header, ULogMessage::Config(options)),
        );
        netlink.commit::<NetfilterMessage>()?;
        Ok(DropLog(netlink.into_fd()))
    }

    /// Reads what is there and hands each packet, from its IP header on, to `packet`; `WouldBlock`
    /// when there is nothing, `ENOBUFS` when records were lost.
    pub fn receive(&self, buffer: &mut [u8], mut packet: impl FnMut(&[u8])) -> io::Result<()> {
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
                deliver(parts, &mut packet);
            }
            let step = (message.header.length as usize).next_multiple_of(4).clamp(4, rest.len());
            rest = &rest[step..];
        }
        Ok(())
    }
}

fn deliver(parts: &[PacketNla], packet: &mut impl FnMut(&[u8])) {
    for part in parts {
        if let PacketNla::Payload(bytes) = part {
            packet(bytes);
        }
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
