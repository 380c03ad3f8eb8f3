//! Builds the network of a run: both namespaces, the link, the rules, the sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};

use crate::error::{During, Error, Result, Step};

use super::datagram::DatagramSocket;
use super::links;
use super::namespace::{enter_network, unshare_network};
use super::netlink::Refused;
use super::nflog::DropLog;
use super::packet_rules;
use super::plan::{DNS_PORT, TCP_PORT, UDP_PORT};
use super::raw::RawSender;
use super::sockets;

/// The address families of a run. A kernel without IPv6 still serves, as nothing of IPv6 can leave
/// the job then either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6.
    Both,
    /// IPv4 alone: the kernel has no IPv6, or it is switched off for new namespaces.
    V4Only,
}

/// What the caller wants besides the fixed parts.
#[derive(Debug, Default, Clone)]
pub struct NetworkRequest {
    /// Ports of the host's loopback that are offered on the job's own loopback.
    pub loopback_ports: Vec<u16>,
    /// Whether the DNS server also sits on the job's loopback, where resolvers without a
    /// configuration file ask.
    pub loopback_dns: bool,
}

/// A listener on the job's own loopback, and the port that it stands for.
#[derive(Debug)]
pub struct LoopbackListener {
    /// The listener, non-blocking.
    pub listener: TcpListener,
    /// Where on the host's loopback connections go.
    pub port: u16,
}

/// The network of one run. Dropping it gives up the namespaces and everything in them.
#[derive(Debug)]
pub struct Network {
    /// Which families work.
    pub family: Family,
    /// TPROXY listeners, one a family: the local address of an accepted connection is its original
    /// destination.
    pub tcp: Vec<TcpListener>,
    /// Datagrams other than DNS, one socket a family.
    pub udp: Vec<DatagramSocket>,
    /// Datagrams to port 53, one socket a family.
    pub dns: Vec<DatagramSocket>,
    /// Ports of the host's loopback, offered to the job.
    pub loopback: Vec<LoopbackListener>,
    /// Sends UDP replies and ICMP errors to the job.
    pub raw: RawSender,
    /// Records of dropped packets.
    pub drops: DropLog,
    /// The job's network namespace.
    pub(crate) job: OwnedFd,
}

/// A network that a thread is building. Dropping it waits for that thread.
#[derive(Debug)]
pub struct Building(Option<JoinHandle<Result<Network>>>);

/// Starts to build the network in a thread of its own, so that the process stays in the host
/// namespace and does something else meanwhile.
///
/// # Errors
/// No thread could be started.
pub fn start(request: NetworkRequest) -> Result<Building> {
    let builder = thread::Builder::new().name("netns-setup".to_owned());
    let handle =
        builder.spawn(move || build_here(&request)).during(Step::NetworkNamespace, "starting a thread")?;
    Ok(Building(Some(handle)))
}

impl Building {
    /// Waits for the network.
    ///
    /// # Errors
    /// The step that the kernel refused, with its remedy where one is known.
    pub fn finish(mut self) -> Result<Network> {
        let panicked = || {
            let source = std::io::Error::other("the thread panicked");
            Err(Error::new(Step::NetworkNamespace, "building the network", source))
        };
        self.0.take().and_then(|handle| handle.join().ok()).unwrap_or_else(panicked)
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            // Whoever drops it has an error of its own to tell.
            let _ = handle.join();
        }
    }
}

fn build_here(request: &NetworkRequest) -> Result<Network> {
    let gateway_ns = unshare_network().during(Step::NetworkNamespace, "making the gateway namespace")?;
    let mut gateway = links::open().during(Step::Link, "opening a route socket in the gateway namespace")?;
    let job_ns = unshare_network().during(Step::NetworkNamespace, "making the job namespace")?;
    let mut job = links::open().during(Step::Link, "opening a route socket in the job namespace")?;

    links::create_pair(&mut gateway, job_ns.as_fd()).map_err(link_error)?;
    let family = if kernel_has_ipv6() { Family::Both } else { Family::V4Only };
    links::configure_job(&mut job, family).map_err(link_error)?;
    let loopback = loopback_listeners(request, family)?;
    let local_dns = if request.loopback_dns { Some(loopback_dns()?) } else { None };

    enter_network(&gateway_ns).during(Step::NetworkNamespace, "entering the gateway namespace")?;
    links::configure_gateway(&mut gateway, family).map_err(link_error)?;
    packet_rules::install(family).map_err(rules_error)?;
    let drops = DropLog::open().map_err(rules_error)?;
    let v6 = family == Family::Both;
    let raw = RawSender::open(v6).during(Step::Socket, "opening raw sockets in the gateway namespace")?;
    let families: &[bool] = if v6 { &[false, true] } else { &[false] };
    let mut network =
        Network { family, tcp: vec![], udp: vec![], dns: vec![], loopback, raw, drops, job: job_ns };
    for &v6 in families {
        let at = |port| SocketAddr::new(sockets::any(v6), port);
        network
            .tcp
            .push(sockets::tproxy_listener(at(TCP_PORT)).during(Step::Socket, "opening the TCP listener")?);
        network
            .udp
            .push(sockets::tproxy_datagrams(at(UDP_PORT)).during(Step::Socket, "opening the UDP socket")?);
        network
            .dns
            .push(sockets::tproxy_datagrams(at(DNS_PORT)).during(Step::Socket, "opening the DNS socket")?);
    }
    if let Some((tcp, udp)) = local_dns {
        network.tcp.push(tcp);
        network.dns.push(udp);
    }
    Ok(network)
}

fn loopback_dns() -> Result<(TcpListener, DatagramSocket)> {
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS_PORT);
    let during = "opening the DNS server on the job's loopback";
    let tcp = sockets::listener(address).during(Step::Socket, during)?;
    let udp = sockets::tproxy_datagrams(address).during(Step::Socket, during)?;
    Ok((tcp, udp))
}

fn loopback_listeners(request: &NetworkRequest, family: Family) -> Result<Vec<LoopbackListener>> {
    let mut listeners = Vec::new();
    for &port in &request.loopback_ports {
        let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        if family == Family::Both {
            addresses.push(IpAddr::V6(Ipv6Addr::LOCALHOST));
        }
        for address in addresses {
            let listener = sockets::listener(SocketAddr::new(address, port))
                .during(Step::Socket, format!("offering localhost:{port} in the job namespace"))?;
            listeners.push(LoopbackListener { listener, port });
        }
    }
    Ok(listeners)
}

/// Both families are configured, or none of IPv6: the file says whether new namespaces have it.
pub(super) fn kernel_has_ipv6() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/conf/default/disable_ipv6")
        .is_ok_and(|text| text.trim() == "0")
}

pub(super) fn link_error(refused: Refused) -> Error {
    Error::new(Step::Link, refused.what, refused.source)
}

pub(super) fn rules_error(refused: Refused) -> Error {
    Error::new(Step::PacketRules, refused.what, refused.source)
}
