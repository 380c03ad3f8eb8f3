//! Runs the postinstall in the demo's host namespace, with the jail or without, and listens to it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use netns::net::World;

use super::DemoError;
use super::way::Told;

/// The binary that runs now, also when its file has been replaced.
const SELF: &str = "/proc/self/exe";
/// How long the postinstall may be silent; each of its steps gives up earlier.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a job ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// What was written to standard error.
    pub(super) log: String,
}

/// Runs this program with other arguments. The environment is nothing but `variables`: proxies and
/// rules of the caller have no place in the demo's world.
pub(super) fn run(
    world: &World,
    arguments: &[&str],
    variables: &[(&str, String)],
    mut listen: impl FnMut(Told) -> Result<(), DemoError>,
) -> Result<Ended, DemoError> {
    let mut command = Command::new(SELF);
    command.args(arguments).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = world.in_host(|| command.spawn())?.map_err(DemoError::Job)?;
    let listened = hear(&mut child, &mut listen);
    if listened.is_err() {
        // It may have ended by itself.
        let _ = child.kill();
    }
    let status = child.wait().map_err(DemoError::Job)?;
    Ok(Ended { status, log: listened? })
}

fn hear(
    child: &mut Child,
    listen: &mut impl FnMut(Told) -> Result<(), DemoError>,
) -> Result<String, DemoError> {
    let lines = lines(child)?;
    let mut stderr = child.stderr.take().ok_or(DemoError::Silent)?;
    let log = thread::Builder::new()
        .spawn(move || {
            let mut bytes = Vec::new();
            // What could be read is what is shown.
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
        .map_err(DemoError::Job)?;
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                if let Some(told) = Told::decode(&line) {
                    listen(told)?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return log.join().map_err(|_| DemoError::Silent),
            Err(RecvTimeoutError::Timeout) => return Err(DemoError::Silent),
        }
    }
}

fn lines(child: &mut Child) -> Result<Receiver<String>, DemoError> {
    let stdout = child.stdout.take().ok_or(DemoError::Silent)?;
    let (sender, receiver) = channel();
    let read = move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens any more once the demo has failed.
            if sender.send(line).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().spawn(read).map_err(DemoError::Job)?;
    Ok(receiver)
}
