//! The veth pair, its addresses and the routes on both ends.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope,
    RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::sys::socket::SockProtocol;

use super::netlink::{Netlink, Refused};
use super::plan::{
    AT_ONCE, CAPTURE_TABLE, CONGESTION_CONTROL, GATEWAY_LINK, GATEWAY_MAC, GATEWAY_V4, GATEWAY_V6, JOB_LINK,
    JOB_MAC, JOB_V4, JOB_V6, MTU, PREFIX_V4, PREFIX_V6,
};
use super::setup::Family;

/// The loopback link of every network namespace.
const LOOPBACK_INDEX: u32 = 1;
/// The indices of both ends of the pair, named so that nobody has to ask for them; above those of
/// tunnel links that some kernels put into every new namespace. They differ, as the kernel takes an
/// end whose peer has the same index for a link without a peer, and is then slow to notice that it
/// is up (net/core/link_watch.c, linkwatch_urgent_event).
const GATEWAY_INDEX: u32 = 1000;
const JOB_INDEX: u32 = 1001;
const CAPTURE_RULE_PRIORITY: u32 = 100;
/// RT_TABLE_LOCAL (linux/rtnetlink.h).
const LOCAL_TABLE: u8 = 255;

type Result = std::result::Result<(), Refused>;

/// One end of the link as the other end needs to know it.
struct End {
    index: u32,
    name: &'static str,
    mac: [u8; 6],
    v4: IpAddr,
    v6: IpAddr,
}

const GATEWAY: End = End {
    index: GATEWAY_INDEX,
    name: GATEWAY_LINK,
    mac: GATEWAY_MAC,
    v4: IpAddr::V4(GATEWAY_V4),
    v6: IpAddr::V6(GATEWAY_V6),
};
const JOB: End =
    End { index: JOB_INDEX, name: JOB_LINK, mac: JOB_MAC, v4: IpAddr::V4(JOB_V4), v6: IpAddr::V6(JOB_V6) };

/// A route netlink socket of the calling thread's network namespace.
pub(super) fn open() -> std::io::Result<Netlink> {
    Netlink::open(SockProtocol::NetlinkRoute)
}

/// Makes the pair from inside the job namespace; the other end appears in `gateway`.
pub(super) fn create_pair(job: &mut Netlink, gateway: BorrowedFd<'_>) -> Result {
    let mut peer = link(&GATEWAY);
    peer.attributes.push(LinkAttribute::NetNsFd(gateway.as_raw_fd()));
    let mut message = link(&JOB);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    job.add("making the veth pair", NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewLink(message));
    job.commit::<RouteNetlinkMessage>()
}

/// Addresses, the neighbour and the default routes of the job's end.
pub(super) fn configure_job(netlink: &mut Netlink, family: Family) -> Result {
    for (own, peer) in configure(netlink, &JOB, &GATEWAY, family) {
        add_default_route(netlink, peer);
        if own.is_ipv6() {
            add_local_route(netlink, own);
        }
    }
    netlink.commit::<RouteNetlinkMessage>()
}

/// Addresses, the neighbour and the capture routing of the gateway's end: whatever comes in from
/// the job is delivered locally, wherever it was meant for.
pub(super) fn configure_gateway(netlink: &mut Netlink, family: Family) -> Result {
    for (address, _) in configure(netlink, &GATEWAY, &JOB, family) {
        add_capture_route(netlink, address);
        add_capture_rule(netlink, address);
    }
    netlink.commit::<RouteNetlinkMessage>()
}

/// Makes the kernel act on the job's end being up, which it otherwise does some time later; until then
/// what is sent there is lost. Kernels before 6.8 do not wait here (net/core/rtnetlink.c, rtnl_getlink).
pub(super) fn settle_job(netlink: &mut Netlink) -> Result {
    settle(netlink, JOB_INDEX)
}

/// As [`settle_job`], for the gateway's end.
pub(super) fn settle_gateway(netlink: &mut Netlink) -> Result {
    settle(netlink, GATEWAY_INDEX)
}

fn settle(netlink: &mut Netlink, index: u32) -> Result {
    let mut message = LinkMessage::default();
    message.header.index = index;
    netlink.add("waiting for a link to be up", 0, RouteNetlinkMessage::GetLink(message));
    netlink.commit::<RouteNetlinkMessage>()
}

/// Brings one end up and gives it its addresses; returns them with those of the peer.
fn configure(netlink: &mut Netlink, own: &End, peer: &End, family: Family) -> Vec<(IpAddr, IpAddr)> {
    bring_up(netlink, LOOPBACK_INDEX);
    silence(netlink, own.index, family);
    enlarge(netlink, own.index);
    bring_up(netlink, own.index);
    let mut pairs = vec![(own.v4, peer.v4)];
    if family == Family::Both {
        pairs.push((own.v6, peer.v6));
    }
    for &(address, other) in &pairs {
        add_address(netlink, own.index, address);
        add_neighbour(netlink, own.index, other, peer.mac);
    }
    pairs
}

