//! The load, from wherever it is started: one line of JSON when it is done.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream, ToSocketAddrs};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::{Load, median};
use crate::server::{BULK, CHUNK, DOWN, PIECE, SMALL, TLS, UP};
use crate::{Result, tls};

/// How long bulk data runs before it counts, and how long it counts.
const WARM_UP: Duration = Duration::from_millis(150);
const BULK_TIME: Duration = Duration::from_millis(500);
const SMALL_TIME: Duration = Duration::from_millis(400);
/// Connections at once when they are counted.
const CLIENTS: usize = 16;
const TLS_REQUESTS: usize = 400;
const CURLS: usize = 60;
const DENIALS: usize = 50;
/// When something is lost for good.
const PATIENCE: Duration = Duration::from_secs(2);
/// A port without a rule.
const DENIED_PORT: u16 = 9;

/// Runs the load on a server, reports, and stays until the pipe from the parent closes, so that the gateway
/// can still be looked at. A second word, `jailed`, says that there is a gateway that refuses.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let server = Server(arguments.first().ok_or("no server")?.parse()?);
    let jailed = arguments.get(1).is_some_and(|word| word == "jailed");
    if jailed {
        // As every client: the name first.
        ("bench.example", TLS).to_socket_addrs()?;
    }
    // A peer that loses a transfer has no figure for it. What thousands of connections leave behind would
    // weigh on whatever came next.
    let mut load = Load {
        tls: server.tls_requests().ok(),
        curl: server.curl_requests().ok(),
        up: server.bulk(UP).ok(),
        down: server.bulk(DOWN).ok(),
        connections: server.connections().ok(),
        ..Load::default()
    };
    if jailed {
        load.denied_tls = Some(server.denied_tls()?);
        load.denied_address = Some(server.denied_address()?);
        load.denied_name = Some(denied_name()?);
    }
    println!("{}", serde_json::to_string(&load)?);
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// Where the load goes.
#[derive(Clone, Copy)]
pub(crate) struct Server(pub(crate) Ipv4Addr);

impl Server {
    fn connect(self, port: u16) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&(self.0, port).into(), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Gbit/s of one stream.
    fn bulk(self, direction: u8) -> io::Result<f64> {
        let mut stream = self.connect(BULK)?;
        stream.write_all(&[direction])?;
        let mut chunk = vec![0; CHUNK];
        let start = Instant::now();
        let mut counted: Option<Instant> = None;
        let mut octets = 0;
        loop {
            let moved = if direction == UP { stream.write(&chunk)? } else { stream.read(&mut chunk)? };
            if moved == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match counted {
                Some(from) => {
                    octets += moved;
                    if from.elapsed() >= BULK_TIME {
                        return Ok(octets as f64 * 8e-9 / from.elapsed().as_secs_f64());
                    }
                }
                None if start.elapsed() >= WARM_UP => counted = Some(Instant::now()),
                None => {}
            }
        }
    }

    /// New connections a second, each with a small exchange.
    fn connections(self) -> io::Result<f64> {
        let (done, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let start = Instant::now();
        let results: Vec<io::Result<()>> = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    scope.spawn(|| {
                        while !over.load(Ordering::Relaxed) {
                            self.exchange()?;
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(())
                    })
                })
                .collect();
            thread::sleep(SMALL_TIME);
            over.store(true, Ordering::Relaxed);
            clients
                .into_iter()
                .map(|client| client.join().unwrap_or(Err(io::ErrorKind::Other.into())))
                .collect()
        });
        results.into_iter().collect::<io::Result<()>>()?;
        Ok(done.into_inner() as f64 / start.elapsed().as_secs_f64())
    }

    /// Connects, and sends a small piece there and back.
    pub(crate) fn exchange(self) -> io::Result<()> {
        let mut stream = self.connect(SMALL)?;
        stream.write_all(&[1; PIECE])?;
        let mut piece = Vec::with_capacity(PIECE + 1);
        stream.read_to_end(&mut piece)?;
        if piece.len() == PIECE { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Milliseconds of connect, handshake and one request.
    fn tls_requests(self) -> Result<f64> {
        let config = tls::client_config()?;
        timed(TLS_REQUESTS, || {
            let stream = self.connect(TLS)?;
            tls::request(stream, &config, "bench.example")
        })
    }

    /// Milliseconds of a whole `curl`, as builds make requests: OpenSSL, a process for each.
    fn curl_requests(self) -> Result<f64> {
        let at = format!("bench.example:{TLS}:{}", self.0);
        timed(CURLS, || {
            let mut curl = Command::new("curl");
            curl.args(["-sk", "-o", "/dev/null", "--resolve", &at, "https://bench.example/"]);
            let status = curl.stdin(Stdio::null()).status()?;
            if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
        })
    }

    fn denied_tls(self) -> Result<f64> {
        let config = tls::client_config()?;
        timed(DENIALS, || {
            let stream = self.connect(TLS)?;
            refused(tls::request(stream, &config, "denied.example"))
        })
    }

    fn denied_address(self) -> Result<f64> {
        timed(DENIALS, || {
            // The refusal may come as early as the connection.
            let outcome = self.connect(DENIED_PORT).and_then(|mut stream| {
                stream.write_all(b"hello\n")?;
                stream.read_exact(&mut [0])
            });
            refused(outcome)
        })
    }
}

fn denied_name() -> Result<f64> {
    timed(DENIALS, || refused(("denied.example", TLS).to_socket_addrs().map(drop)))
}

fn refused(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(_) => Ok(()),
        Ok(()) => Err(io::Error::other("what no rule allows went through")),
    }
}

/// The median duration in milliseconds.
fn timed(times: usize, mut once: impl FnMut() -> io::Result<()>) -> Result<f64> {
    let mut durations = Vec::with_capacity(times);
    for _ in 0..times {
        let start = Instant::now();
        once()?;
        durations.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&durations))
}
