//! What the connections of a server carried, as the server's kernel has it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Octets that came up and went down.
pub(crate) type Volume = (u64, u64);

/// The connections of a server so far.
#[derive(Clone, Default)]
pub(crate) struct Meters(Arc<Mutex<Vec<Arc<Meter>>>>);

struct Meter {
    port: u16,
    up: AtomicU64,
    down: AtomicU64,
}

impl Meters {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// What each connection to this port carried.
    pub(crate) fn of_port(&self, port: u16) -> Vec<Volume> {
        let all = self.0.lock().unwrap();
        let there = all.iter().filter(|meter| meter.port == port);
        there.map(|meter| (meter.up.load(Ordering::SeqCst), meter.down.load(Ordering::SeqCst))).collect()
    }

    pub(super) fn watch(&self, stream: TcpStream, port: u16) -> Metered {
        let meter = Arc::new(Meter { port, up: AtomicU64::new(0), down: AtomicU64::new(0) });
        self.0.lock().unwrap().push(meter.clone());
        Metered { stream, meter }
    }
}

pub(super) struct Metered {
    stream: TcpStream,
    meter: Arc<Meter>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.meter.up.fetch_add((buffer.filled().len() - before) as u64, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.meter.down.fetch_add(length as u64, Ordering::SeqCst);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
