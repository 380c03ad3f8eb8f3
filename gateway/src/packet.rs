//! Packets that answer the job in another host's name: UDP replies and ICMP errors. Pure; the raw
//! sockets of `netns` send them.

use std::net::{IpAddr, SocketAddr};

use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::{Icmpv4Type, Icmpv6Type, PacketBuilder, icmpv6};

const HOP_LIMIT: u8 = 64;

/// A UDP packet from `source` to `destination`, from the IP header on. Both must be of one family;
/// otherwise, or if the payload is too long, the packet is empty.
pub(crate) fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(payload.len() + 48);
    let written = match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOP_LIMIT)
            .udp(source.port(), destination.port())
            .write(&mut packet, payload),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), HOP_LIMIT)
            .udp(source.port(), destination.port())
            .write(&mut packet, payload),
        _ => return Vec::new(),
    };
    if written.is_err() {
        packet.clear();
    }
    packet
}

/// The ICMP answer "port unreachable" (RFC 792, RFC 4443) from `server` to `job`, about a datagram
/// that `job` sent to `server`: the sender's next call fails at once instead of waiting.
pub(crate) fn port_unreachable(job: SocketAddr, server: SocketAddr) -> Vec<u8> {
    // The error quotes the datagram's headers, by which the sender's kernel finds the socket.
    let quoted = udp(job, server, &[]);
    let mut packet = Vec::with_capacity(quoted.len() + 56);
    let written = match (server.ip(), job.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOP_LIMIT)
            .icmpv4(Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port))
            .write(&mut packet, &quoted),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), HOP_LIMIT)
            .icmpv6(Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port))
            .write(&mut packet, &quoted),
        _ => return Vec::new(),
    };
    if written.is_err() {
        packet.clear();
    }
    packet
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn udp_packets_carry_both_addresses() {
        for (from, to) in [("192.0.2.1:53", "192.0.0.2:4000"), ("[2001:db8::1]:53", "[fd00::2]:4000")] {
            let packet = udp(address(from), address(to), b"payload");
            let sliced = SlicedPacket::from_ip(&packet).unwrap();
            let Some(TransportSlice::Udp(udp)) = sliced.transport else { panic!("no UDP in {sliced:?}") };
            assert_eq!(
                (udp.source_port(), udp.destination_port(), udp.payload()),
                (53, 4000, &b"payload"[..])
            );
            match sliced.net.unwrap() {
                NetSlice::Ipv4(ip) => assert_eq!(IpAddr::V4(ip.header().source_addr()), address(from).ip()),
                NetSlice::Ipv6(ip) => assert_eq!(IpAddr::V6(ip.header().source_addr()), address(from).ip()),
                other => panic!("{other:?}"),
            }
        }
        assert!(udp(address("192.0.2.1:53"), address("[fd00::2]:1"), b"x").is_empty());
        assert!(udp(address("192.0.2.1:53"), address("192.0.0.2:1"), &vec![0; 70_000]).is_empty());
    }

    #[test]
    fn errors_quote_the_datagram() {
        let (job, server) = (address("192.0.0.2:4000"), address("192.0.2.1:443"));
        let packet = port_unreachable(job, server);
        let sliced = SlicedPacket::from_ip(&packet).unwrap();
        let Some(TransportSlice::Icmpv4(icmp)) = sliced.transport else { panic!("no ICMP in {sliced:?}") };
        let quoted = SlicedPacket::from_ip(icmp.payload()).unwrap();
        let Some(TransportSlice::Udp(udp)) = quoted.transport else { panic!("no UDP in {quoted:?}") };
        assert_eq!((udp.source_port(), udp.destination_port()), (4000, 443));
    }
}
