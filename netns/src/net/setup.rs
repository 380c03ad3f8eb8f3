//! Builds the network of a run, one side after the other.

use std::net::TcpListener;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::error::{During, Error, Result, Step};

use super::datagram::DatagramSocket;
use super::gateway_side::{Capture, GatewaySide};
use super::job_side::{JobSide, Offered};
use super::netlink::Refused;
use super::nflog::DropLog;
use super::proof::Attempt;
use super::raw::RawSender;

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
    /// What must be denied to the job as long as it runs.
    pub proof: Vec<Attempt>,
}

/// A network that a thread is building. Dropping it waits for the thread.
#[derive(Debug)]
pub struct Building(Option<JoinHandle<Result<Network>>>);

/// Starts to build the network in a thread of its own, and returns as soon as its namespaces are there: they
/// take longest, and are not kept waiting where processors are few. The process stays in the host namespace
/// and does something else while the rest is built. `entered` gets the job namespace at once.
///
/// # Errors
/// No thread could be started; what goes wrong in it is told by [`Building::finish`].
pub fn start(
    request: NetworkRequest,
    entered: impl FnOnce(BorrowedFd<'_>) -> Result<()> + Send + 'static,
) -> Result<Building> {
    let (separated, are_separated) = sync_channel(1);
    let builder = thread::Builder::new().name("network".to_owned());
    let building = builder.spawn(move || build(&request, entered, separated));
    let building = building.during(Step::NetworkNamespace, "starting a thread")?;
    // A thread that has failed leaves this at once.
    let _ = are_separated.recv();
    Ok(Building(Some(building)))
}

impl Building {
    /// Waits for the network.
    ///
    /// # Errors
    /// The step that the kernel refused, with its remedy where one is known.
    pub fn finish(mut self) -> Result<Network> {
        let panicked = || {
            let source = std::io::Error::other("the thread panicked");
            Error::new(Step::NetworkNamespace, "building the network", source)
        };
        self.0.take().and_then(|building| building.join().ok()).unwrap_or_else(|| Err(panicked()))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        if let Some(building) = self.0.take() {
            // Whoever drops it has an error of its own to tell.
            let _ = building.join();
        }
    }
}

/// One thread does it all: two would save less than their waiting for one another costs.
fn build(
    request: &NetworkRequest,
    entered: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    separated: SyncSender<()>,
) -> Result<Network> {
    let mut job = JobSide::new()?;
    entered(job.namespace())?;
    let mut gateway = GatewaySide::new()?;
    drop(separated);
    let family = gateway.family();
    let capture = gateway.capture()?;
    job.create_pair(gateway.namespace())?;
    gateway.configure()?;
    job.configure(family)?;
    let offered = job.offer(request, family)?;
    job.settle()?;
    gateway.settle()?;
    Ok(assemble(family, capture, offered))
}

fn assemble(family: Family, capture: Capture, offered: Offered) -> Network {
    let Capture { mut tcp, udp, mut dns, raw, drops } = capture;
    let Offered { loopback, loopback_dns, proof } = offered;
    if let Some((listener, socket)) = loopback_dns {
        tcp.push(listener);
        dns.push(socket);
    }
    Network { family, tcp, udp, dns, loopback, raw, drops, proof }
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
