//! Answers who asks what a run does: one snapshot a connection, of which nothing is read.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netns::distinct_user;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::Live;
use super::name::RunName;
use super::snapshot::Run;

/// Answers on their way at once; who comes later waits in the kernel's queue.
const AT_ONCE: usize = 4;
/// How long an answer may take to be read.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two who ask: together they cost the run next to nothing, however fast they ask.
const PAUSE: Duration = Duration::from_millis(5);
/// How long an answer is good for.
const FRESH: Duration = Duration::from_millis(200);

/// The socket at which a run answers. It must be opened before the process is confined.
#[derive(Debug)]
pub struct Door {
    listener: StdListener,
    uid: u32,
}

impl Door {
    /// Opens it in the network namespace of the calling thread, for a run of the calling process.
    ///
    /// # Errors
    /// This user cannot be told from others, or the kernel has no room.
    pub fn open(session: &str) -> io::Result<Door> {
        let uid = distinct_user().ok_or(io::ErrorKind::PermissionDenied)?.as_raw();
        let name = RunName { uid, pid: std::process::id(), session: session.to_owned() };
        let listener = StdListener::bind_addr(&SocketAddr::from_abstract_name(name.to_string())?)?;
        listener.set_nonblocking(true)?;
        Ok(Door { listener, uid })
    }

    /// Answers until it is dropped.
    ///
    /// # Errors
    /// The event loop takes no more descriptors.
    pub async fn serve(self, run: Run, live: Live) -> io::Result<()> {
        let listener = UnixListener::from_std(self.listener)?;
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut answer: Option<(Instant, Arc<str>)> = None;
        loop {
            // Nobody closes it.
            let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
            if let Ok((stream, _)) = listener.accept().await
                && may_ask(&stream, self.uid)
            {
                let fresh = answer.take().filter(|(made, _)| made.elapsed() < FRESH);
                let (made, text) = fresh.unwrap_or_else(|| (Instant::now(), text(&run, &live)));
                tokio::spawn(give(stream, text.clone(), place));
                answer = Some((made, text));
            }
            sleep(PAUSE).await;
        }
    }
}

/// Root, and whose run it is.
fn may_ask(stream: &UnixStream, own: u32) -> bool {
    netns::peer(stream).is_ok_and(|peer| [0, own].contains(&peer.uid.as_raw()))
}

fn text(run: &Run, live: &Live) -> Arc<str> {
    // Strings and numbers only: it cannot fail.
    serde_json::to_string(&live.snapshot(run)).unwrap_or_default().into()
}

/// A client that does not read is left.
async fn give(mut stream: UnixStream, text: Arc<str>, _place: OwnedSemaphorePermit) {
    let _ = timeout(PATIENCE, stream.write_all(text.as_bytes())).await;
}
