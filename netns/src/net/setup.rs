//! Builds the network of a run, its two sides at once.

use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::error::{During, Error, Result, Step};

use super::datagram::DatagramSocket;
use super::gateway_side::{Capture, Captured, GatewaySide};
use super::job_side::{JobSide, Linked};
use super::links;
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

/// A network that threads are building. Dropping it waits for them.
#[derive(Debug)]
pub struct Building(Option<Sides>);

#[derive(Debug)]
struct Sides {
    gateway: JoinHandle<Result<Option<Captured>>>,
    job: JoinHandle<Result<Option<Linked>>>,
}

/// Starts to build both sides of the network, each in a thread of its own, as making a namespace
/// takes most of the time. The process stays in the host namespace and does something else
/// meanwhile. `entered` gets the job namespace as soon as there is one.
///
/// # Errors
/// No thread could be started.
pub fn start(
    request: NetworkRequest,
    entered: impl FnOnce(BorrowedFd<'_>) -> Result<()> + Send + 'static,
) -> Result<Building> {
    let (gateway_is_there, gateway_side) = sync_channel(1);
    let (link_is_there, link) = sync_channel(1);
    let job = spawn("netns-job", move || build_job_side(&request, entered, &gateway_side, &link_is_there))?;
    let gateway = spawn("netns-gateway", move || build_gateway_side(gateway_is_there, &link))?;
    Ok(Building(Some(Sides { gateway, job })))
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<JoinHandle<Result<T>>> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(work).during(Step::NetworkNamespace, "starting a thread")
}

impl Building {
    /// Waits for the network.
    ///
    /// # Errors
    /// The step that the kernel refused, with its remedy where one is known.
    pub fn finish(mut self) -> Result<Network> {
        let Some(sides) = self.0.take() else { return Err(panicked()) };
        let captured = sides.gateway.join().unwrap_or_else(|_| Err(panicked()));
        let linked = sides.job.join().unwrap_or_else(|_| Err(panicked()));
        // A side that the other has left alone has no error of its own.
        let (Some(mut captured), Some(mut linked)) = (captured?, linked?) else { return Err(panicked()) };
        links::settle_job(&mut linked.routes).map_err(link_error)?;
        links::settle_gateway(&mut captured.routes).map_err(link_error)?;
        Ok(assemble(captured, linked))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        if let Some(sides) = self.0.take() {
            // Whoever drops it has an error of its own to tell.
            let _ = (sides.gateway.join(), sides.job.join());
        }
    }
}

/// `None` if the other side has failed.
fn build_gateway_side(
    is_there: SyncSender<(OwnedFd, Family)>,
    link: &Receiver<()>,
) -> Result<Option<Captured>> {
    let side = GatewaySide::new()?;
    let family = side.family();
    let namespace = side.namespace().try_clone_to_owned();
    let namespace = namespace.during(Step::NetworkNamespace, "sharing the gateway namespace")?;
    // The other side may have failed, and says so itself.
    let _ = is_there.send((namespace, family));
    let capture = side.capture()?;
    if link.recv().is_err() {
        return Ok(None);
    }
    side.complete(capture).map(Some)
}

/// `None` if the other side has failed.
fn build_job_side(
    request: &NetworkRequest,
    entered: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    gateway: &Receiver<(OwnedFd, Family)>,
    link_is_there: &SyncSender<()>,
) -> Result<Option<Linked>> {
    let mut side = JobSide::new()?;
    entered(side.namespace())?;
    let Ok((gateway, family)) = gateway.recv() else { return Ok(None) };
    side.create_pair(gateway.as_fd())?;
    // As above.
    let _ = link_is_there.send(());
    side.complete(request, family).map(Some)
}

fn assemble(gateway: Captured, job: Linked) -> Network {
    let family = gateway.family;
    let Capture { mut tcp, udp, mut dns, raw, drops } = gateway.capture;
    if let Some((listener, socket)) = job.loopback_dns {
        tcp.push(listener);
        dns.push(socket);
    }
    Network { family, tcp, udp, dns, loopback: job.loopback, raw, drops, proof: job.proof }
}

fn panicked() -> Error {
    let source = std::io::Error::other("a thread panicked");
    Error::new(Step::NetworkNamespace, "building the network", source)
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
