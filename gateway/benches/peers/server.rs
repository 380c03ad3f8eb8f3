//! The internet: bulk data, small exchanges, TLS and DNS at one address.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::world::{self, SERVER};
use crate::{Result, tls};

/// Bulk data: the first octet says in which direction.
pub(crate) const BULK: u16 = 5001;
/// Small exchanges: [`PIECE`] octets there and back, then the server closes.
pub(crate) const SMALL: u16 = 5002;
pub(crate) const TLS: u16 = 443;
const DNS: u16 = 53;
/// Octets in a small exchange.
pub(crate) const PIECE: usize = 64;
/// The client sends.
pub(crate) const UP: u8 = b'u';
/// The server sends.
pub(crate) const DOWN: u8 = b'd';
/// Octets of one read or write of bulk data.
pub(crate) const CHUNK: usize = 256 * 1024;
/// Threads that accept on one port; each serves its connection before the next.
const ACCEPTORS: usize = 16;

/// Serves until it is killed or the pipe from its parent closes.
pub(crate) fn main() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    println!("entered");
    world::expect(&mut io::stdin().lock(), "linked")?;
    world::configure_server()?;
    serve(BULK, bulk)?;
    serve(SMALL, small)?;
    let config = Arc::new(tls::server_config()?);
    serve(TLS, move |stream| tls::answer(stream, &config))?;
    let names = UdpSocket::bind((SERVER, DNS))?;
    thread::spawn(move || answer_names(&names));
    println!("listening");
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn serve(port: u16, answer: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> io::Result<()> {
    let listener = Arc::new(TcpListener::bind(SocketAddr::from((SERVER, port)))?);
    let answer = Arc::new(answer);
    for _ in 0..ACCEPTORS {
        let (listener, answer) = (listener.clone(), answer.clone());
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                // The client notices what went wrong.
                let _ = stream.set_nodelay(true).and_then(|()| answer(stream));
            }
        });
    }
    Ok(())
}

fn bulk(mut stream: TcpStream) -> io::Result<()> {
    let mut direction = [0];
    stream.read_exact(&mut direction)?;
    let mut chunk = vec![0; CHUNK];
    if direction == [UP] {
        while stream.read(&mut chunk)? > 0 {}
    } else {
        while stream.write_all(&chunk).is_ok() {}
    }
    Ok(())
}

fn small(mut stream: TcpStream) -> io::Result<()> {
    let mut piece = [0; PIECE];
    stream.read_exact(&mut piece)?;
    stream.write_all(&piece)
}

/// Every name has the server's IPv4 address and no other record (RFC 1035 section 4.1).
fn answer_names(socket: &UdpSocket) {
    const ADDRESS: [u8; 2] = [0, 1];
    let mut message = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut message) {
        let Some(end) = question_end(&message[..length]) else { continue };
        let has_answer = message[end - 4..end - 2] == ADDRESS;
        let mut answer = message[..end].to_vec();
        // A recursive answer without error, one question, no further sections.
        answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(has_answer), 0, 0, 0, 0]);
        if has_answer {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4]);
            answer.extend(SERVER.octets());
        }
        // A lost answer is asked for again.
        let _ = socket.send_to(&answer, client);
    }
}

/// Where the only question ends.
fn question_end(message: &[u8]) -> Option<usize> {
    let name = message.get(12..)?;
    let end = 12 + name.iter().position(|octet| *octet == 0)? + 5;
    (end <= message.len()).then_some(end)
}
