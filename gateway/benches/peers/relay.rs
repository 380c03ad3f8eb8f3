//! The least that can stand between two ends: threads that accept, connect and copy, and judge nothing.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::server::{ACCEPTORS, BULK, CHUNK, SMALL, TLS};
use crate::world::{MACHINE, SERVER};

/// Relays the machine's ports to the server's from now on.
pub(crate) fn start() -> io::Result<()> {
    for port in [BULK, SMALL, TLS] {
        let listener = Arc::new(TcpListener::bind(SocketAddr::from((MACHINE, port)))?);
        for _ in 0..ACCEPTORS {
            let listener = listener.clone();
            thread::spawn(move || {
                let mut chunk = vec![0; CHUNK];
                while let Ok((client, _)) = listener.accept() {
                    // The client notices what went wrong.
                    let _ = carry(&client, port, &mut chunk);
                }
            });
        }
    }
    Ok(())
}

fn carry(client: &TcpStream, port: u16, chunk: &mut [u8]) -> io::Result<()> {
    let server = TcpStream::connect((SERVER, port))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut ways = vec![(client, &server), (&server, client)];
    while !ways.is_empty() {
        let mut ready: Vec<_> =
            ways.iter().map(|(from, _)| PollFd::new(from.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut ready, PollTimeout::NONE)?;
        let ready: Vec<bool> = ready.iter().map(|polled| polled.any().unwrap_or(true)).collect();
        let mut ready = ready.into_iter();
        let mut result = Ok(());
        ways.retain(|&(mut from, mut to)| {
            if !ready.next().unwrap_or(false) {
                return true;
            }
            let copied = from.read(chunk).and_then(|length| to.write_all(&chunk[..length]).map(|()| length));
            match copied {
                Ok(0) => {
                    // Whoever has gone already needs no word.
                    let _ = to.shutdown(Shutdown::Write);
                    false
                }
                Ok(_) => true,
                Err(error) => {
                    result = Err(error);
                    false
                }
            }
        });
        result?;
    }
    Ok(())
}
