//! The load, from wherever it is started: one line of JSON when it is done.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde::{Deserialize, Serialize};

use crate::server::{BULK, HOST, PORT};
use crate::world::SERVER;
use crate::{Result, median, tls};

const CLIENTS: usize = 8;
const TIME: Duration = Duration::from_millis(800);
const LATENCIES: usize = 60;
const PATIENCE: Duration = Duration::from_secs(10);

type Stream = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// What one run of the client measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// A second, each with a full handshake and one request.
    pub(crate) connections: f64,
    /// Milliseconds of one such.
    pub(crate) first: f64,
    /// Milliseconds of a further request on it.
    pub(crate) next: f64,
    /// Gbit/s.
    pub(crate) bulk: f64,
}

/// Runs the load, through the proxy at this port of the loopback if there is one.
pub(crate) fn main(proxy: Option<u16>) -> Result<()> {
    let config = tls::client_config()?;
    // What is set up once for all connections is not what is measured.
    request(&mut connect(&config, proxy)?, "/")?;
    let load = Load {
        connections: connections(&config, proxy)?,
        first: timed(|| request(&mut connect(&config, proxy)?, "/").map(drop))?,
        next: {
            let mut stream = connect(&config, proxy)?;
            timed(|| request(&mut stream, "/").map(drop))?
        },
        bulk: bulk(&config, proxy)?,
    };
    println!("{}", serde_json::to_string(&load)?);
    Ok(())
}

fn connect(config: &Arc<ClientConfig>, proxy: Option<u16>) -> io::Result<Stream> {
    let to = proxy.map_or(SocketAddr::from((SERVER, PORT)), |port| (Ipv4Addr::LOCALHOST, port).into());
    let mut tcp = TcpStream::connect_timeout(&to, PATIENCE)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_nodelay(true)?;
    if proxy.is_some() {
        tcp.write_all(
            format!("CONNECT {SERVER}:{PORT} HTTP/1.1\r\nHost: {SERVER}:{PORT}\r\n\r\n").as_bytes(),
        )?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut octet = [0];
            tcp.read_exact(&mut octet)?;
            head.push(octet[0]);
        }
        if !head.starts_with(b"HTTP/1.1 200") {
            return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
        }
    }
    let name = HOST.try_into().map_err(io::Error::other)?;
    let tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    Ok(BufReader::with_capacity(256 * 1024, StreamOwned::new(tls, tcp)))
}

/// One request, and how many octets its answer has.
fn request(stream: &mut Stream, path: &str) -> io::Result<usize> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes())?;
    stream.get_mut().flush()?;
    let (mut line, mut octets) = (String::new(), None);
    stream.read_line(&mut line)?;
    if !line.contains(" 200 ") {
        return Err(io::Error::other(line));
    }
    while line.trim_end() != "" {
        line.clear();
        stream.read_line(&mut line)?;
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            octets = value.trim().parse().ok();
        }
    }
    let octets: usize = octets.ok_or_else(|| io::Error::other("no length"))?;
    let read = io::copy(&mut stream.take(octets as u64), &mut io::sink())?;
    if read == octets as u64 { Ok(octets) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn connections(config: &Arc<ClientConfig>, proxy: Option<u16>) -> Result<f64> {
    let (done, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let start = Instant::now();
    let results: Vec<io::Result<()>> = thread::scope(|scope| {
        let client = || {
            while !over.load(Ordering::Relaxed) {
                request(&mut connect(config, proxy)?, "/")?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        thread::sleep(TIME);
        over.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap_or(Err(io::ErrorKind::Other.into()))).collect()
    });
    results.into_iter().collect::<io::Result<()>>()?;
    Ok(done.into_inner() as f64 / start.elapsed().as_secs_f64())
}

fn bulk(config: &Arc<ClientConfig>, proxy: Option<u16>) -> Result<f64> {
    let mut stream = connect(config, proxy)?;
    let start = Instant::now();
    let octets = request(&mut stream, "/bulk")?;
    debug_assert_eq!(octets, BULK);
    Ok(octets as f64 * 8e-9 / start.elapsed().as_secs_f64())
}

/// The median duration in milliseconds.
fn timed(mut once: impl FnMut() -> io::Result<()>) -> Result<f64> {
    let mut durations = Vec::with_capacity(LATENCIES);
    for _ in 0..LATENCIES {
        let start = Instant::now();
        once()?;
        durations.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(durations))
}
