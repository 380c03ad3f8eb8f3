//! The packets that a Linux kernel sends by itself on a fresh link, in the exact shapes that it gives
//! them, so that nothing a job could have filled with data passes for one.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{LaxIpv4Slice, LaxIpv6Slice, ip_number};

/// Groups in one membership report; a kernel on this link has a handful.
const MAX_GROUPS: usize = 8;
/// The router alert option that goes with IGMP (RFC 2113).
const ROUTER_ALERT4: [u8; 4] = [0x94, 4, 0, 0];
/// The hop-by-hop header with a router alert that goes with MLD (RFC 2710 section 3).
const ROUTER_ALERT6: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_MLD_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
const ALL_ROUTERS4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
const ALL_IGMP_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);

/// Options of neighbour discovery (RFC 4861 section 4.6, RFC 3971 section 5.3.2), each of 8 octets.
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
const NONCE: u8 = 14;

/// An ARP request or answer for IPv4 on Ethernet (RFC 826), without trailing bytes.
pub(super) fn is_plain_arp(packet: &[u8]) -> bool {
    packet.len() == 28 && matches!(packet, [0, 1, 8, 0, 6, 4, 0, 1 | 2, ..])
}

/// An IGMP membership report or leave message (RFC 3376 section 4.2 and 7, RFC 2236).
pub(super) fn is_igmp_report(ip: &LaxIpv4Slice<'_>, length: usize) -> bool {
    let header = ip.header();
    let whole = length == usize::from(header.total_len());
    if !whole || ip.payload_ip_number() != ip_number::IGMP || header.ttl() != 1 || ip.is_payload_fragmented()
    {
        return false;
    }
    let to = header.destination_addr();
    header.options() == ROUTER_ALERT4
        && match *ip.payload().payload {
            [0x22, 0, _, _, 0, 0, 0, _, ref records @ ..] => {
                let is_record = |r: &[u8; 8]| matches!(r, [1..=6, 0, 0, 0, 224..=239, ..]);
                to == ALL_IGMP_ROUTERS && are_records(ip.payload().payload[7], records, is_record)
            }
            [0x12 | 0x16, 0, _, _, a, b, c, d] => to == Ipv4Addr::new(a, b, c, d) && to.is_multicast(),
            [0x17, 0, _, _, 224..=239, _, _, _] => to == ALL_ROUTERS4,
            _ => false,
        }
}

/// A neighbour solicitation, neighbour advertisement or router solicitation (RFC 4861 section 4), or
/// an MLD report or done message (RFC 3810 section 5.2, RFC 2710). Routers' messages are none: a job
/// has no business to advertise.
pub(super) fn is_discovery(ip: &LaxIpv6Slice<'_>, length: usize) -> bool {
    let header = ip.header();
    let whole = length == 40 + usize::from(header.payload_length());
    if !whole || ip.payload().ip_number != ip_number::IPV6_ICMP {
        return false;
    }
    let (from, to) = (header.source_addr(), header.destination_addr());
    let message = ip.payload().payload;
    match (header.hop_limit(), header.next_header(), ip.extensions().slice()) {
        (255, ip_number::IPV6_ICMP, []) => is_neighbour_discovery(to, message),
        (1, ip_number::IPV6_HOP_BY_HOP, extensions) if extensions == ROUTER_ALERT6 => {
            (from.is_unspecified() || from.is_unicast_link_local()) && is_mld_report(to, message)
        }
        _ => false,
    }
}

fn is_neighbour_discovery(to: Ipv6Addr, message: &[u8]) -> bool {
    let Some((&fixed, rest)) = message.split_first_chunk::<8>() else { return false };
    match fixed {
        [133, 0, _, _, 0, 0, 0, 0] => to == ALL_ROUTERS && is_option(rest, &[SOURCE_LINK_ADDRESS]),
        [135, 0, _, _, 0, 0, 0, 0] => rest.split_first_chunk::<16>().is_some_and(|(&target, rest)| {
            let target = Ipv6Addr::from(target);
            (to == target || to == solicited_node(target)) && is_option(rest, &[SOURCE_LINK_ADDRESS, NONCE])
        }),
        [136, 0, _, _, _, 0, 0, 0] => rest.split_first_chunk::<16>().is_some_and(|(_, rest)| {
            (to == ALL_NODES || !to.is_multicast()) && is_option(rest, &[TARGET_LINK_ADDRESS])
        }),
        _ => false,
    }
}

/// Nothing, or one option of 8 octets and one of these types.
fn is_option(rest: &[u8], kinds: &[u8]) -> bool {
    match rest {
        [] => true,
        [kind, 1, ..] => rest.len() == 8 && kinds.contains(kind),
        _ => false,
    }
}

/// The group at which the owner of an address listens (RFC 4291 section 2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}

fn is_mld_report(to: Ipv6Addr, message: &[u8]) -> bool {
    let Some((&fixed, rest)) = message.split_first_chunk::<8>() else { return false };
    match fixed {
        [143, 0, _, _, 0, 0, 0, count] => {
            let is_record = |r: &[u8; 20]| matches!(r, [1..=6, 0, 0, 0, 0xff, ..]);
            to == ALL_MLD_ROUTERS && are_records(count, rest, is_record)
        }
        [kind @ (131 | 132), 0, _, _, 0, 0, 0, 0] => <[u8; 16]>::try_from(rest).is_ok_and(|group| {
            let group = Ipv6Addr::from(group);
            group.is_multicast() && to == if kind == 131 { group } else { ALL_ROUTERS }
        }),
        _ => false,
    }
}

