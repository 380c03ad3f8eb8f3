//! One direction of a stream that has shown to be long: its bytes stay in the kernel.
//!
//! A fast stream is taken in batches. Woken for every segment, the gateway would cost more than the
//! bytes do, and have the receiver woken as often.

use std::io;
use std::time::Duration;

use netns::{Pipe, set_low_water};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{Broken, Direction, Moved, end};
use crate::turn::Turn;

/// Octets of a batch.
const BATCH: i32 = 256 * 1024;
/// How long a batch may take to fill before what is there goes on.
const PATIENCE: Duration = Duration::from_millis(1);
/// The time over which speed is measured.
const WINDOW: Duration = Duration::from_millis(1);
/// Octets in a window that make a stream fast: batches fill well within the patience, at 4 Gbit/s.
const FAST: u64 = 512 * 1024;
/// Octets in batches after which a wait for one that does not fill is a small part of the time.
const WORTH: u64 = 4 * 1024 * 1024;
/// Fast windows in a row before batches begin, at first, and after batches that were not worth it.
const STREAKS: std::ops::RangeInclusive<u32> = 2..=256;

/// Copies until `from` ends, and passes the end on.
pub(super) async fn splice(
    from: &TcpStream,
    to: &TcpStream,
    direction: Direction<'_>,
    moved: &Moved,
    mut pipe: Pipe,
) -> Result<(), Broken> {
    let (mut pace, mut turn) = (Pace::new(Instant::now()), Turn::default());
    loop {
        readable(from, &mut pace).await.map_err(|_| Broken::Sender)?;
        let length = match from.try_io(Interest::READABLE, || pipe.fill(from)) {
            Ok(0) => return end(to, moved),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return Err(Broken::Sender),
        };
        direction.read(length);
        while pipe.held() > 0 {
            to.writable().await.map_err(|_| Broken::Receiver)?;
            match to.try_io(Interest::WRITABLE, || pipe.drain(to)) {
                Ok(length) => direction.written(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Broken::Receiver),
            }
        }
        moved.now();
        if pace.moved(length as u64, Instant::now()) && set_low_water(from, BATCH).is_err() {
            pace.unfilled(Instant::now());
        }
        turn.step(length).await;
    }
}

/// Waits for a batch, where there are batches, but not for long; else for anything.
async fn readable(from: &TcpStream, pace: &mut Pace) -> io::Result<()> {
    if pace.batches {
        if let Ok(result) = timeout(PATIENCE, from.readable()).await {
            return result;
        }
        pace.unfilled(Instant::now());
        set_low_water(from, 1)?;
    }
    from.readable().await
}

/// Whether a stream is fast enough for batches.
#[derive(Debug)]
struct Pace {
    batches: bool,
    window: Instant,
    /// In the window, or in batches since they began.
    octets: u64,
    /// Fast windows in a row, and how many of them begin batches.
    streak: u32,
    needed: u32,
}

impl Pace {
    fn new(now: Instant) -> Pace {
        Pace { batches: false, window: now, octets: 0, streak: 0, needed: *STREAKS.start() }
    }

    /// So much has gone on; whether the stream is to be taken in batches from here on, and was not before.
    fn moved(&mut self, octets: u64, now: Instant) -> bool {
        self.octets += octets;
        let elapsed = now - self.window;
        if self.batches || elapsed < WINDOW {
            return false;
        }
        let fast = u128::from(self.octets) * WINDOW.as_nanos() >= u128::from(FAST) * elapsed.as_nanos();
        self.begin(now);
        self.streak = if fast { self.streak + 1 } else { 0 };
        self.batches = self.streak >= self.needed;
        self.batches
    }

    /// A batch did not fill: the stream pauses, or has slowed down. One that does so often, as
    /// questions and long answers in turn, is soon left without batches, as each such wait delays it.
    fn unfilled(&mut self, now: Instant) {
        self.batches = false;
        self.streak = 0;
        self.needed =
            if self.octets >= WORTH { *STREAKS.start() } else { (self.needed * 2).min(*STREAKS.end()) };
        self.begin(now);
    }

    fn begin(&mut self, now: Instant) {
        self.window = now;
        self.octets = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn only_a_fast_stream_is_taken_in_batches() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for ms in 1..100 {
            assert!(!pace.moved(FAST - 1, start + ms * MS), "{ms}");
        }
        assert!(!pace.moved(FAST, start + 100 * MS));
        assert!(pace.moved(FAST, start + 101 * MS));
        assert!(!pace.moved(FAST, start + 102 * MS));
    }

    #[test]
    fn a_pause_breaks_the_streak() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!(!pace.moved(FAST, start + MS));
        assert!(!pace.moved(FAST, start + 3 * MS));
        assert!(!pace.moved(FAST, start + 4 * MS));
        assert!(pace.moved(FAST, start + 5 * MS));
    }

    #[test]
    fn a_pause_after_many_batches_is_forgiven() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for round in 0..10 {
            let start = start + round * 4 * MS;
            assert!(!pace.moved(FAST, start + MS));
            assert!(pace.moved(FAST, start + 2 * MS));
            assert!(!pace.moved(WORTH, start + 3 * MS));
            pace.unfilled(start + 4 * MS);
            assert_eq!(pace.needed, *STREAKS.start());
        }
    }

    #[test]
    fn a_stream_that_pauses_often_is_left_alone() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut batches = 0;
        // Bursts of eight milliseconds.
        for ms in 1..8000 {
            if ms % 8 == 0 {
                if pace.batches {
                    pace.unfilled(start + ms * MS);
                }
                pace.moved(0, start + ms * MS);
            } else if pace.moved(FAST, start + ms * MS) {
                batches += 1;
            }
        }
        assert_eq!(batches, 2);
    }
}
