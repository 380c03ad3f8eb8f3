//! Builds and starts commands on the host of a world, inside `cijail-net run` or without it.

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{chdir, setsid, ttyname};

use crate::enter;
use crate::outcome::Outcome;
use crate::private_user::{PrivateUser, UID};
use crate::running::{Running, Terminal};
use crate::suite::Mode;
use crate::world::{World, authority, give_away, leaks::MARKER};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LIMIT: Duration = Duration::from_secs(60);

static RUNS: AtomicU32 = AtomicU32::new(1);

#[derive(Clone)]
pub(crate) struct Jail<'w> {
    world: &'w World,
    mode: Mode,
    around: Around,
    wrapper: Vec<OsString>,
    options: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    input: Vec<u8>,
    directory: Option<PathBuf>,
    limit: Duration,
    log: bool,
    certificates: bool,
}

/// What stands between the host and the command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    /// `cijail-net run OPTIONS -- COMMAND`.
    Jail,
    /// Nothing: shows that what the jail prevents would have happened.
    Nothing,
    /// The command is `cijail-net`'s own arguments.
    Arguments,
}

impl<'w> Jail<'w> {
    pub(crate) fn new(world: &'w World, mode: Mode) -> Self {
        Self::around(world, mode, Around::Jail)
    }

    /// The same command, on the same host, as the same user, without a jail. Rules are ignored.
    pub(crate) fn direct(world: &'w World, mode: Mode) -> Self {
        Self::around(world, mode, Around::Nothing)
    }

    /// `cijail-net` with the arguments that `run` gets, and no others.
    pub(crate) fn bare(world: &'w World, mode: Mode) -> Self {
        Self::around(world, mode, Around::Arguments)
    }

    fn around(world: &'w World, mode: Mode, around: Around) -> Self {
        Self {
            world,
            mode,
            around,
            wrapper: Vec::new(),
            options: Vec::new(),
            environment: Vec::new(),
            input: Vec::new(),
            directory: None,
            limit: LIMIT,
            log: around == Around::Jail,
            certificates: true,
        }
    }

    pub(crate) fn allow(self, rule: &str) -> Self {
        self.option("--allow").option(rule)
    }

    pub(crate) fn deny(self, rule: &str) -> Self {
        self.option("--deny").option(rule)
    }

    /// Without the rules and other options so far.
    pub(crate) fn without_rules(self) -> Self {
        Self { options: Vec::new(), ..self }
    }

    /// A policy file of this content.
    pub(crate) fn policy(self, toml: &str) -> Self {
        let path = self.world.files().shared().join(format!("policy-{}.toml", next_number()));
        fs::write(&path, toml).unwrap();
        self.option("--policy").option(path)
    }

    /// One more word before the `--`.
    pub(crate) fn option(mut self, word: impl Into<OsString>) -> Self {
        self.options.push(word.into());
        self
    }

    /// Words in front of everything: a program that starts the rest of the line with other limits.
    pub(crate) fn under(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(OsString::from).collect();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    pub(crate) fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Without what makes clients trust the miniature internet's authority.
    pub(crate) fn without_certificates(mut self) -> Self {
        self.certificates = false;
        self
    }

    /// Leaves the log where it goes by itself: as text, on stderr.
    pub(crate) fn without_log_file(mut self) -> Self {
        self.log = false;
        self
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.world.files().home(self.mode)
    }

    /// Runs a command to its end. Fails the test if that takes longer than the limit.
    #[track_caller]
    pub(crate) fn run<I, S>(&self, command: I) -> Outcome
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.start(command).finish()
    }

