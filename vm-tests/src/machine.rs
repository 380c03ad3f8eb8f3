//! A virtual machine: QEMU, its console, and its end by a deadline.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::plan::Boot;

const QEMU: &str = "qemu-system-x86_64";
const MEMORY: &str = "1024";

/// How the guest's processor is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// By the host's own.
    Kvm,
    /// By software.
    Tcg,
}

/// A virtual machine could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachineError {
    #[error("starting {QEMU}; `vm-tests/run` installs it")]
    Start(#[source] io::Error),
    #[error("waiting for {QEMU}")]
    Wait(#[source] io::Error),
}

/// What a machine is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hardware<'a> {
    pub(crate) accelerator: Accelerator,
    pub(crate) kernel: &'a Path,
    pub(crate) image: &'a Path,
    /// Its only disk; raw.
    pub(crate) disk: &'a Path,
}

/// How a machine's life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It switched itself off.
    Off,
    /// It was killed when the time was up.
    Killed,
}

/// Starts the machine and hands over each line of its console until it is off, or the time is up.
pub(crate) fn run(
    hardware: Hardware<'_>,
    boot: &Boot,
    limit: Duration,
    mut hear: impl FnMut(String, Instant),
) -> Result<End, MachineError> {
    let deadline = Instant::now() + limit;
    let mut machine = Machine::start(hardware, boot)?;
    loop {
        match machine.console.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((line, heard)) => hear(line, heard),
            Err(RecvTimeoutError::Timeout) => return Ok(End::Killed),
            // QEMU has closed its output, as it does when it ends.
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    machine.qemu.wait().map_err(MachineError::Wait)?;
    Ok(End::Off)
}

struct Machine {
    qemu: Child,
    console: Receiver<(String, Instant)>,
}

impl Machine {
    fn start(hardware: Hardware<'_>, boot: &Boot) -> Result<Self, MachineError> {
        let processor = match hardware.accelerator {
            Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Accelerator::Tcg => ["-accel", "tcg", "-cpu", "max"],
        };
        let disk = format!("file={},format=raw,if=virtio", hardware.disk.display());
        // A killed runner leaves no machine behind. The signal follows the thread that starts it: the main one.
        let mut qemu = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", QEMU])
            .args(processor)
            .args(["-smp", "1", "-m", MEMORY, "-nodefaults", "-nic", "none", "-no-reboot"])
            .args(["-display", "none", "-serial", "stdio", "-drive", &disk])
            .arg("-kernel")
            .arg(hardware.kernel)
            .arg("-initrd")
            .arg(hardware.image)
            .args(["-append", &command_line(boot)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // A failure shows in what is missing; with KVM it is expected where that does not work.
            .stderr(if hardware.accelerator == Accelerator::Kvm { Stdio::null() } else { Stdio::inherit() })
            .spawn()
            .map_err(MachineError::Start)?;
        let (report, console) = mpsc::channel();
        if let Some(output) = qemu.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                    if report.send((line, Instant::now())).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { qemu, console })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as well.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// The kernel hands the words in capitals to the guest's init as its environment (bootparam(7)).
fn command_line(boot: &Boot) -> String {
    let stories: Vec<String> =
        boot.stories.iter().map(|(story, user)| format!("{story}:{}", user.word())).collect();
    let limit = if boot.words.is_empty() { "" } else { " LIMIT=3600" };
    format!(
        "console=ttyS0 quiet loglevel=1 panic=-1 {} LOAD={} RUN={} WITHOUT={} WORDS={}{limit}",
        boot.kernel,
        if boot.preload { "all" } else { "few" },
        stories.join(","),
        boot.without.join(","),
        boot.words.join(","),
    )
}
