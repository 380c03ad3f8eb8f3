//! Commands that are under way: their output so far, signals, and an end before a deadline.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::outcome::{Event, Outcome};
use crate::schemas::assert_is_event;
use crate::wait::patience;

const LIMIT_OF_PIPES: Duration = Duration::from_secs(5);

/// A command with pipes around it.
pub(crate) struct Running {
    name: String,
    pid: Pid,
    started: Instant,
    deadline: Instant,
    /// Open until the end is awaited, if no input was given beforehand.
    stdin: Option<ChildStdin>,
    stdout: Output,
    stderr: Output,
    ended: Receiver<(ExitStatus, Instant)>,
    log: Option<PathBuf>,
    over: bool,
}

impl Running {
    #[track_caller]
    pub(crate) fn spawn(mut command: Command, input: Vec<u8>, log: Option<PathBuf>, limit: Duration) -> Self {
        let name = in_words(&command);
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let mut stdin = child.stdin.take();
        if !input.is_empty() {
            let mut stdin = stdin.take().expect("it was piped");
            thread::spawn(move || stdin.write_all(&input));
        }
        let stdout = Output::read(child.stdout.take().expect("it was piped"));
        let stderr = Output::read(child.stderr.take().expect("it was piped"));
        let pid = Pid::from_raw(child.id() as i32);
        let ended = notice_end(child);
        Self {
            name,
            pid,
            started,
            deadline: started + limit * patience(),
            stdin,
            stdout,
            stderr,
            ended,
            log,
            over: false,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap();
    }

    pub(crate) fn type_in(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().expect("no input was given beforehand").write_all(bytes).unwrap();
    }

    /// Waits until stdout has these words.
    #[track_caller]
    pub(crate) fn wait_for(&self, part: &str) {
        let found = self.stdout.wait_for(part, self.deadline);
        assert!(
            found,
            "{} never said {part:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.name,
            self.stdout.so_far(),
            self.stderr.so_far()
        );
    }

    #[track_caller]
    pub(crate) fn finish(mut self) -> Outcome {
        drop(self.stdin.take());
        let limit = self.deadline.saturating_duration_since(Instant::now());
        let Ok((status, ended)) = self.ended.recv_timeout(limit) else {
            panic!(
                "{} did not end within {:?}\n--- stdout\n{}\n--- stderr\n{}\n--- log\n{}",
                self.name,
                self.started.elapsed(),
                self.stdout.so_far(),
                self.stderr.so_far(),
                self.log_text()
            );
        };
        self.over = true;
        for (pipe, which) in [(&self.stdout, "stdout"), (&self.stderr, "stderr")] {
            assert!(pipe.wait_for_end(), "{} has ended, but something still holds its {which}", self.name);
        }
        let log = self.log_text();
        Outcome {
            command: self.name.clone(),
            status,
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
            events: parse_log(&log),
            lines: log.lines().map(str::to_owned).collect(),
            duration: ended - self.started,
        }
    }

    fn log_text(&self) -> String {
        self.log.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            let _ = killpg(self.pid, Signal::SIGKILL);
            let _ = self.ended.recv_timeout(LIMIT_OF_PIPES);
        }
    }
}

/// A command on a terminal.
pub(crate) struct Terminal {
    name: String,
    pid: Pid,
    deadline: Instant,
    screen: Output,
    keyboard: File,
    ended: Receiver<(ExitStatus, Instant)>,
    over: bool,
}

impl Terminal {
    #[track_caller]
    pub(crate) fn spawn(mut command: Command, master: OwnedFd, limit: Duration) -> Self {
        let keyboard = File::from(master);
        let screen = Output::read(keyboard.try_clone().unwrap());
        let name = in_words(&command);
        let child = command.spawn().unwrap();
        // The command holds the terminal's descriptors, and the screen must end with the command.
        drop(command);
        let pid = Pid::from_raw(child.id() as i32);
        let deadline = Instant::now() + limit * patience();
        Self { name, pid, deadline, screen, keyboard, ended: notice_end(child), over: false }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen has shown these words since the last call, and forgets what was before.
    #[track_caller]
    pub(crate) fn wait_for(&self, part: &str) {
        let found = self.screen.wait_for(part, self.deadline);
        assert!(found, "{} never showed {part:?}, but:\n{}", self.name, self.screen.so_far());
        self.screen.forget_until(part);
    }

    /// Waits until the screen shows one of these, and returns it.
    #[track_caller]
    pub(crate) fn wait_for_one_of<'a>(&self, parts: &[&'a str]) -> &'a str {
        let shown = |screen: &str| parts.iter().find(|part| screen.contains(**part)).copied();
        self.screen.wait_until(self.deadline, |state| {
            state.ended || shown(&String::from_utf8_lossy(&state.bytes)).is_some()
        });
        let screen = self.screen.so_far();
        shown(&screen).unwrap_or_else(|| panic!("the terminal showed none of {parts:?}, but:\n{screen}"))
    }

    #[track_caller]
    pub(crate) fn finish(mut self) -> ExitStatus {
        let limit = self.deadline.saturating_duration_since(Instant::now());
        let ended = self.ended.recv_timeout(limit);
        let Ok((status, _)) = ended else {
            panic!("{} did not end; its screen:\n{}", self.name, self.screen.so_far());
        };
        self.over = true;
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.over {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = self.ended.recv_timeout(LIMIT_OF_PIPES);
        }
    }
}

/// What a pipe has brought so far.
#[derive(Clone)]
struct Output(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

impl Output {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let output = Self(Arc::default());
        let ours = output.clone();
        thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            loop {
                // A terminal whose last process has gone answers EIO.
                let length = pipe.read(&mut buffer).unwrap_or(0);
                let (state, changed) = &*ours.0;
                let mut state = state.lock().unwrap();
                state.bytes.extend(&buffer[..length]);
                state.ended |= length == 0;
                changed.notify_all();
                if length == 0 {
                    break;
                }
            }
        });
        output
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().unwrap().bytes).into_owned()
    }

    fn forget_until(&self, part: &str) {
        let mut state = self.0.0.lock().unwrap();
        if let Some(start) = find(&state.bytes, part.as_bytes()) {
            state.bytes.drain(..start + part.len());
        }
    }

    fn wait_for(&self, part: &str, deadline: Instant) -> bool {
        self.wait_until(deadline, |state| find(&state.bytes, part.as_bytes()).is_some() || state.ended);
        find(&self.0.0.lock().unwrap().bytes, part.as_bytes()).is_some()
    }

    fn wait_for_end(&self) -> bool {
        self.wait_until(Instant::now() + LIMIT_OF_PIPES * patience(), |state| state.ended)
    }

    fn wait_until(&self, deadline: Instant, done: impl Fn(&State) -> bool) -> bool {
        let (state, changed) = &*self.0;
        let limit = deadline.saturating_duration_since(Instant::now());
        let (state, _) =
            changed.wait_timeout_while(state.lock().unwrap(), limit, |state| !done(state)).unwrap();
        done(&state)
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn notice_end(mut child: Child) -> Receiver<(ExitStatus, Instant)> {
    let (report, ended) = mpsc::channel();
    thread::spawn(move || {
        let status = child.wait().unwrap();
        let _ = report.send((status, Instant::now()));
    });
    ended
}

fn parse_log(text: &str) -> Vec<Event> {
    let parse = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("a line of the log is not JSON: {error}: {line}"));
        assert_is_event(&value);
        serde_json::from_value(value).unwrap()
    };
    text.lines().map(parse).collect()
}

fn in_words(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
