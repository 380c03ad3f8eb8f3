//! Accepts the job's TCP connections, at any address and port.

use std::future::ready;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dns::serve_stream;
use netns::net::{LoopbackListener, is_gateway, is_probe};
use policy::{Mode, Reason, Request, Verdict};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::audit::{Audit, Event, Kind, Origin, Outcome, Pending};
use crate::connection::{Accepted, Context, serve};
use crate::relay::{relay, reset};

const DNS_PORT: u16 = 53;
/// How long a DNS server that is denied is spoken to.
const DENIED_SERVER: Duration = Duration::from_millis(500);
/// How long to leave the listener alone when the process is out of descriptors.
const BREATHER: Duration = Duration::from_millis(20);

/// Accepts from one TPROXY listener for as long as the run lasts.
pub async fn serve_tcp(listener: TcpListener, context: Context, slots: Arc<Semaphore>) {
    loop {
        let (stream, peer) = accept(&listener, &context.audit).await;
        // The local address of a connection that TPROXY captured is the one that the job meant.
        let Ok(original_dst) = stream.local_addr() else { continue };
        if is_probe(original_dst.ip()) {
            reset(&stream);
            continue;
        }
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            refuse_for_number(&stream, peer, original_dst, &context);
            continue;
        };
        let context = context.clone();
        tokio::spawn(async move {
            if original_dst.port() == DNS_PORT {
                let origin = context.who.connected(peer, original_dst);
                serve_questions(stream, original_dst, origin, &context).await;
            } else {
                serve(&context, Accepted { stream, original_dst, peer }).await;
            }
            drop(slot);
        });
    }
}

/// DNS over TCP, whatever server the job meant.
async fn serve_questions(stream: TcpStream, server: SocketAddr, origin: Option<Origin>, context: &Context) {
    let mut asked = false;
    let answering = serve_stream(stream, server, &context.dns, |record| {
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

/// Relays connections to the job's loopback to the same port of the host's loopback.
pub async fn serve_loopback(offered: LoopbackListener, context: Context) -> io::Result<()> {
    let port = offered.port;
    let listener = TcpListener::from_std(offered.listener)?;
    loop {
        let (stream, peer) = accept(&listener, &context.audit).await;
        let origin = stream.local_addr().ok().and_then(|offered| context.who.connected(peer, offered));
        let context = context.clone();
        tokio::spawn(relay_loopback(stream, port, origin, context));
    }
}

async fn relay_loopback(stream: TcpStream, port: u16, origin: Option<Origin>, context: Context) {
    let mut event = Event::new(Outcome::Allow, Kind::Tcp);
    event.origin = origin;
    event.name = Some("localhost".to_owned());
    event.port = Some(port);
    event.rule = Some(format!("localhost:{port}"));
    let mut pending = Pending::new(&context.audit, event, Instant::now());
    let host = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let connected = match TcpStream::connect(host).await {
        Err(_) => TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await,
        connected => connected,
    };
    match connected {
        Ok(upstream) => {
            let _ = stream.set_nodelay(true);
            let _ = upstream.set_nodelay(true);
            let upload = context.uploads.begin();
            let idle = context.policy.limits().idle_timeout;
            // A side that broke has been passed on as a reset.
            let _ =
                relay(&stream, &upstream, &pending.counters(), idle, ready(Ok::<_, ()>(())), || drop(upload))
                    .await;
        }
        Err(error) => {
            reset(&stream);
            pending.failed(Reason::UpstreamFailed, error.to_string());
        }
    }
}

/// Accepts, and waits a little when there are no descriptors left: connections then wait in the
/// kernel's queue.
async fn accept(listener: &TcpListener, audit: &Audit) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                audit.shortage(&error);
                tokio::time::sleep(BREATHER).await;
            }
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
