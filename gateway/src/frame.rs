//! What a dropped packet was: enough to write one line about it. Pure; the NFLOG listener hands in
//! packets from their network header on, with the protocol that the hook saw.

use std::net::IpAddr;

use etherparse::{IpNumber, LaxIpPayloadSlice, LaxIpv4Slice, LaxIpv6Slice, ether_type, ip_number};

mod noise;

/// A dropped packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The protocol.
    pub kind: Kind,
    /// Where it said that it comes from.
    pub source: Option<IpAddr>,
    /// Where it was to go.
    pub destination: Option<IpAddr>,
    /// The source port of TCP, UDP and SCTP.
    pub source_port: Option<u16>,
    /// The destination port of TCP, UDP and SCTP.
    pub destination_port: Option<u16>,
    /// Type and code of ICMP and ICMPv6.
    pub icmp: Option<IcmpType>,
    link_noise: bool,
}

/// The protocol of a packet: the last one that its headers name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP for IPv4.
    Icmp,
    /// ICMP for IPv6.
    Icmpv6,
    /// SCTP.
    Sctp,
    /// Generic routing encapsulation.
    Gre,
    /// IPv4 within IP.
    Ipip,
    /// IPv6 within IP (6in4).
    SixInFour,
    /// IPsec's encrypted payload.
    Esp,
    /// A fragment of an IP packet, the first one included.
    Fragment,
    /// Another protocol over IP, by its number.
    Other(u8),
    /// ARP.
    Arp,
    /// Not IP and not ARP, by its EtherType.
    NonIp(u16),
    /// Its IP headers make no sense.
    Malformed,
}

/// What an ICMP message is (IANA, ICMP and ICMPv6 Parameters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IcmpType {
    /// The type, for instance 8 for an echo request of IPv4.
    pub kind: u8,
    /// The code within the type.
    pub code: u8,
}

impl Dropped {
    /// Reads a packet from its network header on; `protocol` is its EtherType in host byte order.
    pub fn read(protocol: u16, packet: &[u8]) -> Dropped {
        match protocol {
            p if p == ether_type::IPV4.0 => Dropped::ipv4(packet),
            p if p == ether_type::IPV6.0 => Dropped::ipv6(packet),
            p if p == ether_type::ARP.0 => {
                let link_noise = noise::is_plain_arp(packet);
                let address = |at| link_noise.then(|| ipv4_at(packet, at)).flatten();
                Dropped {
                    source: address(14),
                    destination: address(24),
                    link_noise,
                    ..Dropped::new(Kind::Arp)
                }
            }
            other => Dropped::new(Kind::NonIp(other)),
        }
    }

    /// Whether the job's kernel sends such a packet of its own accord to keep the link going: ARP, and
    /// neighbour discovery, MLD and IGMP in their plain forms. With anything unusual in it a packet is
    /// no noise, for the job may have made it to carry data.
    pub fn is_link_noise(&self) -> bool {
        self.link_noise
    }

    fn new(kind: Kind) -> Dropped {
        Dropped {
            kind,
            source: None,
            destination: None,
            source_port: None,
            destination_port: None,
            icmp: None,
            link_noise: false,
        }
    }

    fn ipv4(packet: &[u8]) -> Dropped {
        let Ok((ip, stopped)) = LaxIpv4Slice::from_slice(packet) else {
            return Dropped::new(Kind::Malformed);
        };
        let header = ip.header();
        Dropped {
            source: Some(header.source_addr().into()),
            destination: Some(header.destination_addr().into()),
            link_noise: noise::is_igmp_report(&ip, packet.len()),
            ..Dropped::payload(ip.payload(), stopped.is_some())
        }
    }

    fn ipv6(packet: &[u8]) -> Dropped {
        let Ok((ip, stopped)) = LaxIpv6Slice::from_slice(packet) else {
            return Dropped::new(Kind::Malformed);
        };
        let header = ip.header();
        Dropped {
            source: Some(header.source_addr().into()),
            destination: Some(header.destination_addr().into()),
            link_noise: noise::is_discovery(&ip, packet.len()),
            ..Dropped::payload(ip.payload(), stopped.is_some())
        }
    }

    /// What follows the IP headers, which may be cut short.
    fn payload(ip: &LaxIpPayloadSlice<'_>, stopped: bool) -> Dropped {
        let kind = match ip.ip_number {
            _ if stopped => Kind::Malformed,
            _ if ip.fragmented => Kind::Fragment,
            ip_number::TCP => Kind::Tcp,
            ip_number::UDP => Kind::Udp,
            ip_number::ICMP => Kind::Icmp,
            ip_number::IPV6_ICMP => Kind::Icmpv6,
            ip_number::SCTP => Kind::Sctp,
            ip_number::GRE => Kind::Gre,
            ip_number::IPV4 => Kind::Ipip,
            ip_number::IPV6 => Kind::SixInFour,
            ip_number::ENCAP_SEC => Kind::Esp,
            IpNumber(other) => Kind::Other(other),
        };
        let mut dropped = Dropped::new(kind);
        match (kind, ip.payload) {
            (Kind::Tcp | Kind::Udp | Kind::Sctp, &[a, b, c, d, ..]) => {
                dropped.source_port = Some(u16::from_be_bytes([a, b]));
                dropped.destination_port = Some(u16::from_be_bytes([c, d]));
            }
            (Kind::Icmp | Kind::Icmpv6, &[kind, code, ..]) => dropped.icmp = Some(IcmpType { kind, code }),
            _ => {}
        }
        dropped
    }
}

