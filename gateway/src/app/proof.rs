//! Enforcement is proved again and again while the job runs, from inside its namespace. What is not proved any more
//! ends the run.
//!
//! The gateway answers itself here, so a gateway that does nothing proves nothing; the job has no network then.

use std::io;
use std::time::Duration;

use netns::net::Attempt;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

/// Between two proofs.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long one try after the other waits for an answer, in [`SLICE`]s: half a minute in all.
const PATIENCE: [u32; 5] = [4, 8, 16, 32, 60];
/// Patience is counted in waits of our own, so that time in which the run was suspended or got no processor does not
/// count, and no jump of a clock does.
const SLICE: Duration = Duration::from_millis(250);
/// After a wrong answer, which comes at once.
const PAUSE: Duration = Duration::from_secs(1);

/// What must be denied was not, several times in a row.
#[derive(Debug, thiserror::Error)]
#[error("{target} was not denied any more")]
pub struct ProofError {
    target: String,
    source: io::Error,
}

/// Proves until it fails.
pub(super) async fn run(attempts: &[Attempt]) -> ProofError {
    loop {
        // At first as well: a short run costs nothing.
        sleep(INTERVAL).await;
        for attempt in attempts {
            if let Err(source) = prove(attempt).await {
                return ProofError { target: attempt.to_string(), source };
            }
        }
    }
}

/// Tries until it is denied, or has not been several times in a row.
async fn prove(attempt: &Attempt) -> io::Result<()> {
    let mut last = Ok(());
    for slices in PATIENCE {
        last = attempt_once(attempt, slices).await;
        match &last {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
    last
}

async fn attempt_once(attempt: &Attempt, slices: u32) -> io::Result<()> {
    attempt.begin()?;
    // Anew each time: the event loop remembers for good that a socket has been closed.
    let attempt = netns::watch(attempt)?;
    for _ in 0..slices {
        tokio::select! {
            // What has arrived counts, however late it is.
            biased;
            outcome = outcome(&attempt) => return outcome,
            () = sleep(SLICE) => {}
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
}

async fn outcome(attempt: &AsyncFd<&Attempt>) -> io::Result<()> {
    loop {
        let mut ready = attempt.readable().await?;
        if let Ok(outcome) = ready.try_io(|attempt| attempt.get_ref().outcome()) {
            return outcome;
        }
    }
}