fn link(end: &End) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = end.index;
    message.attributes = vec![
        LinkAttribute::IfName(end.name.to_owned()),
        LinkAttribute::Address(end.mac.to_vec()),
        LinkAttribute::Mtu(MTU),
        LinkAttribute::NumTxQueues(1),
        LinkAttribute::NumRxQueues(1),
    ];
    message
}

/// No link-local address, hence no duplicate address detection and no router solicitation. The
/// kernel takes this only before the link goes up, and not while it is made.
fn silence(netlink: &mut Netlink, index: u32, family: Family) {
    if family == Family::V4Only {
        return;
    }
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes =
        vec![LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(
            In6AddrGenMode::None,
        )])])];
    netlink.add("silencing a link", 0, RouteNetlinkMessage::SetLink(message));
}

/// Lets TCP hand the other end up to half a mebibyte at once (ip-link(8), `gso_max_size` for IPv6 and
/// `gso_ipv4_max_size`: "BIG TCP"). The kernel takes more than 64 KiB since Linux 5.19, for IPv4 since 6.3.
fn enlarge(netlink: &mut Netlink, index: u32) {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![LinkAttribute::GsoMaxSize(AT_ONCE), LinkAttribute::GsoIpv4MaxSize(AT_ONCE)];
    netlink.add_optional("enlarging a link's packets", RouteNetlinkMessage::SetLink(message));
}

fn bring_up(netlink: &mut Netlink, index: u32) {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    netlink.add("bringing a link up", 0, RouteNetlinkMessage::SetLink(message));
}

fn add_address(netlink: &mut Netlink, index: u32, address: IpAddr) {
    let mut message = AddressMessage::default();
    message.header.family = family_of(address);
    message.header.prefix_len = if address.is_ipv4() { PREFIX_V4 } else { PREFIX_V6 };
    message.header.index = index;
    // The pair is private, so there is no duplicate to detect.
    message.header.flags = AddressHeaderFlags::Nodad;
    message.attributes = vec![AddressAttribute::Address(address), AddressAttribute::Local(address)];
    netlink.add("adding an address", NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewAddress(message));
}

fn add_neighbour(netlink: &mut Netlink, index: u32, address: IpAddr, mac: [u8; 6]) {
    let mut message = NeighbourMessage::default();
    message.header.family = family_of(address);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    let destination = match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    message.attributes = vec![
        NeighbourAttribute::Destination(destination),
        NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
    ];
    netlink.add("adding a neighbour", NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewNeighbour(message));
}

fn add_default_route(netlink: &mut Netlink, gateway: IpAddr) {
    let mut message = route(gateway, RouteHeader::RT_TABLE_MAIN, RouteScope::Universe, RouteType::Unicast);
    message.attributes = vec![
        RouteAttribute::Gateway(route_address(gateway)),
        RouteAttribute::Oif(JOB_INDEX),
        RouteAttribute::Metrics(vec![RouteMetric::CcAlgo(CONGESTION_CONTROL.to_owned())]),
    ];
    netlink.add("adding a default route", NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewRoute(message));
}

/// The kernel makes this route itself, but for IPv6 in a worker that runs some time later
/// (net/ipv6/addrconf.c, addrconf_dad_work), and what arrives until then is lost.
fn add_local_route(netlink: &mut Netlink, own: IpAddr) {
    let mut message = route(own, LOCAL_TABLE, RouteScope::Host, RouteType::Local);
    message.header.destination_prefix_length = 128;
    message.attributes =
        vec![RouteAttribute::Destination(route_address(own)), RouteAttribute::Oif(JOB_INDEX)];
    // By its metric it is another route than that of the worker, which may have been quicker.
    netlink.add("adding the job's own route", NLM_F_CREATE, RouteNetlinkMessage::NewRoute(message));
}

/// `ip route add local default dev lo table 100` (Documentation/networking/tproxy.rst).
fn add_capture_route(netlink: &mut Netlink, family: IpAddr) {
    let mut message = route(family, CAPTURE_TABLE, RouteScope::Host, RouteType::Local);
    message.attributes = vec![RouteAttribute::Oif(LOOPBACK_INDEX)];
    netlink.add(
        "adding the capture route",
        NLM_F_CREATE | NLM_F_EXCL,
        RouteNetlinkMessage::NewRoute(message),
    );
}

/// `ip rule add iif cj0 lookup 100`. The input link and not a packet mark selects the table: a
/// mark would also steer the reverse path check on hosts that set `src_valid_mark`.
fn add_capture_rule(netlink: &mut Netlink, family: IpAddr) {
    let mut message = RuleMessage::default();
    message.header.family = family_of(family);
    message.header.table = CAPTURE_TABLE;
    message.header.action = RuleAction::ToTable;
    message.attributes =
        vec![RuleAttribute::Iifname(GATEWAY_LINK.to_owned()), RuleAttribute::Priority(CAPTURE_RULE_PRIORITY)];
    netlink.add("adding the capture rule", NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewRule(message));
}

fn route(family: IpAddr, table: u8, scope: RouteScope, kind: RouteType) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(family);
    message.header.table = table;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = scope;
    message.header.kind = kind;
    message
}

fn family_of(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}
