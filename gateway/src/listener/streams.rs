//! Accepts the job's TCP connections, at any address and port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dns::serve_stream;
use netns::net::{LoopbackListener, is_probe};
use policy::Reason;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::audit::{Event, Kind, Outcome};
use crate::connection::{Accepted, Context, serve};
use crate::relay::{Counters, relay, reset};

const DNS_PORT: u16 = 53;
/// How long to leave the listener alone when the process is out of descriptors.
const BREATHER: Duration = Duration::from_millis(20);

/// Accepts from one TPROXY listener for as long as the run lasts.
pub async fn serve_tcp(listener: TcpListener, context: Context, slots: Arc<Semaphore>) {
    loop {
        let (stream, peer) = accept(&listener).await;
        // The local address of a connection that TPROXY captured is the one that the job meant.
        let Ok(original_dst) = stream.local_addr() else { continue };
        if is_probe(original_dst.ip()) {
            reset(&stream);
            continue;
        }
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            refuse_for_number(&stream, original_dst, &context);
            continue;
        };
        let context = context.clone();
        tokio::spawn(async move {
            if original_dst.port() == DNS_PORT {
                let audit = context.audit.clone();
                // A client that breaks off is no news.
                let _ = serve_stream(stream, original_dst, &context.dns, |record| {
                    audit.record(super::names::event(record));
                })
                .await;
            } else {
                serve(&context, Accepted { stream, original_dst, peer }).await;
            }
            drop(slot);
        });
    }
}

/// Relays connections to the job's loopback to the same port of the host's loopback.
pub async fn serve_loopback(offered: LoopbackListener, context: Context) -> io::Result<()> {
    let port = offered.port;
    let listener = TcpListener::from_std(offered.listener)?;
    loop {
        let (stream, _) = accept(&listener).await;
        let context = context.clone();
        tokio::spawn(relay_loopback(stream, port, context));
    }
}

async fn relay_loopback(stream: TcpStream, port: u16, context: Context) {
    let started = Instant::now();
    let host = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let mut event = Event::new(Outcome::Allow, Kind::Tcp);
    event.name = Some("localhost".to_owned());
    event.port = Some(port);
    event.rule = Some(format!("localhost:{port}"));
    let connected = match TcpStream::connect(host).await {
        Err(_) => TcpStream::connect((std::net::Ipv6Addr::LOCALHOST, port)).await,
        connected => connected,
    };
    match connected {
        Ok(upstream) => {
            let _ = stream.set_nodelay(true);
            let _ = upstream.set_nodelay(true);
            let counters = Counters::default();
            let upload = context.uploads.begin();
            // A side that broke has been passed on as a reset.
            let _ = relay(&stream, &upstream, &counters, context.policy.limits().idle_timeout, || drop(upload)).await;
            event.bytes_up = Some(counters.up());
            event.bytes_down = Some(counters.down());
        }
        Err(error) => {
            reset(&stream);
            event.reason = Some(Reason::UpstreamFailed);
            event.detail = Some(error.to_string());
        }
    }
    event.duration = Some(started.elapsed());
    context.audit.record(event);
}

/// Accepts, and waits a little when there are no descriptors left: connections then wait in the
/// kernel's queue.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(_) => tokio::time::sleep(BREATHER).await,
        }
    }
}

fn refuse_for_number(stream: &TcpStream, original_dst: SocketAddr, context: &Context) {
    reset(stream);
    let mut event = Event::new(Outcome::Deny, Kind::Tcp);
    event.destination = Some(original_dst.ip());
    event.port = Some(original_dst.port());
    event.reason = Some(Reason::Limit);
    event.detail = Some(format!("more than {} connections at once", context.policy.limits().connections));
    context.audit.record(event);
}
