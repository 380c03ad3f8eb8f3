//! Copies two TCP streams into each other.
//!
//! An idle relay holds no buffer: bytes are read into one scratch buffer of the thread and written
//! on at once. Only what the other side does not take is kept, and then nothing more is read.

mod bulk;

use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use netns::Pipe;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::counters::Counters;
use crate::scratch::Scratch;
use crate::turn::Turn;

/// Octets in one direction after which a stream is spliced: below, two descriptors for a pipe are
/// not worth it.
const BULK: usize = 1024 * 1024;
/// Octets read at once, and the most that is kept when the other side takes nothing. Long streams do
/// not pass through here.
const SCRATCH: usize = 64 * 1024;

/// How long a job may take to hear the rest of what a broken upstream said.
const LAST_WORDS: Duration = Duration::from_secs(1);

static SCRATCH_BUFFER: Scratch<SCRATCH> = Scratch::new();

/// Why a relay ended before both sides did.
#[derive(Debug)]
pub enum Ended<T> {
    /// One side broke or nothing moved for too long; both have been reset, so that a cut transfer
    /// does not look complete.
    Broke,
    /// The opening said that the job's bytes are not to be relayed. Nothing was reset.
    Refused(T),
}

/// Relays until both sides have ended, one of them broke, or nothing moved for `idle`. A side that
/// has ended is only half closed: the other direction goes on. What upstream said before it broke
/// reaches a job that takes it at once.
///
/// What the job says is left alone until `opening` is done, which says whether upstream can still be
/// written to, and the job hears nothing until `answer` is.
/// `sent` is called once all that the job will ever send is on its way.
///
/// # Errors
/// The relay ended early.
pub async fn relay<T>(
    job: &TcpStream,
    upstream: &TcpStream,
    counters: &Counters,
    idle: Duration,
    opening: impl Future<Output = Result<bool, T>>,
    answer: impl Future<Output = ()>,
    sent: impl FnOnce(),
) -> Result<(), Ended<T>> {
    let moved = Moved::new();
    let up = async {
        let result = if opening.await.map_err(Some)? {
            pump(job, upstream, Direction::Up(counters), &moved).await
        } else {
            Err(Broken::Receiver)
        };
        sent();
        match result {
            Err(Broken::Receiver) => moved.cut(),
            Err(Broken::Sender) => return Err(None),
            Ok(()) => {}
        }
        Ok(())
    };
    let down = async {
        hold(upstream, job, Direction::Down(counters), answer).await?;
        pump(upstream, job, Direction::Down(counters), &moved).await
    };
    let both = async { tokio::try_join!(up, async { down.await.map_err(|_| None) }) };
    let result = tokio::select! {
        result = both => result,
        () = moved.idle_for(idle) => Err(None),
        () = moved.cut_for(LAST_WORDS) => Err(None),
    };
    match result {
        Ok(((), ())) if !moved.is_cut() => Ok(()),
        Err(Some(refused)) => Err(Ended::Refused(refused)),
        Ok(_) | Err(None) => {
            reset(job);
            reset(upstream);
            Err(Ended::Broke)
        }
    }
}

