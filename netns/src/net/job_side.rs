//! What of a run's network is built from inside the job namespace: its end of the link and the
//! listeners on its loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::error::{During, Result, Step};

use super::datagram::DatagramSocket;
use super::namespace::{enter_network, unshare_network};
use super::netlink::Netlink;
use super::plan::DNS_PORT;
use super::proof::Attempt;
use super::setup::{Family, LoopbackListener, NetworkRequest, link_error};
use super::{links, proof, sockets};

/// A job namespace that has no link yet, with the calling thread in it.
pub(super) struct JobSide {
    namespace: OwnedFd,
    routes: Netlink,
}

/// What the gateway serves and uses inside the job namespace.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) loopback: Vec<LoopbackListener>,
    pub(super) loopback_dns: Option<(TcpListener, DatagramSocket)>,
    pub(super) proof: Vec<Attempt>,
}

impl JobSide {
    /// Puts the calling thread into a new namespace.
    pub(super) fn new() -> Result<JobSide> {
        let namespace = unshare_network().during(Step::NetworkNamespace, "making the job namespace")?;
        let routes = links::open().during(Step::Link, "opening a route socket in the job namespace")?;
        Ok(JobSide { namespace, routes })
    }

    pub(super) fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Makes the pair; the other end appears in `gateway`.
    pub(super) fn create_pair(&mut self, gateway: BorrowedFd<'_>) -> Result<()> {
        links::create_pair(&mut self.routes, gateway).map_err(link_error)
    }

    /// Configures this end.
    pub(super) fn configure(&mut self, family: Family) -> Result<()> {
        links::configure_job(&mut self.routes, family).map_err(link_error)
    }

    /// Puts the calling thread back into the namespace, whose addresses are there by now, and opens what the job is
    /// offered on its loopback and the sockets of the proof.
    pub(super) fn offer(&self, request: &NetworkRequest, family: Family) -> Result<Offered> {
        enter_network(&self.namespace).during(Step::NetworkNamespace, "entering the job namespace again")?;
        let loopback = loopback_listeners(request, family)?;
        let loopback_dns = if request.loopback_dns { Some(loopback_dns()?) } else { None };
        let proof = proof::attempts(family)
            .during(Step::Socket, "opening the sockets of the proof in the job namespace")?;
        Ok(Offered { loopback, loopback_dns, proof })
    }

    /// Waits until this end is up.
    pub(super) fn settle(&mut self) -> Result<()> {
        links::settle_job(&mut self.routes).map_err(link_error)
    }
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
