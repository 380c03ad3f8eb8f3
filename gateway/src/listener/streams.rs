//! The job's TCP connections, at any address and port.

use std::future::ready;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dns::serve_stream;
use netns::net::{is_gateway, is_probe};
use policy::{Mode, Opinion, Reason, Request, Standing, Verdict, overrule};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::names::opinion;
use super::queue::OnConnection;
use crate::audit::{Event, Kind, Origin, Outcome, Pending, hold};
use crate::connection::{Accepted, Context, serve};
use crate::rego::{Protocol, Question};
use crate::relay::{Upload, relay, reset};
use crate::upstream;

const DNS_PORT: u16 = 53;
/// How long a DNS server that is denied is spoken to.
const DENIED_SERVER: Duration = Duration::from_millis(500);

/// Handles connections that TPROXY captured.
pub struct Captured {
    /// What all that the job does shares.
    pub context: Context,
    /// How many there may be at once.
    pub slots: Arc<Semaphore>,
}

impl OnConnection for Captured {
    fn handle(&self, stream: TcpStream, peer: SocketAddr) {
        // The local address of a connection that TPROXY captured is the one that the job meant.
        let Ok(original_dst) = stream.local_addr() else { return };
        if is_probe(original_dst.ip()) {
            return reset(&stream);
        }
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            return refuse_for_number(&stream, peer, original_dst, &self.context);
        };
        let context = self.context.clone();
        // From now on: the job may have ended when the task first runs.
        let upload = context.uploads.begin();
        tokio::spawn(async move {
            if original_dst.port() == DNS_PORT {
                let origin = context.who.connected(peer, original_dst);
                serve_questions(stream, original_dst, origin, &context).await;
                drop(upload);
            } else {
                // In a place of its own: starting a task would move it about on the stack.
                Box::pin(serve(&context, Accepted { stream, original_dst, peer, upload })).await;
            }
            drop(slot);
        });
    }
}

/// DNS over TCP, whatever server the job meant.
async fn serve_questions(stream: TcpStream, server: SocketAddr, origin: Option<Origin>, context: &Context) {
    let mut asked = false;
    let advise = |name| opinion(context.rego.as_deref(), name, origin.as_ref());
    let hold = |verdict| hold(origin.as_ref(), verdict);
    let answering = serve_stream(stream, server, &context.dns, advise, hold, |record| {
        asked = true;
        let mut event = super::names::event(record);
        event.origin.clone_from(&origin);
        context.audit.record(event);
    });
    let own = is_gateway(server.ip()) || server.ip().is_loopback();
    let denied = match context.policy.judge(&Request::DnsServer { server }) {
        Verdict::Deny(denial) if !own && context.policy.mode() == Mode::Enforce => denial,
        _ => {
            // A client that breaks off is no news.
            let _ = answering.await;
            return;
        }
    };
    // A question to a denied server is refused in its own words; bytes that are none, by the close.
    let ended = tokio::time::timeout(DENIED_SERVER, answering).await;
    if !asked && !matches!(ended, Ok(Ok(()))) {
        let mut event = Event::new(Outcome::Deny, Kind::Dns);
        event.origin = origin;
        event.destination = Some(server.ip());
        event.port = Some(server.port());
        event.reason = Some(denied.reason);
        event.suggestion = denied.suggestion(&Request::DnsServer { server });
        context.audit.record(event);
    }
}

/// Relays connections to a port of the job's loopback to the same port of the host's loopback.
pub struct Loopback {
    /// What all that the job does shares.
    pub context: Context,
    /// The port of both.
    pub port: u16,
}

impl OnConnection for Loopback {
    fn handle(&self, stream: TcpStream, peer: SocketAddr) {
        let origin = stream.local_addr().ok().and_then(|offered| self.context.who.connected(peer, offered));
        let upload = self.context.uploads.begin();
        tokio::spawn(relay_loopback(stream, self.port, origin, self.context.clone(), upload));
    }
}

async fn relay_loopback(
    stream: TcpStream,
    port: u16,
    origin: Option<Origin>,
    context: Context,
    upload: Upload,
) {
    let mut event = Event::new(Outcome::Allow, Kind::Tcp);
    event.origin.clone_from(&origin);
    event.name = Some("localhost".to_owned());
    event.port = Some(port);
    event.rule = Some(format!("localhost:{port}"));
    let mut pending = Pending::new(&context.audit, event, Instant::now());
    let host = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    if let Some(rego) = &context.rego {
        let name = Some("localhost".to_owned());
        let question =
            Question { name, address: Some(host.ip()), port: Some(port), ..Question::new(Protocol::Tcp) };
        let Opinion { advice, detail } = rego.advise(question, origin.as_ref()).await;
        if let Some(Verdict::Deny(denial)) = overrule(Standing::Allowed, advice) {
            pending.denied(&denial, detail, context.policy.mode());
            if context.policy.mode() == Mode::Enforce {
                drop(pending);
                hold(origin.as_ref(), Outcome::Deny).await;
                return reset(&stream);
            }
        }
    }
    let connected = match upstream::connect(host).await {
        Err(_) => upstream::connect(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)).await,
        connected => connected,
    };
    match connected {
        Ok(upstream) => {
            let _ = stream.set_nodelay(true);
            let _ = upstream.set_nodelay(true);
            let idle = context.policy.limits().idle_timeout;
            // A side that broke has been passed on as a reset.
            let (opening, answer) = (ready(Ok::<_, ()>(true)), hold(origin.as_ref(), Outcome::Allow));
            let _ =
                relay(&stream, &upstream, &pending.counters(), idle, opening, answer, || drop(upload)).await;
        }
        Err(error) => {
            hold(origin.as_ref(), Outcome::Allow).await;
            reset(&stream);
            pending.failed(Reason::UpstreamFailed, error.to_string());
        }
    }
}

fn refuse_for_number(stream: &TcpStream, peer: SocketAddr, original_dst: SocketAddr, context: &Context) {
    let mut event = Event::new(Outcome::Deny, Kind::Tcp);
    event.origin = context.who.connected(peer, original_dst);
    reset(stream);
    event.destination = Some(original_dst.ip());
    event.port = Some(original_dst.port());
    event.reason = Some(Reason::Limit);
    event.detail = Some(format!("more than {} connections at once", context.policy.limits().connections));
    context.audit.record(event);
}
