//! The demo's miniature internet: a resolver, a package registry and a thief's servers, as threads
//! with sockets in a namespace of their own.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use netns::net::World;
use rustls::{ServerConfig, ServerConnection, Stream};

use super::authority::Authority;
use super::ledger::Ledger;
use super::message::{self, A, NXDOMAIN};
use super::way::Way;
use super::{
    COLLECTOR, COLLECTOR_V4, DemoError, EVIL_DNS_V4, EVIL_ZONE, LITERAL_PORT, PACKAGE, PACKAGE_PATH,
    REGISTRY, REGISTRY_V4, RESOLVER_V4,
};

/// The addresses that servers sit on.
pub(super) const ADDRESSES: [Ipv4Addr; 4] = [RESOLVER_V4, REGISTRY_V4, COLLECTOR_V4, EVIL_DNS_V4];
/// How long a client may keep a server waiting.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets of a request's head.
const MAX_REQUEST: usize = 16 * 1024;

struct Sockets {
    resolver: UdpSocket,
    resolver_tcp: TcpListener,
    registry: TcpListener,
    evil_dns: TcpListener,
    collector: TcpListener,
    literal: TcpListener,
    quic: UdpSocket,
}

/// Starts every server; they end with the process.
pub(super) fn start(world: &World, authority: &Authority, ledger: &Arc<Ledger>) -> Result<(), DemoError> {
    let sockets = world.in_internet(open)?.map_err(DemoError::Internet)?;
    let (registry, collector) = (authority.server(REGISTRY)?, authority.server(COLLECTOR)?);
    let spawned = [
        spawn(move || answer_datagrams(&sockets.resolver, resolve)),
        serve(sockets.resolver_tcp, ledger, |stream, _| answer_stream(stream)),
        serve(sockets.evil_dns, ledger, |stream, _| answer_stream(stream)),
        serve(sockets.registry, ledger, move |stream, ledger| https(stream, &registry, ledger)),
        serve(sockets.collector, ledger, move |stream, ledger| https(stream, &collector, ledger)),
        serve(sockets.literal, ledger, |stream, _| acknowledge(stream)),
        spawn(move || answer_datagrams(&sockets.quic, |_| Some(b"ok".to_vec()))),
    ];
    spawned.into_iter().collect::<io::Result<()>>().map_err(DemoError::Internet)
}

fn open() -> io::Result<Sockets> {
    let tcp = |address, port| TcpListener::bind(SocketAddrV4::new(address, port));
    let udp = |address, port| UdpSocket::bind(SocketAddrV4::new(address, port));
    Ok(Sockets {
        resolver: udp(RESOLVER_V4, 53)?,
        resolver_tcp: tcp(RESOLVER_V4, 53)?,
        registry: tcp(REGISTRY_V4, 443)?,
        evil_dns: tcp(EVIL_DNS_V4, 53)?,
        collector: tcp(COLLECTOR_V4, 443)?,
        literal: tcp(COLLECTOR_V4, LITERAL_PORT)?,
        quic: udp(COLLECTOR_V4, 443)?,
    })
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().spawn(work).map(drop)
}

/// Serves each connection on a thread of its own.
fn serve(
    listener: TcpListener,
    ledger: &Arc<Ledger>,
    server: impl Fn(TcpStream, &Ledger) -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<()> {
    let (ledger, server) = (ledger.clone(), Arc::new(server));
    spawn(move || {
        for stream in listener.incoming().flatten() {
            let (ledger, server) = (ledger.clone(), server.clone());
            // A connection without a thread is closed, and its client fails.
            let _ = spawn(move || {
                let _busy = ledger.busy();
                let patient = stream.set_read_timeout(Some(PATIENCE));
                // A client that breaks off has nothing more to say.
                let _ = patient.and_then(|()| server(stream, &ledger));
            });
        }
    })
}

fn answer_datagrams(socket: &UdpSocket, reply: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        // Errors here are those of earlier replies.
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(reply) = reply(&buffer[..length]) {
            let _ = socket.send_to(&reply, peer);
        }
    }
}

/// DNS over TCP (RFC 1035 section 4.2.2).
fn answer_stream(mut stream: TcpStream) -> io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message)?;
        let Some(reply) = resolve(&message) else { return Ok(()) };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), &reply[..]].concat())?;
    }
}

fn resolve(query: &[u8]) -> Option<Vec<u8>> {
    let question = message::read_question(query)?;
    let known = match question.name.as_str() {
        REGISTRY => Some(REGISTRY_V4),
        name if name.ends_with(EVIL_ZONE) => Some(COLLECTOR_V4),
        _ => None,
    };
    let code = if known.is_some() { 0 } else { NXDOMAIN };
    Some(message::answer(query, &question, code, known.filter(|_| question.kind == A)))
}

/// One request; whatever it holds is looked at before the client gets its answer.
fn https(mut stream: TcpStream, config: &Arc<ServerConfig>, ledger: &Ledger) -> io::Result<()> {
    let mut connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
    let mut tls = Stream::new(&mut connection, &mut stream);
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) && request.len() < MAX_REQUEST {
        match tls.read(&mut buffer)? {
            0 => break,
            length => request.extend_from_slice(&buffer[..length]),
        }
        ledger.inspect(Some(Way::Https), &request);
    }
    let package = request.starts_with(format!("GET {PACKAGE_PATH} ").as_bytes());
    let body: &[u8] = if package { PACKAGE } else { b"" };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    tls.write_all(&[head.as_bytes(), body].concat())?;
    tls.flush()?;
    if package {
        ledger.sent_package();
    }
    connection.send_close_notify();
    connection.complete_io(&mut stream).map(drop)
}

/// Whether a request has arrived; the demo's have their bodies in the same write.
fn is_whole(request: &[u8]) -> bool {
    request.windows(4).any(|window| window == b"\r\n\r\n")
}

fn acknowledge(mut stream: TcpStream) -> io::Result<()> {
    match stream.read(&mut [0; 4096])? {
        0 => Ok(()),
        _ => stream.write_all(b"ok"),
    }
}