/// `count` records without sources or auxiliary data, and nothing after them.
fn are_records<const N: usize>(count: u8, records: &[u8], is_record: impl Fn(&[u8; N]) -> bool) -> bool {
    let (records, rest) = records.as_chunks::<N>();
    records.len() == usize::from(count)
        && (1..=MAX_GROUPS).contains(&records.len())
        && rest.is_empty()
        && records.iter().all(is_record)
}

#[cfg(test)]
mod tests {
    use super::super::Dropped;

    const LINK_LOCAL: &str = "fe80::2";

    fn ip6(from: &str, to: &str, next: u8, hops: u8, payload: &[&[u8]]) -> Vec<u8> {
        let payload = payload.concat();
        let mut packet = vec![0x60, 0, 0, 0, 0, u8::try_from(payload.len()).unwrap(), next, hops];
        packet.extend(from.parse::<std::net::Ipv6Addr>().unwrap().octets());
        packet.extend(to.parse::<std::net::Ipv6Addr>().unwrap().octets());
        packet.extend(payload);
        packet
    }

    fn address(text: &str) -> [u8; 16] {
        text.parse::<std::net::Ipv6Addr>().unwrap().octets()
    }

    fn solicitation(option: &[u8]) -> Vec<u8> {
        let target = address("fd00::1:2345");
        ip6("::", "ff02::1:ff01:2345", 58, 255, &[&[135, 0, 9, 9, 0, 0, 0, 0], &target, option])
    }

    fn mld(records: &[u8]) -> Vec<u8> {
        let fixed = [143, 0, 9, 9, 0, 0, 0, 1];
        ip6(LINK_LOCAL, "ff02::16", 0, 1, &[&super::ROUTER_ALERT6, &fixed, records])
    }

    fn igmp(payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(24 + payload.len()).unwrap();
        let mut packet = vec![0x46, 0xc0, 0, length, 0, 0, 0x40, 0, 1, 2, 0, 0, 10, 0, 0, 2, 224, 0, 0, 22];
        packet.extend(super::ROUTER_ALERT4);
        packet.extend(payload);
        packet
    }

    fn noise(packet: &[u8]) -> bool {
        let protocol = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
        Dropped::read(protocol, packet).is_link_noise()
    }

    #[test]
    fn plain_chatter_is_noise() {
        assert!(noise(&solicitation(&[])));
        assert!(noise(&solicitation(&[14, 1, 1, 2, 3, 4, 5, 6])));
        assert!(noise(&ip6(
            LINK_LOCAL,
            "ff02::2",
            58,
            255,
            &[&[133, 0, 9, 9, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1]]
        )));
        assert!(noise(&mld(&[&[4, 0, 0, 0][..], &address("ff02::1:ff01:2345")].concat())));
        assert!(noise(&igmp(&[0x22, 0, 9, 9, 0, 0, 0, 1, 4, 0, 0, 0, 224, 0, 0, 251])));
        let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
        arp.extend([2; 20]);
        assert!(Dropped::read(0x0806, &arp).is_link_noise());
        arp.push(0);
        assert!(!Dropped::read(0x0806, &arp).is_link_noise());
    }

    #[test]
    fn chatter_with_more_in_it_is_not() {
        assert!(!noise(&solicitation(b"\x0e\x02secret_secret_")));
        assert!(!noise(&solicitation(b"\x63\x01secret")));
        assert!(!noise(&solicitation(b"secretsecret")));
        assert!(!noise(&[&solicitation(&[])[..], b"secret"].concat()));
        let group = address("ff02::1:ff01:2345");
        assert!(!noise(&mld(&[&[4, 0, 0, 1][..], &group, &[7; 16]].concat())));
        assert!(!noise(&mld(&[&[4, 1, 0, 0][..], &group, &[7; 4]].concat())));
        assert!(!noise(&mld(&[&[4, 0, 0, 0][..], &[7; 16]].concat())));
        assert!(!noise(&igmp(&[0x22, 0, 9, 9, 0, 0, 0, 1, 4, 0, 0, 1, 224, 0, 0, 251, 1, 2, 3, 4])));
        assert!(!noise(&igmp(b"\x22\0..\0\0\0\0secret")));
    }

    /// The bytes of the router alert, but in a header of another type.
    #[test]
    fn chatter_behind_another_header_is_not() {
        let mut packet = mld(&[&[4, 0, 0, 0][..], &address("ff02::fb")].concat());
        assert!(noise(&packet));
        for other in [43, 44, 60] {
            packet[6] = other;
            assert!(!noise(&packet), "{other}");
        }
    }

    #[test]
    fn chatter_from_the_wrong_place_is_not() {
        let advertisement = [134, 0, 9, 9, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(!noise(&ip6(LINK_LOCAL, "ff02::1", 58, 255, &[&advertisement])));
        let far = &[&[135, 0, 9, 9, 0, 0, 0, 0][..], &address("2001:db8::1")];
        assert!(!noise(&ip6("fd00::2", "2001:db8::7", 58, 255, far)));
        assert!(!noise(&ip6("fd00::2", "2001:db8::1", 58, 64, far)));
        let fixed = [143, 0, 9, 9, 0, 0, 0, 1, 4, 0, 0, 0];
        assert!(!noise(&ip6(
            "fd00::2",
            "ff02::16",
            0,
            1,
            &[&super::ROUTER_ALERT6, &fixed, &address("ff02::fb")]
        )));
    }
}
