//! The job's UDP other than DNS: relayed if a rule allows it, otherwise refused at once.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dns::{Outcome, TooManyNames};
use netns::net::{CapturedDatagram, DatagramSocket, RawSender};
use policy::{Mode, Name, Reason, Request, Verdict};
use tokio::io::unix::AsyncFd;

use super::queue::OnDatagram;
use super::refusals::Refusals;
use crate::audit::{Event, Kind, Pending};
use crate::connection::{Context, chain};
use crate::packet;
use crate::relay::udp::{Flows, Pair, Sent};
use crate::upstream::Destination;

/// Handles what came on the sockets for UDP.
pub struct Datagrams {
    context: Context,
    raw: Arc<RawSender>,
    flows: Flows,
    refusals: Mutex<Refusals>,
}

impl Datagrams {
    /// For one socket. Answers and refusals go out by `raw`; `flows` are those of all sockets.
    pub fn new(context: Context, raw: Arc<RawSender>, flows: Flows) -> Datagrams {
        let refusals = Mutex::new(Refusals::new(context.policy.limits().udp_idle_timeout));
        Datagrams { context, raw, flows, refusals }
    }
}

impl OnDatagram for Datagrams {
    const LONGEST: usize = 65_535;

    fn handle(&self, _: &Arc<AsyncFd<DatagramSocket>>, datagram: CapturedDatagram, payload: &[u8]) {
        let pair = (datagram.peer, datagram.original_dst);
        if self.flows.send(pair, payload) == Sent::NoFlow {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            begin(pair, payload, &self.context, &self.raw, &self.flows, &mut refusals);
        }
    }
}

fn begin(
    pair: Pair,
    payload: &[u8],
    context: &Context,
    raw: &Arc<RawSender>,
    flows: &Flows,
    refusals: &mut Refusals,
) {
    let (mut event, destination) = judge(pair.1, context);
    if event.verdict != Outcome::Deny && flows.len() >= context.policy.limits().udp_flows {
        event.verdict = Outcome::Deny;
        event.reason = Some(Reason::Limit);
        event.detail = Some(format!("more than {} UDP flows at once", context.policy.limits().udp_flows));
    }
    if event.verdict == Outcome::Deny {
        if refusals.begins(pair, Instant::now()) {
            event.origin = context.who.sent(pair.0, pair.1);
            let origin = event.origin.clone();
            context.audit.record(event);
            if let Some(origin) = origin {
                // Who is refused may end at once.
                let raw = raw.clone();
                tokio::spawn(async move {
                    origin.settled().await;
                    refuse(pair, &raw);
                });
                return;
            }
        }
        refuse(pair, raw);
        return;
    }
    event.origin = context.who.sent(pair.0, pair.1);
    flows.begin(pair, payload, context.uploads.begin());
    tokio::spawn(run(pair, event, destination, context.clone(), raw.clone(), flows.clone()));
}

async fn run(
    pair: Pair,
    event: Event,
    destination: Destination,
    context: Context,
    raw: Arc<RawSender>,
    flows: Flows,
) {
    let mut pending = Pending::new(&context.audit, event, Instant::now());
    let idle = context.policy.limits().udp_idle_timeout;
    let failure = match context.dialer.datagram_address(&destination).await {
        Ok(upstream) => match flows.run(pair, upstream, &raw, pending.counters(), idle).await {
            Ok(()) => return,
            Err(error) => (Reason::UpstreamFailed, error.to_string()),
        },
        Err(error) => {
            flows.forget(pair);
            (error.reason(), chain(&error))
        }
    };
    // The other side's refusal reaches the job as what it was.
    refuse(pair, &raw);
    pending.failed(failure.0, failure.1);
}

fn judge(destination: SocketAddr, context: &Context) -> (Event, Destination) {
    let policy = &context.policy;
    let port = destination.port();
    let synthetic = context.dns.synthetic_name(destination.ip()).is_some();
    let names = context.dns.names_of(destination.ip());
    let towards = |name: &Name| Destination::Name {
        name: name.clone(),
        port,
        preferred: (!synthetic).then_some(destination),
    };
    let mut event = Event::new(Outcome::Deny, Kind::Udp);
    event.destination = Some(destination.ip());
    event.port = Some(port);
    event.name = names.first().map(Name::to_string);
    let named = names.iter().map(|name| (Request::Udp { name, port }, towards(name)));
    let addressed =
        (!synthetic).then_some((Request::UdpAddress { destination }, Destination::Address(destination)));
    let mut denied = None;
    for (request, way) in named.chain(addressed) {
        match policy.judge(&request) {
            Verdict::Allow(rule) => {
                match request.name().map_or(Ok(()), |name| context.dns.admit(name)) {
                    Ok(()) => {
                        event.verdict = Outcome::Allow;
                        event.rule = Some(rule.text().to_owned());
                    }
                    Err(TooManyNames { suggestion, detail }) => {
                        event.verdict = refused(policy.mode());
                        event.reason = Some(Reason::Limit);
                        event.suggestion = Some(suggestion);
                        event.detail = Some(detail);
                    }
                }
                return (event, way);
            }
            Verdict::Deny(denial) => {
                denied.get_or_insert((denial, denial.suggestion(&request), way));
            }
        }
    }
    let way = match denied {
        Some((denial, suggestion, way)) => {
            event.reason = Some(denial.reason);
            event.rule = denial.rule.map(|rule| rule.text().to_owned());
            event.suggestion = suggestion;
            way
        }
        None => Destination::Address(destination),
    };
    event.verdict = refused(policy.mode());
    (event, way)
}

fn refused(mode: Mode) -> Outcome {
    match mode {
        Mode::Enforce => Outcome::Deny,
        Mode::Monitor => Outcome::WouldDeny,
    }
}

/// Tells the sender at once, as a host without that port would.
fn refuse((job, server): Pair, raw: &RawSender) {
    let packet = packet::port_unreachable(job, server);
    if !packet.is_empty() && !server.ip().is_multicast() {
        // A full queue loses the answer; the sender then waits as it would for silence.
        let _ = raw.send(&packet, job);
    }
}
