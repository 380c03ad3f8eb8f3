//! The job's UDP other than DNS: relayed if a rule allows it, otherwise refused at once.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dns::{Outcome, TooManyNames};
use netns::net::{CapturedDatagram, DatagramSocket, RawSender};
use policy::{Mode, Name, Opinion, Reason, Request, Standing, Verdict, overrule};
use tokio::io::unix::AsyncFd;

use super::queue::{MAX_DATAGRAM, OnDatagram};
use super::refusals::Refusals;
use crate::audit::{Event, Kind, Origin, Pending, hold};
use crate::causes::chain;
use crate::connection::Context;
use crate::packet;
use crate::rego::{Protocol, Question};
use crate::relay::udp::{Flows, Pair, Sent};
use crate::upstream::Destination;

/// Handles what came on a socket for UDP.
pub struct Datagrams(Arc<Shared>);

/// What all flows of a socket need.
struct Shared {
    context: Context,
    raw: Arc<RawSender>,
    flows: Flows,
    refusals: Mutex<Refusals>,
}

/// What the policy makes of a flow.
struct Judged {
    event: Event,
    way: Destination,
    standing: Standing,
}

/// A flow that was judged, with what it takes to refuse it, to ask others about it or to relay it.
struct Begun {
    pair: Pair,
    judged: Judged,
    shared: Arc<Shared>,
}

impl Datagrams {
    /// For one socket. Answers and refusals go out by `raw`; `flows` are those of all sockets.
    pub fn new(context: Context, raw: Arc<RawSender>, flows: Flows) -> Datagrams {
        let refusals = Mutex::new(Refusals::new(context.policy.limits().udp_idle_timeout));
        Datagrams(Arc::new(Shared { context, raw, flows, refusals }))
    }
}

impl OnDatagram for Datagrams {
    const LONGEST: usize = MAX_DATAGRAM;

    fn handle(&self, _: &Arc<AsyncFd<DatagramSocket>>, datagram: CapturedDatagram, payload: &[u8]) {
        let Shared { context, flows, .. } = &*self.0;
        let pair = (datagram.peer, datagram.original_dst);
        if flows.send(pair, payload) == Sent::Relayed {
            return;
        }
        let mut judged = judge(pair.1, context);
        let most = context.policy.limits().udp_flows;
        let others_decide = context.rego.is_some() && judged.standing == Standing::Open;
        let begins = judged.event.verdict != Outcome::Deny || others_decide;
        let is_full = flows.len() >= most;
        if begins && is_full {
            judged.event.verdict = Outcome::Deny;
            judged.event.reason = Some(Reason::Limit);
            judged.event.detail = Some(format!("more than {most} UDP flows at once"));
        }
        let begun = Begun { pair, judged, shared: self.0.clone() };
        if !begins || is_full {
            return begun.deny(None);
        }
        let origin = context.who.sent(pair.0, pair.1);
        flows.begin(pair, payload, context.uploads.begin());
        tokio::spawn(begun.run(origin));
    }
}

impl Begun {
    /// Refuses the flow, and records it once. Who is refused may end at once, so that is held back until it
    /// is known whose the flow is; `origin` is who has been asked already.
    fn deny(self, origin: Option<Origin>) {
        let Begun { pair, judged: Judged { mut event, .. }, shared } = self;
        let begins = {
            let mut refusals = shared.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            refusals.begins(pair, Instant::now())
        };
        if begins {
            let origin = origin.or_else(|| shared.context.who.sent(pair.0, pair.1));
            event.origin.clone_from(&origin);
            shared.context.audit.record(event);
            if let Some(origin) = origin {
                tokio::spawn(async move {
                    origin.settled().await;
                    refuse(pair, &shared.raw);
                });
                return;
            }
        }
        refuse(pair, &shared.raw);
    }

