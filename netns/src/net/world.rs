//! A network to try the jail in: an "internet" namespace that stands for everything outside, a "host"
//! namespace that stands for the machine, and a link between them. The caller's own network
//! namespace has no part in it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::thread;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::sys::socket::{LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt};

use crate::error::{During, Error, Result, Step};

use super::links;
use super::namespace::{enter_network, unshare_network};
use super::netlink::{Netlink, Refused};

/// The internet's end of the link (TEST-NET-1, RFC 5737), the host's default route.
pub const WORLD_GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The host's end of the link.
pub const WORLD_HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// Bits in the link's network.
const LINK_PREFIX: u8 = 24;
/// Bits in the network of an address that stands alone.
const WHOLE: u8 = 32;
/// The loopback link of every network namespace.
const LOOPBACK_INDEX: u32 = 1;
/// The indices of both ends. They differ, as the kernel takes an end whose peer has the same index
/// for a link without a peer, and is then slow to notice that it is up.
const INTERNET_INDEX: u32 = 1000;
const HOST_INDEX: u32 = 1001;
/// Octets of frames that may wait to be read.
const RECORDER_BUFFER: usize = 16 * 1024 * 1024;

type Requested = std::result::Result<(), Refused>;

/// The two namespaces. Dropping it gives them up.
#[derive(Debug)]
pub struct World {
    internet: OwnedFd,
    host: OwnedFd,
}

impl World {
    /// Makes both namespaces and the link. `addresses` are the internet's own, besides its end of
    /// the link.
    ///
    /// # Errors
    /// The step that the kernel refused, with its remedy where one is known.
    pub fn build(addresses: &[Ipv4Addr]) -> Result<World> {
        on_thread(|| build_here(addresses)).during(Step::NetworkNamespace, "starting a thread")?
    }

    /// Runs something in the internet namespace, on a thread of its own. Sockets that it opens stay
    /// there.
    ///
    /// # Errors
    /// The thread cannot start or enter the namespace.
    pub fn in_internet<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        in_namespace(&self.internet, work)
    }

    /// Runs something in the host namespace, on a thread of its own. Programs that it starts stay
    /// there and may open raw sockets, as if the administrator had started them.
    ///
    /// # Errors
    /// The thread cannot start or enter the namespace.
    pub fn in_host<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        in_namespace(&self.host, || {
            // Without this right the programs find raw sockets refused, and say so.
            let _ = crate::job::bequeath_raw_sockets();
            work()
        })
    }

    /// Sees every frame that reaches the internet namespace from now on.
    ///
    /// # Errors
    /// Packet sockets are refused.
    pub fn recorder(&self) -> Result<FrameRecorder> {
        self.in_internet(FrameRecorder::open)?
            .during(Step::Socket, "opening a packet socket in the internet namespace")
    }
}

/// A packet socket (packet(7)) on all links of a namespace.
#[derive(Debug)]
pub struct FrameRecorder(OwnedFd);

impl FrameRecorder {
    fn open() -> io::Result<FrameRecorder> {
        let (family, protocol) = (nix::sys::socket::AddressFamily::Packet, SockProtocol::EthAll);
        let fd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        // The larger buffer needs a capability over the first user namespace.
        if setsockopt(&fd, sockopt::RcvBufForce, &RECORDER_BUFFER).is_err() {
            setsockopt(&fd, sockopt::RcvBuf, &RECORDER_BUFFER)?;
        }
        Ok(FrameRecorder(fd))
    }

    /// Waits for the next frame that came from outside the namespace and returns its length, from
    /// its Ethernet header on; a longer one than the buffer is cut.
    ///
    /// # Errors
    /// The socket broke.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match recvfrom::<LinkAddr>(self.0.as_raw_fd(), buffer) {
                Ok((_, Some(from))) if from.pkttype() == libc::PACKET_OUTGOING => {}
                Ok((length, _)) => return Ok(length),
                // A link of the namespace went up or down.
                Err(nix::Error::EINTR | nix::Error::ENETDOWN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn in_namespace<T: Send>(namespace: &OwnedFd, work: impl FnOnce() -> T + Send) -> Result<T> {
    let entered = on_thread(|| enter_network(namespace).map(|()| work()));
    entered.and_then(|entered| entered).during(Step::NetworkNamespace, "entering a network namespace")
}

/// Runs something on a thread of its own, which may change its namespaces and capabilities.
fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, work)?;
        thread.join().map_err(|_| io::Error::other("the thread panicked"))
    })
}

fn build_here(addresses: &[Ipv4Addr]) -> Result<World> {
    let made = |what| move |source: io::Error| Error::new(Step::NetworkNamespace, what, source);
    let opened = |source: io::Error| Error::new(Step::Link, "opening a route socket", source);
    let refused = |refused: Refused| Error::new(Step::Link, refused.what, refused.source);
    let host = unshare_network().map_err(made("making the host namespace"))?;
    let mut on_host = links::open().map_err(opened)?;
    let internet = unshare_network().map_err(made("making the internet namespace"))?;
    let mut on_internet = links::open().map_err(opened)?;
    create_pair(&mut on_internet, std::os::fd::AsFd::as_fd(&host)).map_err(refused)?;
    configure(&mut on_internet, INTERNET_INDEX, WORLD_GATEWAY, addresses).map_err(refused)?;
    configure(&mut on_host, HOST_INDEX, WORLD_HOST, &[]).map_err(refused)?;
    add_default_route(&mut on_host).map_err(refused)?;
    Ok(World { internet, host })
}

fn create_pair(internet: &mut Netlink, host: BorrowedFd<'_>) -> Requested {
    let mut peer = link(HOST_INDEX);
    peer.attributes =
        vec![LinkAttribute::IfName("eth0".to_owned()), LinkAttribute::NetNsFd(host.as_raw_fd())];
    let mut message = link(INTERNET_INDEX);
    message.attributes = vec![
        LinkAttribute::IfName("world0".to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    internet.add("making the veth pair", NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewLink(message));
    internet.commit::<RouteNetlinkMessage>()
}

fn configure(netlink: &mut Netlink, index: u32, end: Ipv4Addr, others: &[Ipv4Addr]) -> Requested {
    for index in [LOOPBACK_INDEX, index] {
        let mut message = link(index);
        (message.header.flags, message.header.change_mask) = (LinkFlags::Up, LinkFlags::Up);
        netlink.add("bringing a link up", 0, RouteNetlinkMessage::SetLink(message));
    }
    let others = others.iter().map(|&address| (address, WHOLE));
    for (address, prefix) in std::iter::once((end, LINK_PREFIX)).chain(others) {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = prefix;
        message.header.index = index;
        let address = IpAddr::V4(address);
        message.attributes = vec![AddressAttribute::Address(address), AddressAttribute::Local(address)];
        netlink.add("adding an address", NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewAddress(message));
    }
    netlink.commit::<RouteNetlinkMessage>()
}

fn add_default_route(netlink: &mut Netlink) -> Requested {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes =
        vec![RouteAttribute::Gateway(RouteAddress::Inet(WORLD_GATEWAY)), RouteAttribute::Oif(HOST_INDEX)];
    netlink.add("adding a default route", NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewRoute(message));
    netlink.commit::<RouteNetlinkMessage>()
}

fn link(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}
