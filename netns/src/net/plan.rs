//! Addresses and names that are the same in every run: the namespaces are private, so nothing collides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The gateway's end of the link, from the IPv4 service continuity prefix (RFC 7335), which no
/// public or private network uses as a destination.
pub const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 1);
/// The job's end of the link.
pub const JOB_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 2);
/// Bits in the IPv4 link's network.
pub(crate) const PREFIX_V4: u8 = 29;
/// The gateway's end of the link: a unique local address (RFC 4193), so that programs prefer IPv4
/// where a name has both (RFC 6724) and still ask for AAAA.
pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd63, 0x696a, 0, 0, 0, 0, 0, 1);
/// The job's end of the link.
pub const JOB_V6: Ipv6Addr = Ipv6Addr::new(0xfd63, 0x696a, 0, 0, 0, 0, 0, 2);
/// Bits in the IPv6 link's network.
pub(crate) const PREFIX_V6: u8 = 64;

/// A name that is denied whatever the policy says.
pub const PROBE_NAME: &str = "probe.cijail-net.invalid";
/// An address that is denied whatever the policy says: the IPv4 dummy address (RFC 7600).
pub const PROBE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
/// An address that is denied whatever the policy says: in the discard-only prefix (RFC 6666).
pub const PROBE_V6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1);

/// The job's link.
pub(crate) const JOB_LINK: &str = "eth0";
/// The gateway's link.
pub(crate) const GATEWAY_LINK: &str = "cj0";
/// Link-layer addresses, fixed and locally administered, so that no neighbour is ever looked up.
pub(crate) const JOB_MAC: [u8; 6] = [0x02, 0x63, 0x6a, 0, 0, 2];
pub(crate) const GATEWAY_MAC: [u8; 6] = [0x02, 0x63, 0x6a, 0, 0, 1];
/// Octets in a packet on the link: large, as the link is memory.
pub(crate) const MTU: u32 = 65_535;
/// Octets that TCP hands over at once, in packets that are never taken apart: what a veth link takes
/// (GSO_MAX_SIZE in linux/netdevice.h).
pub(crate) const AT_ONCE: u32 = 8 * 65_535;
/// How TCP sends on the link: the kernel's plain algorithm, which every kernel has. What suits a real
/// network, as a host with BBR has chosen, waits on timers between its segments.
pub(crate) const CONGESTION_CONTROL: &str = "reno";

/// Where the TPROXY rules send TCP.
pub(crate) const TCP_PORT: u16 = 1;
/// Where the TPROXY rules send UDP other than DNS.
pub(crate) const UDP_PORT: u16 = 2;
/// DNS must sit on its own port: replies carry the listener's port.
pub(crate) const DNS_PORT: u16 = 53;
/// The port of the sockets in the job namespace that prove enforcement: tcpmux, which nobody uses.
pub(crate) const PROOF_PORT: u16 = 1;
/// The NFLOG group of the records of dropped packets.
pub(crate) const NFLOG_GROUP: u16 = 1;
/// The routing table that delivers everything from the job locally.
pub(crate) const CAPTURE_TABLE: u8 = 100;

/// Whether the address is the gateway's own.
pub fn is_gateway(address: IpAddr) -> bool {
    address == IpAddr::V4(GATEWAY_V4) || address == IpAddr::V6(GATEWAY_V6)
}

/// Whether the address is one that the start-up probe connects to.
pub fn is_probe(address: IpAddr) -> bool {
    address == IpAddr::V4(PROBE_V4) || address == IpAddr::V6(PROBE_V6)
}