    async fn run(mut self, origin: Option<Origin>) {
        self.ask_others(origin.as_ref()).await;
        if self.judged.event.verdict == Outcome::Deny {
            self.shared.flows.forget(self.pair);
            return self.deny(origin);
        }
        let Begun { pair, judged: Judged { mut event, way, .. }, shared } = self;
        let Shared { context, raw, flows, .. } = &*shared;
        event.origin.clone_from(&origin);
        let answer = hold(origin.as_ref(), Outcome::Allow);
        let mut pending = Pending::new(&context.audit, event, Instant::now());
        let idle = context.policy.limits().udp_idle_timeout;
        let failure = match context.dialer.datagram_address(&way).await {
            Ok(upstream) => match flows.run(pair, upstream, raw, pending.counters(), idle, answer).await {
                Ok(()) => return,
                Err(error) => (Reason::UpstreamFailed, error.to_string()),
            },
            Err(error) => {
                flows.forget(pair);
                answer.await;
                (error.reason(), chain(&error))
            }
        };
        // The other side's refusal reaches the job as what it was.
        refuse(pair, raw);
        pending.failed(failure.0, failure.1);
    }

    /// Asks the rules beside the policy's.
    async fn ask_others(&mut self, origin: Option<&Origin>) {
        let context = &self.shared.context;
        let Some(rego) = &context.rego else { return };
        let Judged { event, way, standing } = &mut self.judged;
        let destination = self.pair.1;
        let name = match &*way {
            Destination::Name { name, .. } => Some(name),
            Destination::Address(_) => None,
        };
        let synthetic = context.dns.synthetic_name(destination.ip()).is_some();
        let question = Question {
            name: name.map(Name::to_string).or_else(|| event.name.clone()),
            address: (!synthetic).then(|| destination.ip()),
            port: Some(destination.port()),
            ..Question::new(Protocol::Udp)
        };
        let Opinion { advice, detail } = rego.advise(question, origin).await;
        match overrule(*standing, advice) {
            None => {}
            Some(Verdict::Deny(denial)) => event.refuse(&denial, detail, context.policy.mode()),
            Some(Verdict::Allow(rule)) => match name.map_or(Ok(()), |name| context.dns.grant(name)) {
                Ok(()) => {
                    event.verdict = Outcome::Allow;
                    event.rule = Some(rule.text().to_owned());
                    (event.reason, event.suggestion) = (None, None);
                }
                Err(too_many) => one_too_many(event, too_many, context.policy.mode()),
            },
        }
    }
}

fn one_too_many(event: &mut Event, too_many: TooManyNames, mode: Mode) {
    let TooManyNames { suggestion, detail } = too_many;
    event.verdict = Outcome::refused(mode);
    event.reason = Some(Reason::Limit);
    event.suggestion = Some(suggestion);
    event.detail = Some(detail);
}

fn judge(destination: SocketAddr, context: &Context) -> Judged {
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
                let admitted = request.name().map_or(Ok(()), |name| context.dns.admit(name));
                let standing = if admitted.is_ok() { Standing::Allowed } else { Standing::Closed };
                match admitted {
                    Ok(()) => {
                        event.verdict = Outcome::Allow;
                        event.rule = Some(rule.text().to_owned());
                    }
                    Err(too_many) => one_too_many(&mut event, too_many, policy.mode()),
                }
                return Judged { event, way, standing };
            }
            Verdict::Deny(denial) => {
                let standing = Verdict::Deny(denial).standing(&request);
                denied.get_or_insert((denial, denial.suggestion(&request), way, standing));
            }
        }
    }
    let (way, standing) = match denied {
        Some((denial, suggestion, way, standing)) => {
            event.reason = Some(denial.reason);
            event.rule = denial.rule.map(|rule| rule.text().to_owned());
            event.suggestion = suggestion;
            (way, standing)
        }
        None => (Destination::Address(destination), Standing::Closed),
    };
    event.verdict = Outcome::refused(policy.mode());
    Judged { event, way, standing }
}

/// Tells the sender at once, as a host without that port would.
fn refuse((job, server): Pair, raw: &RawSender) {
    let packet = packet::port_unreachable(job, server);
    if !packet.is_empty() && !server.ip().is_multicast() {
        // A full queue loses the answer; the sender then waits as it would for silence.
        let _ = raw.send(&packet, job);
    }
}
