//! Addresses that the public internet does not route, and addresses hidden inside others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 ranges that are not public (IANA IPv4 Special-Purpose Address Registry), and the addresses
/// at which clouds answer their guests. The documentation ranges of RFC 5737 count as public.
const PRIVATE_V4: [(Ipv4Addr, u8); 13] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// IPv6 ranges that are not public (IANA IPv6 Special-Purpose Address Registry). `::/96` holds the
/// unspecified and the loopback address; the metadata address fd00:ec2::254 is in `fc00::/7`.
const PRIVATE_V6: [(Ipv6Addr, u8); 8] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// Whether an address is private, loopback, link-local, multicast, unspecified, shared (RFC 6598),
/// for benchmarks, reserved or a cloud's metadata service; also when it is an IPv6 address that
/// carries such an IPv4 address (mapped, NAT64, 6to4, Teredo, ISATAP).
pub fn is_private_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => {
            let special =
                |&(base, length): &(Ipv6Addr, u8)| Ipv6Net::new_assert(base, length).contains(&address);
            PRIVATE_V6.iter().any(special) || embedded_v4(address).into_iter().flatten().any(is_private_v4)
        }
    }
}

/// Whether a packet to this address would reach the gateway's own host: loopback, and the
/// unspecified addresses, which Linux connects to loopback.
pub(crate) fn is_this_host(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.octets()[0] == 0,
        IpAddr::V6(address) => address.is_loopback() || address.is_unspecified(),
    }
}

/// Whether every address of a range is private by itself, embedded addresses aside.
pub(crate) fn is_private_range(range: IpNet) -> bool {
    match range {
        IpNet::V4(range) => {
            PRIVATE_V4.iter().any(|&(base, length)| Ipv4Net::new_assert(base, length).contains(&range))
        }
        IpNet::V6(range) => {
            PRIVATE_V6.iter().any(|&(base, length)| Ipv6Net::new_assert(base, length).contains(&range))
        }
    }
}

/// A range with IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2) as the IPv4 range that it stands for.
pub(crate) fn canonical_range(range: IpNet) -> IpNet {
    let IpNet::V6(v6) = range else { return range };
    match (v6.network().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(base), Some(length)) => Ipv4Net::new(base, length).map_or(range, IpNet::V4),
        _ => range,
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    PRIVATE_V4.iter().any(|&(base, length)| Ipv4Net::new_assert(base, length).contains(&address))
}

/// The IPv4 addresses that an IPv6 address may lead to.
fn embedded_v4(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let part = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // NAT64 with the well-known prefix (RFC 6052 section 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [Some(part(high, low)), None],
        // 6to4 (RFC 3056 section 2).
        [0x2002, high, low, ..] => [Some(part(high, low)), None],
        // Teredo: server in the clear, client inverted (RFC 4380 section 4).
        [0x2001, 0, a, b, _, _, high, low] => [Some(part(a, b)), Some(part(!high, !low))],
        // ISATAP (RFC 5214 section 6.1).
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => [Some(part(high, low)), None],
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_private(text: &str) -> bool {
        is_private_address(text.parse().unwrap())
    }

    #[test]
    fn private_and_metadata() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.192",
            "198.19.255.255",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:0:a00:1::",
            "2001:0:c000:201::f5ff:fffe",
            "2001:db8::5efe:10.0.0.1",
        ] {
            assert!(is_private(text), "{text}");
        }
    }

    #[test]
    fn public_and_documentation() {
        for text in [
            "1.1.1.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "172.32.0.1",
            "100.128.0.1",
            "168.63.129.17",
            "2001:db8::1",
            "2606:4700::1111",
            "::ffff:192.0.2.1",
            "64:ff9b::192.0.2.1",
            "2002:c000:201::1",
        ] {
            assert!(!is_private(text), "{text}");
        }
    }

    #[test]
    fn mapped_ranges_become_ipv4() {
        let canonical = |text: &str| canonical_range(text.parse().unwrap()).to_string();
        assert_eq!(canonical("::ffff:10.0.0.0/104"), "10.0.0.0/8");
        assert_eq!(canonical("::/0"), "::/0");
        assert_eq!(canonical("2001:db8::/32"), "2001:db8::/32");
    }
}