fn ipv4_at(packet: &[u8], at: usize) -> Option<IpAddr> {
    let octets = packet.get(at..)?.first_chunk::<4>()?;
    Some(IpAddr::from(*octets))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    const SOURCE: [u8; 4] = [10, 0, 0, 2];
    const DESTINATION: [u8; 4] = [192, 0, 2, 7];
    const SOURCE6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    const DESTINATION6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

    fn udp4() -> Vec<u8> {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4(SOURCE, DESTINATION, 64).udp(40000, 123);
        builder.write(&mut packet, b"time").unwrap();
        packet
    }

    fn ip6(next: IpNumber, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv6(SOURCE6, DESTINATION6, 64).write(&mut packet, next, payload).unwrap();
        packet
    }

    #[test]
    fn udp_with_addresses_and_ports() {
        let dropped = Dropped::read(0x0800, &udp4());
        assert_eq!(dropped.kind, Kind::Udp);
        assert_eq!(dropped.source, Some(SOURCE.into()));
        assert_eq!(dropped.destination, Some(DESTINATION.into()));
        assert_eq!((dropped.source_port, dropped.destination_port), (Some(40000), Some(123)));
        assert!(!dropped.is_link_noise());
    }

    #[test]
    fn tcp_over_ipv6_behind_extension_headers() {
        let mut packet = Vec::new();
        PacketBuilder::ipv6(SOURCE6, DESTINATION6, 64).tcp(1, 443, 0, 1000).write(&mut packet, &[]).unwrap();
        assert_eq!(Dropped::read(0x86dd, &packet).destination_port, Some(443));

        let behind = [6, 0, 1, 4, 0, 0, 0, 0, 0, 1, 1, 0xbb, 0, 0];
        let dropped = Dropped::read(0x86dd, &ip6(IpNumber(60), &behind));
        assert_eq!((dropped.kind, dropped.destination_port), (Kind::Tcp, Some(443)));
    }

    #[test]
    fn icmp_type_and_code() {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4(SOURCE, DESTINATION, 64).icmpv4_echo_request(1, 1);
        builder.write(&mut packet, b"secret").unwrap();
        let dropped = Dropped::read(0x0800, &packet);
        assert_eq!(dropped.kind, Kind::Icmp);
        assert_eq!(dropped.icmp, Some(IcmpType { kind: 8, code: 0 }));
    }

    #[test]
    fn tunnels_and_the_rest_by_number() {
        let numbers = [
            (132, Kind::Sctp),
            (47, Kind::Gre),
            (4, Kind::Ipip),
            (41, Kind::SixInFour),
            (50, Kind::Esp),
            (253, Kind::Other(253)),
            (2, Kind::Other(2)),
        ];
        for (number, kind) in numbers {
            assert_eq!(Dropped::read(0x86dd, &ip6(IpNumber(number), &[0; 8])).kind, kind);
            let mut packet = udp4();
            packet[9] = number;
            assert_eq!(Dropped::read(0x0800, &packet).kind, kind);
        }
    }

    #[test]
    fn fragments_have_no_ports() {
        for flags in [[0x20, 0], [0, 1]] {
            let mut packet = udp4();
            packet[6..8].copy_from_slice(&flags);
            let dropped = Dropped::read(0x0800, &packet);
            assert_eq!((dropped.kind, dropped.destination_port), (Kind::Fragment, None));
            assert!(dropped.destination.is_some());
        }
        let dropped = Dropped::read(0x86dd, &ip6(IpNumber(44), &[17, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4]));
        assert_eq!(dropped.kind, Kind::Fragment);
    }

    #[test]
    fn frames_that_are_not_ip() {
        assert_eq!(Dropped::read(0x88cc, b"lldp").kind, Kind::NonIp(0x88cc));
        assert_eq!(Dropped::read(0x0806, &[]).kind, Kind::Arp);
        assert_eq!(Dropped::read(0x0800, &[]).kind, Kind::Malformed);
        assert_eq!(Dropped::read(0x0800, &ip6(IpNumber(6), &[])).kind, Kind::Malformed);
        assert_eq!(Dropped::read(0x86dd, &udp4()).kind, Kind::Malformed);
        assert_eq!(Dropped::read(0x86dd, &ip6(IpNumber(60), &[6])).kind, Kind::Malformed);
    }

    proptest! {
        #[test]
        fn never_panics(protocol: u16, packet: Vec<u8>) {
            Dropped::read(protocol, &packet);
            Dropped::read(0x0800, &packet);
            Dropped::read(0x86dd, &packet);
        }
    }
}
