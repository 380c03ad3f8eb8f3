//! Records what the packet rules dropped: everything that is neither TCP nor UDP.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;

use etherparse::ether_type;
use netns::net::DropLog;
use policy::Reason;

use crate::audit::{Audit, Event, Kind, Outcome};
use crate::frame::{self, Dropped};

/// Octets of one read from the kernel.
const READ: usize = 64 * 1024;
/// Flows that get an event of their own.
const MAX_FLOWS: usize = 4096;

/// Reads the records of dropped packets for as long as the run lasts: one event a flow.
///
/// # Errors
/// The socket cannot be watched.
pub async fn serve_drops(log: DropLog, audit: Audit) -> io::Result<()> {
    let log = netns::watch(log)?;
    let mut buffer = vec![0; READ];
    let mut flows = HashSet::new();
    loop {
        let mut ready = log.readable().await?;
        let read = ready.try_io(|log| {
            log.get_ref().receive(&mut buffer, |packet| {
                if let Some(dropped) = classify(packet)
                    && flows.len() < MAX_FLOWS
                    && flows.insert((dropped.kind, dropped.destination, dropped.destination_port))
                {
                    audit.record(event(&dropped));
                }
            })
        });
        // ENOBUFS means that records were lost, not the socket; garbage is skipped.
        if let Ok(Err(error)) = read
            && !matches!(error.kind(), io::ErrorKind::InvalidData)
            && error.raw_os_error() != Some(nobufs())
        {
            return Err(error);
        }
    }
}

/// ENOBUFS on Linux, all architectures that this runs on.
fn nobufs() -> i32 {
    105
}

fn classify(packet: &[u8]) -> Option<Dropped> {
    let protocol = match packet.first()? >> 4 {
        6 => ether_type::IPV6.0,
        _ => ether_type::IPV4.0,
    };
    let dropped = Dropped::read(protocol, packet);
    (!dropped.is_link_noise()).then_some(dropped)
}

fn event(dropped: &Dropped) -> Event {
    let kind = match dropped.kind {
        frame::Kind::Icmp | frame::Kind::Icmpv6 => Kind::Icmp,
        frame::Kind::Tcp => Kind::Tcp,
        frame::Kind::Udp => Kind::Udp,
        _ => Kind::Other,
    };
    let mut event = Event::new(Outcome::Deny, kind);
    event.destination = dropped.destination.filter(|address: &IpAddr| !address.is_unspecified());
    event.port = dropped.destination_port;
    event.reason = Some(Reason::ProtocolNotAllowed);
    if kind == Kind::Other {
        event.detail = Some(format!("{:?}", dropped.kind).to_lowercase());
    }
    event
}
