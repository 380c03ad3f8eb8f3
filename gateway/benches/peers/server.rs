//! The internet: bulk data, small exchanges, TLS and DNS at one address.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::world::{self, SERVER};
use crate::{Result, names, tls};

/// Bulk data: the first octet says in which direction.
pub(crate) const BULK: u16 = 5001;
/// Small exchanges: [`PIECE`] octets there and back, then the server closes.
pub(crate) const SMALL: u16 = 5002;
pub(crate) const TLS: u16 = 443;
/// Octets in a small exchange.
pub(crate) const PIECE: usize = 64;
/// The client sends.
pub(crate) const UP: u8 = b'u';
/// The server sends.
pub(crate) const DOWN: u8 = b'd';
/// Octets of one read or write of bulk data.
pub(crate) const CHUNK: usize = 256 * 1024;
/// Threads that accept on one port; each serves its connection before the next.
pub(crate) const ACCEPTORS: usize = 16;

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
    names::serve()?;
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
