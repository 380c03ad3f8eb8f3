//! Which programs ran and which files were used, from the job's sensor into the log.

mod files;

use std::io::ErrorKind;
use std::time::Duration;

use netns::job::{Access, Ending, Observation, Observer};
use tokio::io::unix::AsyncFd;

use crate::audit::{Audit, Event, Kind, Outcome, ending as word};

pub use files::{WatchError, watch};

/// Observations that are read before others have their turn.
const TURN: usize = 64;

/// How long the log's writer is left to itself if it is behind.
const REST: Duration = Duration::from_millis(1);

/// The log's end of the sensor.
#[derive(Debug)]
pub struct Sensing {
    observer: AsyncFd<Observer>,
    audit: Audit,
}

impl Sensing {
    /// Listens to this observer.
    ///
    /// # Errors
    /// The event loop takes no more descriptors.
    pub fn new(observer: Observer, audit: Audit) -> std::io::Result<Sensing> {
        Ok(Sensing { observer: netns::watch(observer)?, audit })
    }

    /// Logs what is seen for as long as the job lasts.
    pub async fn serve(&self) {
        while let Ok(mut ready) = self.observer.readable().await {
            match ready.try_io(|_| self.hear(TURN)) {
                Ok(Err(_)) => return,
                // A job that does a lot keeps nobody else from their turn.
                Ok(Ok(())) => tokio::task::yield_now().await,
                Err(_) => {}
            }
            // The job waits for us then.
            while !self.audit.has_room() {
                tokio::time::sleep(REST).await;
            }
        }
    }

    /// Logs what was seen last. The job is gone.
    pub fn finish(&self) {
        while self.hear(TURN).is_ok() {}
    }

    fn hear(&self, turn: usize) -> std::io::Result<()> {
        let mut buffer = Vec::new();
        for _ in 0..turn {
            match self.observer.get_ref().hear(&mut buffer)? {
                Some(observation) => self.audit.record(event(observation)),
                None => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(())
    }
}

/// The event of what was seen.
fn event(observation: Observation) -> Event {
    let (at, program, path, times, kind, access, detail) = match observation {
        Observation::Program { at, program, path, ending, times } => {
            let detail = match ending {
                Ending::Ran => None,
                Ending::Refused => Some(word::REFUSED),
                Ending::NotFound => Some(word::NOT_FOUND),
                Ending::Unseen => Some(word::UNSEEN),
            };
            (at, program, path, times, Kind::Exec, None, detail)
        }
        Observation::File { at, program, path, access, times } => {
            (at, program, path, times, Kind::File, Some(Access::as_str(access)), None)
        }
        Observation::Missed(calls) => return missed(calls),
    };
    let mut event = Event::new(Outcome::Allow, kind);
    event.at = at;
    event.path = Some(path);
    event.access = access;
    event.detail = detail.map(str::to_owned);
    event.program = Some(program.into());
    event.count = (times != 1).then_some(times);
    event
}

fn missed(calls: u64) -> Event {
    let mut event = Event::new(Outcome::Allow, Kind::Other);
    event.detail = Some("calls that could be a program or a watched file, and were not seen".to_owned());
    event.count = Some(calls);
    event
}
