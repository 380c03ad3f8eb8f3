//! What carries the load: nothing, the peers, `cijail-net`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use crate::Result;
use crate::figures::Load;
use crate::installed::program;
use crate::server::{BULK, SMALL};
use crate::world::{self, MACHINE, SERVER};

/// The user of rootless runs (nobody).
const USER: u32 = 65_534;

/// One column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The command itself; the plain veth pair.
    Direct,
    /// Through threads that copy.
    Copied,
    /// As root.
    Jail,
    /// As an unprivileged user.
    Rootless,
    /// `pasta -- cmd`.
    Pasta,
    /// `slirp4netns` on a process in a new network namespace.
    Slirp,
    /// `bwrap --unshare-net`, which has no network at all.
    Bubblewrap,
}

impl Variant {
    pub(crate) const ALL: [Variant; 7] = [
        Variant::Direct,
        Variant::Copied,
        Variant::Jail,
        Variant::Rootless,
        Variant::Pasta,
        Variant::Slirp,
        Variant::Bubblewrap,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Variant::Direct => "direct",
            Variant::Copied => "bare relay",
            Variant::Jail => "cijail-net",
            Variant::Rootless => "rootless",
            Variant::Pasta => "pasta",
            Variant::Slirp => "slirp4netns",
            Variant::Bubblewrap => "bwrap",
        }
    }

    /// Why it cannot take part.
    pub(crate) fn missing(self) -> Option<String> {
        let (program, remedy) = match self {
            Variant::Direct | Variant::Copied | Variant::Jail => return None,
            Variant::Rootless => {
                let works = self.command(&["true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
                let works = works.is_ok_and(|status| status.success());
                return (!works).then(|| "an unprivileged user cannot run cijail-net here".to_owned());
            }
            Variant::Pasta => ("pasta", "apt-get install passt"),
            Variant::Slirp => ("slirp4netns", "apt-get install slirp4netns"),
            Variant::Bubblewrap => ("bwrap", "apt-get install bubblewrap"),
        };
        let found = std::env::split_paths(&std::env::var_os("PATH")?)
            .any(|directory| directory.join(program).exists());
        (!found).then(|| format!("not installed: {remedy}"))
    }

    /// Whether something is started before the command.
    pub(crate) fn has_start_up(self) -> bool {
        self != Variant::Copied
    }

    pub(crate) fn carries_traffic(self) -> bool {
        self != Variant::Bubblewrap
    }

    /// How long `true` takes, from before the start to after the end.
    pub(crate) fn start_up(self) -> Result<Duration> {
        let start = Instant::now();
        let mut running = self.start(&["true"])?;
        running.finish()?;
        Ok(start.elapsed())
    }

    /// Carries the load once.
    pub(crate) fn load(self) -> Result<Load> {
        let own = std::env::current_exe()?;
        let own = own.to_str().ok_or("the bench has an odd path")?;
        let server = if self == Variant::Copied { MACHINE } else { SERVER }.to_string();
        let mut arguments = vec![own, "load", &server];
        if matches!(self, Variant::Jail | Variant::Rootless) {
            arguments.push("jailed");
        }
        let mut running = self.start(&arguments)?;
        let mut line = String::new();
        running.words.read_line(&mut line)?;
        let mut load: Load =
            serde_json::from_str(&line).map_err(|error| format!("the load over {}: {error}", self.name()))?;
        load.memory = running.gateway.and_then(peak_memory);
        running.finish()?;
        Ok(load)
    }

    fn start(self, command: &[&str]) -> Result<Running> {
        if self == Variant::Slirp {
            return start_slirp(command);
        }
        // The peers chat; what cijail-net says with --quiet is why it failed.
        let stderr = if self == Variant::Pasta { Stdio::null() } else { Stdio::inherit() };
        let mut child =
            self.command(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
        let gateway = (!matches!(self, Variant::Direct | Variant::Copied)).then_some(child.id());
        let words = BufReader::new(child.stdout.take().ok_or("no pipe from the command")?);
        Ok(Running { pipe: child.stdin.take(), words, child, helper: None, gateway })
    }

    fn command(self, command: &[&str]) -> Command {
        let mut wrapper = match self {
            Variant::Direct | Variant::Copied | Variant::Slirp => Command::new(command[0]),
            Variant::Jail | Variant::Rootless => Command::new(program()),
            Variant::Pasta => Command::new("pasta"),
            Variant::Bubblewrap => Command::new("bwrap"),
        };
        match self {
            Variant::Direct | Variant::Copied | Variant::Slirp => return take(wrapper, &command[1..]),
            Variant::Jail | Variant::Rootless => {
                wrapper.args([
                    "run",
                    "--quiet",
                    "--resolver",
                    &SERVER.to_string(),
                    "--allow",
                    "bench.example",
                ]);
                wrapper.args([
                    "--allow",
                    &format!("{SERVER}:{BULK}"),
                    "--allow",
                    &format!("{SERVER}:{SMALL}"),
                    "--",
                ]);
            }
            // As root it would give up its privilege before it has made the namespaces.
            Variant::Pasta => {
                wrapper.args(["--config-net", "--runas", "0", "--quiet", "--"]);
            }
            Variant::Bubblewrap => {
                wrapper.args(["--unshare-net", "--dev-bind", "/", "/", "--"]);
            }
        }
        if self == Variant::Rootless {
            wrapper.uid(USER).gid(USER).current_dir("/");
        }
        take(wrapper, command)
    }
}

fn take(mut wrapper: Command, command: &[&str]) -> Command {
    wrapper.args(command);
    wrapper
}

/// A command under way.
struct Running {
    child: Child,
    /// Closing it lets the command end.
    pipe: Option<ChildStdin>,
    words: BufReader<std::process::ChildStdout>,
    /// What must be ended afterwards.
    helper: Option<Child>,
    /// The process that carries the traffic.
    gateway: Option<u32>,
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in std::iter::once(&mut self.child).chain(&mut self.helper) {
            // After a finish both have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    fn finish(&mut self) -> Result<()> {
        self.pipe.take();
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a command ended with {status}").into()) }
    }
}

/// A process in a new namespace, `slirp4netns` on it, and then the command.
fn start_slirp(command: &[&str]) -> Result<Running> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("wait")
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut words = BufReader::new(child.stdout.take().ok_or("no pipe from the command")?);
    world::expect(&mut words, "entered")?;
    let mut helper = Command::new("slirp4netns")
        .args(["--configure", "--mtu=65520", "--ready-fd=1", &child.id().to_string(), "tap0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    helper.stdout.as_mut().ok_or("no pipe from slirp4netns")?.read_exact(&mut [0])?;
    let gateway = Some(helper.id());
    let mut pipe = child.stdin.take();
    pipe.as_mut().ok_or("no pipe to the command")?.write_all(b"ready\n")?;
    Ok(Running { child, pipe, words, helper: Some(helper), gateway })
}

/// Enters a new network namespace, waits for the word, and becomes the command.
pub(crate) fn wait_and_exec(command: &[String]) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    println!("entered");
    // Unbuffered, as the rest is the command's.
    let mut word = [0; b"ready\n".len()];
    std::io::stdin().lock().read_exact(&mut word)?;
    let (program, arguments) = command.split_first().ok_or("no command")?;
    Err(Command::new(program).args(arguments).exec().into())
}

/// The largest resident size so far, in MiB (proc_pid_status(5)).
fn peak_memory(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}
