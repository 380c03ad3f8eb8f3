//! What of a run's network is built from inside the gateway namespace: the packet rules, the sockets
//! that capture, the gateway's end of the link.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::error::{During, Result, Step};

use super::datagram::DatagramSocket;
use super::namespace::unshare_network;
use super::netlink::Netlink;
use super::nflog::DropLog;
use super::plan::{DNS_PORT, TCP_PORT, UDP_PORT};
use super::raw::RawSender;
use super::setup::{Family, kernel_has_ipv6, link_error, rules_error};
use super::{links, packet_rules, sockets};

/// A gateway namespace that has no link yet, with the calling thread in it.
pub(super) struct GatewaySide {
    namespace: OwnedFd,
    routes: Netlink,
    family: Family,
}

/// The sockets that capture what the job sends.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) tcp: Vec<TcpListener>,
    pub(super) udp: Vec<DatagramSocket>,
    pub(super) dns: Vec<DatagramSocket>,
    pub(super) raw: RawSender,
    pub(super) drops: DropLog,
}

impl GatewaySide {
    /// Puts the calling thread into a new namespace.
    pub(super) fn new() -> Result<GatewaySide> {
        let namespace = unshare_network().during(Step::NetworkNamespace, "making the gateway namespace")?;
        let routes = links::open().during(Step::Link, "opening a route socket in the gateway namespace")?;
        let family = if kernel_has_ipv6() { Family::Both } else { Family::V4Only };
        Ok(GatewaySide { namespace, routes, family })
    }

    pub(super) fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    /// Installs the rules and opens the sockets; neither needs the link.
    pub(super) fn capture(&self) -> Result<Capture> {
        packet_rules::install(self.family).map_err(rules_error)?;
        let drops = DropLog::open().map_err(rules_error)?;
        let v6 = self.family == Family::Both;
        let raw = RawSender::open(v6).during(Step::Socket, "opening raw sockets in the gateway namespace")?;
        let mut capture = Capture { tcp: vec![], udp: vec![], dns: vec![], raw, drops };
        let families: &[bool] = if v6 { &[false, true] } else { &[false] };
        for &v6 in families {
            let at = |port| SocketAddr::new(sockets::any(v6), port);
            let tcp =
                sockets::tproxy_listener(at(TCP_PORT)).during(Step::Socket, "opening the TCP listener")?;
            let udp =
                sockets::tproxy_datagrams(at(UDP_PORT)).during(Step::Socket, "opening the UDP socket")?;
            let dns =
                sockets::tproxy_datagrams(at(DNS_PORT)).during(Step::Socket, "opening the DNS socket")?;
            capture.tcp.push(tcp);
            capture.udp.push(udp);
            capture.dns.push(dns);
        }
        Ok(capture)
    }

    /// Configures this end of a link that has been made.
    pub(super) fn configure(&mut self) -> Result<()> {
        links::configure_gateway(&mut self.routes, self.family).map_err(link_error)
    }

    /// Waits until this end is up.
    pub(super) fn settle(&mut self) -> Result<()> {
        links::settle_gateway(&mut self.routes).map_err(link_error)
    }
}