    #[track_caller]
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        self.run(["sh", "-c", script])
    }

    #[track_caller]
    pub(crate) fn python(&self, script: &str) -> Outcome {
        self.run(["/usr/bin/python3", "-c", script])
    }

    /// One of the programs in `helper`.
    #[track_caller]
    pub(crate) fn helper(&self, words: &[&str]) -> Outcome {
        let program = enter::helper();
        self.run([program.as_os_str(), "--helper".as_ref()].into_iter().chain(words.iter().map(OsStr::new)))
    }

    /// Starts a command and leaves it running.
    #[track_caller]
    pub(crate) fn start<I, S>(&self, command: I) -> Running
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let (mut command, log) = self.command(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        self.enter_host(&mut command, None);
        Running::spawn(command, self.input.clone(), log, self.limit)
    }

    /// Starts a command as the leader of a session on a terminal of its own.
    #[track_caller]
    pub(crate) fn terminal<I, S>(&self, command: I) -> Terminal
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let (mut command, _) = self.command(command);
        let pty = nix::pty::openpty(None, None).unwrap();
        for (set, slave) in [
            (Command::stdin as fn(&mut Command, Stdio) -> &mut Command, pty.slave.try_clone()),
            (Command::stdout, pty.slave.try_clone()),
            (Command::stderr, pty.slave.try_clone()),
        ] {
            set(&mut command, slave.unwrap().into());
        }
        if self.mode == Mode::Rootless {
            give_away(&ttyname(&pty.slave).unwrap()).unwrap();
        }
        self.enter_host(&mut command, Some(0));
        let terminal = Terminal::spawn(command, pty.master, self.limit);
        drop(pty.slave);
        terminal
    }

    fn command<I, S>(&self, words: I) -> (Command, Option<PathBuf>)
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut all = self.wrapper.clone();
        let mut log = None;
        if self.around != Around::Nothing {
            all.push(enter::binary().into());
        }
        if self.around == Around::Jail {
            all.push("run".into());
            if self.log {
                let path = self.world.files().shared().join(format!("log-{}.json", next_number()));
                all.extend(["--log-format".into(), "json".into(), "--log-file".into(), path.clone().into()]);
                log = Some(path);
            }
            all.extend(self.options.iter().cloned());
            all.push("--".into());
        }
        all.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        let mut command = Command::new(&all[0]);
        command.args(&all[1..]).env_clear();
        for (name, value) in usual_environment(self.world, self.mode) {
            if self.certificates || !(CA_VARIABLES.contains(&name) || name == WGETRC) {
                command.env(name, value);
            }
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        (command, log)
    }

    fn enter_host(&self, command: &mut Command, terminal: Option<RawFd>) {
        let directory = self.directory.clone().unwrap_or_else(|| self.home());
        let directory = CString::new(directory.as_os_str().as_bytes()).unwrap();
        let net = self.world.host().net.as_fd().as_raw_fd();
        let mounts = self.world.host().mounts.as_fd().as_raw_fd();
        let user = (self.mode == Mode::Rootless).then(PrivateUser::new);
        let enter = move || -> io::Result<()> {
            // SAFETY: the world outlives its commands, and holds both descriptors open.
            let (net, mounts) = unsafe {
                (std::os::fd::BorrowedFd::borrow_raw(net), std::os::fd::BorrowedFd::borrow_raw(mounts))
            };
            setns(net, CloneFlags::CLONE_NEWNET)?;
            setns(mounts, CloneFlags::CLONE_NEWNS)?;
            if let Some(user) = user {
                user.assume()?;
            }
            chdir(directory.as_c_str())?;
            if let Some(terminal) = terminal {
                setsid()?;
                take_terminal(terminal)?;
            }
            heed_signals();
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        };
        // SAFETY: the closure makes system calls only.
        unsafe { command.pre_exec(enter) };
    }
}

/// Has the calling process end by signals that who started the tests ignores, as nohup(1) does.
fn heed_signals() {
    for each in Signal::iterator() {
        // SAFETY: the default action runs no code of this process. Two signals have no other.
        let _ = unsafe { signal(each, SigHandler::SigDfl) };
    }
}

/// Nothing is inherited: neither proxies nor anyone's certificates. Every usual client trusts the miniature
/// internet's authority.
fn usual_environment(world: &World, mode: Mode) -> Vec<(&'static str, OsString)> {
    let home = world.files().home(mode);
    let authority = authority().pem();
    let user = if mode == Mode::Root { "root" } else { "runner" };
    let mut variables: Vec<(&str, OsString)> = vec![
        ("PATH", PATH.into()),
        ("HOME", home.clone().into()),
        ("USER", user.into()),
        ("LOGNAME", user.into()),
        ("LANG", "C.UTF-8".into()),
        ("TERM", "dumb".into()),
        (MARKER, world.marker().into()),
        (WGETRC, wgetrc(world, authority).into()),
        ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ("GIT_TERMINAL_PROMPT", "0".into()),
    ];
    for name in CA_VARIABLES {
        variables.push((name, authority.into()));
    }
    variables
}

const WGETRC: &str = "WGETRC";
const CA_VARIABLES: [&str; 8] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "npm_config_cafile",
];

/// wget has no variable for it.
fn wgetrc(world: &World, authority: &Path) -> PathBuf {
    let path = world.files().shared().join("wgetrc");
    if !path.exists() {
        fs::write(&path, format!("ca_certificate = {}\n", authority.display())).unwrap();
    }
    path
}

fn take_terminal(terminal: RawFd) -> io::Result<()> {
    // SAFETY: the request takes a number and no pointer.
    let result = unsafe { libc::ioctl(terminal, libc::TIOCSCTTY, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn next_number() -> u32 {
    RUNS.fetch_add(1, Ordering::Relaxed)
}

/// `cijail-net` for a script that runs it.
pub(crate) fn quoted_binary() -> String {
    enter::binary().display().to_string()
}

/// The user that jobs run as.
pub(crate) fn uid(mode: Mode) -> u32 {
    match mode {
        Mode::Root => 0,
        Mode::Rootless => UID,
    }
}
