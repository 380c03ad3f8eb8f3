//! The steps of [`start`](super::start), each alone, for the doctor's checks. Every one of them
//! leaves the calling thread in another network namespace, so it runs in a process of its own.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use netlink_packet_netfilter::NetfilterProtoFamily;

use crate::error::{During, Result, Step};

use super::netlink::Netlink;
use super::nflog::DropLog;
use super::packet_rules::{capture, install_rules, log};
use super::plan::{DNS_PORT, TCP_PORT, UDP_PORT};
use super::raw::RawSender;
use super::setup::{Family, kernel_has_ipv6, link_error, rules_error};
use super::{links, namespace, sockets};

/// Both network namespaces of a run, with the calling thread in the job's.
pub(crate) struct Pair {
    gateway_ns: OwnedFd,
    gateway: Netlink,
    job: Netlink,
}

/// Makes the two namespaces.
pub(crate) fn namespaces() -> Result<Pair> {
    let gateway_ns =
        namespace::unshare_network().during(Step::NetworkNamespace, "making the gateway namespace")?;
    let gateway = links::open().during(Step::Link, "opening a route socket")?;
    namespace::unshare_network().during(Step::NetworkNamespace, "making the job namespace")?;
    let job = links::open().during(Step::Link, "opening a route socket")?;
    Ok(Pair { gateway_ns, gateway, job })
}

/// Links the two.
pub(crate) fn link(pair: &mut Pair) -> Result<()> {
    links::create_pair(&mut pair.job, pair.gateway_ns.as_fd()).map_err(link_error)
}

/// Addresses, routes and the capture rule on both ends of the link.
pub(crate) fn routing(pair: &mut Pair) -> Result<()> {
    let family = family();
    links::configure_job(&mut pair.job, family).map_err(link_error)?;
    namespace::enter_network(&pair.gateway_ns)
        .during(Step::NetworkNamespace, "entering the gateway namespace")?;
    links::configure_gateway(&mut pair.gateway, family).map_err(link_error)
}

/// The families of the calling thread's namespace.
pub(crate) fn family() -> Family {
    if kernel_has_ipv6() { Family::Both } else { Family::V4Only }
}

/// The nftables table and its chains, without rules.
pub(crate) fn chains() -> Result<()> {
    install_rules(Vec::new()).map_err(rules_error)
}

/// The rules that capture.
pub(crate) fn tproxy() -> Result<()> {
    let mut rules = Vec::from(capture(NetfilterProtoFamily::IPv4));
    if family() == Family::Both {
        rules.extend(capture(NetfilterProtoFamily::IPv6));
    }
    install_rules(rules).map_err(rules_error)
}

/// The rule that records what is dropped, and the socket that reads the records.
pub(crate) fn drop_log() -> Result<()> {
    install_rules(vec![vec![log()]]).map_err(rules_error)?;
    DropLog::open().map(drop).map_err(rules_error)
}

/// Every kind of socket that the gateway opens.
pub(crate) fn gateway_sockets() -> Result<()> {
    let families: &[bool] = if family() == Family::Both { &[false, true] } else { &[false] };
    for &v6 in families {
        let at = |port| SocketAddr::new(sockets::any(v6), port);
        sockets::tproxy_listener(at(TCP_PORT)).during(Step::Socket, "opening the TCP listener")?;
        sockets::tproxy_datagrams(at(UDP_PORT)).during(Step::Socket, "opening the UDP socket")?;
        sockets::tproxy_datagrams(at(DNS_PORT)).during(Step::Socket, "opening the DNS socket")?;
        RawSender::open(v6).during(Step::Socket, "opening raw sockets")?;
    }
    Ok(())
}
