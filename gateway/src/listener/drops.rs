//! Records what the packet rules dropped: everything that is neither TCP nor UDP.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;

use etherparse::ether_type;
use netns::net::{DropLog, DropRecord};
use policy::Reason;
use tokio::io::unix::AsyncFd;

use crate::audit::{Audit, Event, Kind, Outcome};
use crate::frame::{self, Dropped};
use crate::scratch::Scratch;

/// Octets of one read from the kernel.
const READ: usize = 64 * 1024;
/// For one read at a time.
static RECORDS: Scratch<READ> = Scratch::new();
/// Reads when the job has ended: more than the kernel lets wait, as nobody sends any more.
const MOST_AT_THE_END: usize = 65_536;
/// Flows that get an event of their own.
const MAX_FLOWS: usize = 4096;

/// The records of dropped packets: one event a flow, and one for what has no record.
pub struct Drops {
    log: AsyncFd<DropLog>,
    tally: Tally,
}

/// What the records add up to.
struct Tally {
    audit: Audit,
    flows: HashSet<(frame::Kind, Option<IpAddr>, Option<u16>)>,
    /// The number that the next record has if none is lost.
    next: u32,
    missing: u64,
    untold: u64,
}

impl Drops {
    /// Registers the log with the event loop.
    ///
    /// # Errors
    /// The socket cannot be watched.
    pub fn new(log: DropLog, audit: Audit) -> io::Result<Drops> {
        let tally = Tally { audit, flows: HashSet::new(), next: 0, missing: 0, untold: 0 };
        Ok(Drops { log: netns::watch(log)?, tally })
    }

    /// Reads records for as long as the run lasts; returns only if the socket breaks.
    pub async fn serve(&mut self) -> io::Error {
        loop {
            let read = match self.log.readable().await {
                Ok(mut ready) => ready.try_io(|log| read(log.get_ref(), &mut self.tally)),
                Err(error) => return error,
            };
            match read {
                Ok(Err(error)) => return error,
                // A job that floods the gateway keeps nobody else from their turn.
                Ok(Ok(())) => tokio::task::yield_now().await,
                Err(_) => {}
            }
        }
    }

    /// Reads what is left once the job has ended, and tells how many packets were dropped without an event that
    /// explains them: more flows than can be told, or records that found the socket full.
    pub fn finish(mut self) {
        for _ in 0..MOST_AT_THE_END {
            if read(self.log.get_ref(), &mut self.tally).is_err() {
                break;
            }
        }
        // The numbers show what is missing between two records, the socket also what is missing after the last.
        let overflowed = self.log.get_ref().overflowed().unwrap_or(0);
        let unexplained = self.tally.missing.max(overflowed) + self.tally.untold;
        if unexplained == 0 {
            return;
        }
        let mut event = Event::new(Outcome::Deny, Kind::Other);
        event.reason = Some(Reason::Limit);
        let packets = if unexplained == 1 { "packet was" } else { "packets were" };
        event.detail = Some(format!("{unexplained} {packets} dropped without a record"));
        self.tally.audit.record(event);
    }
}

fn read(log: &DropLog, tally: &mut Tally) -> io::Result<()> {
    match RECORDS.with(|buffer| log.receive(buffer, |record| tally.add(record))) {
        // Records were lost, not the socket; garbage is skipped. The numbers of the others show both.
        Err(error)
            if error.kind() == io::ErrorKind::InvalidData || error.raw_os_error() == Some(nobufs()) =>
        {
            Ok(())
        }
        result => result,
    }
}

impl Tally {
    fn add(&mut self, record: DropRecord<'_>) {
        self.missing += u64::from(record.sequence.wrapping_sub(self.next));
        self.next = record.sequence.wrapping_add(1);
        let Some(dropped) = classify(record.packet) else { return };
        let flow = (dropped.kind, dropped.destination, dropped.destination_port);
        if self.flows.contains(&flow) {
            return;
        }
        if self.flows.len() >= MAX_FLOWS {
            self.untold += 1;
            return;
        }
        self.flows.insert(flow);
        self.audit.record(event(&dropped));
    }
}

/// ENOBUFS on Linux, all architectures that this runs on.
fn nobufs() -> i32 {
    105
}

fn classify(packet: &[u8]) -> Option<Dropped> {
    let protocol = match packet.first().copied().unwrap_or_default() >> 4 {
        6 => ether_type::IPV6.0,
        _ => ether_type::IPV4.0,
    };
    let dropped = Dropped::read(protocol, packet);
    (!dropped.is_link_noise() && !is_late(&dropped)).then_some(dropped)
}

/// Whether the job's kernel says that nobody waits for an answer any more, as where a client has closed its socket. The
/// job itself cannot send such a packet.
fn is_late(dropped: &Dropped) -> bool {
    let icmp = dropped.icmp.map(|icmp| (dropped.kind, icmp.kind, icmp.code));
    matches!(icmp, Some((frame::Kind::Icmp, 3, 3) | (frame::Kind::Icmpv6, 1, 4)))
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