/// Makes closing the stream send a reset instead of an orderly end.
pub fn reset(stream: &TcpStream) {
    // On a socket that is already gone there is nothing to reset.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Takes [`reset`] back.
pub fn no_reset(stream: &TcpStream) {
    // As above.
    let _ = SockRef::from(stream).set_linger(None);
}

/// When something last moved, in milliseconds since the relay began, and whether upstream takes nothing any more.
struct Moved {
    start: Instant,
    last: AtomicU64,
    cut: AtomicBool,
    told: Notify,
}

impl Moved {
    fn new() -> Moved {
        Moved {
            start: Instant::now(),
            last: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            told: Notify::new(),
        }
    }

    fn now(&self) {
        self.last.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Upstream broke: there is only the rest of what it said.
    fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
        self.told.notify_one();
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    async fn cut_for(&self, time: Duration) {
        self.told.notified().await;
        sleep_until(Instant::now() + time).await;
    }

    async fn idle_for(&self, idle: Duration) {
        loop {
            let deadline = self.start + Duration::from_millis(self.last.load(Ordering::Relaxed)) + idle;
            if deadline <= Instant::now() {
                return;
            }
            sleep_until(deadline).await;
        }
    }
}

/// Whose octets are relayed. They are counted where the host is: on their way up when they are sent, on
/// their way down when they come.
#[derive(Clone, Copy)]
enum Direction<'c> {
    Up(&'c Counters),
    Down(&'c Counters),
}

impl Direction<'_> {
    fn read(self, octets: usize) {
        if let Direction::Down(counters) = self {
            counters.add_down(octets);
        }
    }

    fn written(self, octets: usize) {
        if let Direction::Up(counters) = self {
            counters.add_up(octets);
        }
    }
}

/// Which side of a direction broke.
#[derive(Debug)]
enum Broken {
    Sender,
    Receiver,
}

/// Keeps what comes first until `until` is done. It is read at once, as it may be lost otherwise, and counts.
async fn hold(
    from: &TcpStream,
    to: &TcpStream,
    direction: Direction<'_>,
    until: impl Future<Output = ()>,
) -> Result<(), Broken> {
    let mut until = pin!(until);
    let first = loop {
        tokio::select! {
            biased;
            () = &mut until => return Ok(()),
            ready = from.readable() => ready.map_err(|_| Broken::Sender)?,
        }
        let first =
            SCRATCH_BUFFER.with(|scratch| from.try_read(scratch).map(|length| scratch[..length].to_vec()));
        match first {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            first => break first,
        }
    };
    let first = first.inspect(|first| direction.read(first.len()));
    until.await;
    let first = first.map_err(|_| Broken::Sender)?;
    write(to, &first, |octets| direction.written(octets)).await.map_err(|_| Broken::Receiver)
}

async fn pump(
    from: &TcpStream,
    to: &TcpStream,
    direction: Direction<'_>,
    moved: &Moved,
) -> Result<(), Broken> {
    let (mut carried, mut turn) = (0, Turn::default());
    loop {
        from.readable().await.map_err(|_| Broken::Sender)?;
        let step = SCRATCH_BUFFER.with(|scratch| carry(from, to, direction, scratch))?;
        let octets = match step {
            Step::Blocked => continue,
            Step::Carried(octets) => octets,
            Step::Left(rest) => {
                let written = write(to, &rest, |octets| direction.written(octets)).await;
                written.map_err(|_| Broken::Receiver)?;
                rest.len()
            }
            Step::Ended => return end(to, moved),
        };
        moved.now();
        turn.step(octets).await;
        carried += octets;
        if carried >= BULK {
            // Without descriptors for a pipe the copy goes on, and asks again later.
            if let Ok(pipe) = Pipe::new() {
                return bulk::splice(from, to, direction, moved, pipe).await;
            }
            carried = 0;
        }
    }
}

/// Passes the end of one side on, unless it only looks like one: who writes first to a socket that broke
/// is told so, and reads find an end.
fn end(to: &TcpStream, moved: &Moved) -> Result<(), Broken> {
    if moved.is_cut() {
        return Err(Broken::Sender);
    }
    // The other side may be gone already; its own direction tells.
    let _ = SockRef::from(to).shutdown(Shutdown::Write);
    Ok(())
}

enum Step {
    /// Nothing was there.
    Blocked,
    /// So many octets, all that were there, are on their way.
    Carried(usize),
    /// This much the other side did not take yet.
    Left(Vec<u8>),
    /// The sender has ended.
    Ended,
}

fn carry(
    from: &TcpStream,
    to: &TcpStream,
    direction: Direction<'_>,
    scratch: &mut [u8],
) -> Result<Step, Broken> {
    let length = match from.try_read(scratch) {
        Ok(0) => return Ok(Step::Ended),
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Step::Blocked),
        Err(_) => return Err(Broken::Sender),
    };
    direction.read(length);
    let mut written = 0;
    while written < length {
        match to.try_write(&scratch[written..length]) {
            Ok(octets) => {
                direction.written(octets);
                written += octets;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Step::Left(scratch[written..length].to_vec()));
            }
            Err(_) => return Err(Broken::Receiver),
        }
    }
    Ok(Step::Carried(length))
}

/// Writes everything, waiting as long as it takes.
pub(crate) async fn write_all(to: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    write(to, bytes, |_| {}).await
}

/// The same to a host, and counts what it was sent.
pub(crate) async fn send_all(to: &TcpStream, bytes: &[u8], counters: &Counters) -> io::Result<()> {
    write(to, bytes, |octets| counters.add_up(octets)).await
}

async fn write(to: &TcpStream, mut bytes: &[u8], written: impl Fn(usize)) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(octets) => {
                written(octets);
                bytes = &bytes[octets..];
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
