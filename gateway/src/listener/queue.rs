//! Sockets on which what the job sends waits for the gateway: served while it runs, and read once more
//! when it has ended, as its last words may have come after the last look.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use netns::net::{CapturedDatagram, DatagramSocket};
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, TcpStream};

use crate::audit::Audit;
use crate::scratch::Scratch;

/// How long to leave a listener alone when the process is out of descriptors.
const BREATHER: Duration = Duration::from_millis(20);
/// What is read from one socket when the job has ended: more than the kernel lets wait there.
const MOST_AT_THE_END: usize = 8192;
/// Datagrams of a socket before others have their turn.
const TURN: usize = 16;
/// Octets in the largest datagram.
pub(super) const MAX_DATAGRAM: usize = 65_535;

/// For one datagram at a time, whichever socket it is from.
static DATAGRAM: Scratch<MAX_DATAGRAM> = Scratch::new();

/// A socket that is served by a task of its own.
pub trait Queue: Send + Sync {
    /// Handles what waits there now.
    fn read_to_the_end(&self);
}

/// What becomes of datagrams.
pub trait OnDatagram: Send + Sync + 'static {
    /// Octets that are read of each, at most 65,535.
    const LONGEST: usize;

    /// Handles one that came on this socket, without waiting for anything.
    fn handle(&self, socket: &Arc<AsyncFd<DatagramSocket>>, datagram: CapturedDatagram, payload: &[u8]);
}

/// What becomes of connections.
pub trait OnConnection: Send + Sync + 'static {
    /// Begins to handle one, without waiting for anything.
    fn handle(&self, stream: TcpStream, peer: SocketAddr);
}

/// Serves a socket for as long as the run lasts.
///
/// # Errors
/// The socket cannot be watched.
pub fn serve_datagrams(socket: DatagramSocket, handler: impl OnDatagram) -> io::Result<Arc<dyn Queue>> {
    let datagrams = Arc::new(Datagrams { socket: Arc::new(netns::watch(socket)?), handler });
    let serving = datagrams.clone();
    tokio::spawn(async move { serving.serve().await });
    Ok(datagrams)
}

/// Serves a listener for as long as the run lasts.
///
/// # Errors
/// The listener cannot be watched.
pub fn serve_connections(
    listener: std::net::TcpListener,
    audit: Audit,
    handler: impl OnConnection,
) -> io::Result<Arc<dyn Queue>> {
    let queue = listener.try_clone()?;
    let connections = Arc::new(Connections { queue, audit, handler });
    let (serving, listener) = (connections.clone(), TcpListener::from_std(listener)?);
    tokio::spawn(async move { serving.serve(listener).await });
    Ok(connections)
}

struct Datagrams<H> {
    socket: Arc<AsyncFd<DatagramSocket>>,
    handler: H,
}

impl<H: OnDatagram> Datagrams<H> {
    async fn serve(&self) -> io::Result<()> {
        loop {
            let mut ready = self.socket.readable().await?;
            // When there is none any more, the next one is waited for.
            let taken = ready.try_io(|_| (0..TURN).try_for_each(|_| self.take()));
            if taken.is_ok() {
                // A job that floods the gateway keeps nobody else from their turn.
                tokio::task::yield_now().await;
            }
        }
    }

    /// `WouldBlock` if there is none.
    fn take(&self) -> io::Result<()> {
        DATAGRAM.with(|buffer| {
            let buffer = &mut buffer[..H::LONGEST];
            match self.socket.get_ref().receive(buffer) {
                Ok(datagram) => self.handler.handle(&self.socket, datagram, &buffer[..datagram.length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                // One without its destination belongs nowhere; the next one may.
                Err(_) => {}
            }
            Ok(())
        })
    }
}

impl<H: OnDatagram> Queue for Datagrams<H> {
    fn read_to_the_end(&self) {
        for _ in 0..MOST_AT_THE_END {
            if self.take().is_err() {
                return;
            }
        }
    }
}

struct Connections<H> {
    /// The same listener, for looking without waiting.
    queue: std::net::TcpListener,
    audit: Audit,
    handler: H,
}

impl<H: OnConnection> Connections<H> {
    /// Waits a little when there are no descriptors left: connections then wait in the kernel's queue.
    async fn serve(&self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.handler.handle(stream, peer),
                Err(error) => {
                    self.audit.shortage(&error);
                    tokio::time::sleep(BREATHER).await;
                }
            }
        }
    }

    fn take(&self) -> io::Result<()> {
        let (stream, peer) = self.queue.accept()?;
        stream.set_nonblocking(true)?;
        self.handler.handle(TcpStream::from_std(stream)?, peer);
        Ok(())
    }
}

impl<H: OnConnection> Queue for Connections<H> {
    fn read_to_the_end(&self) {
        for _ in 0..MOST_AT_THE_END {
            if self.take().is_err() {
                return;
            }
        }
    }
}
