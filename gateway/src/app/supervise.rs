//! Stands between the caller and the job: signals, the terminal, job control, the exit status.

use std::future::pending;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use netns::job::{Event, Job, Order, Terminal, signals};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};

use super::AppError;
use super::title::Title;
use crate::audit::{LogError, printable};
use crate::exit;
use crate::stderr;

/// EPERM on Linux, all architectures that this runs on.
const EPERM: i32 = 1;

/// How a job ended.
#[derive(Debug)]
pub(super) struct End {
    status: u8,
    /// The signal from the keyboard that ended the job, which had the foreground or got it through us.
    keyboard: Option<i32>,
    terminal: Option<Terminal>,
}

impl End {
    /// The command's exit status.
    pub(super) fn status(&self) -> u8 {
        self.status
    }

    /// Makes the caller's group the terminal's foreground again, if the job had it.
    pub(super) fn hand_back_terminal(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.take_back();
        }
    }
}

/// The signals that would end us, if the caller does not have us ignore them. To be asked for before anybody listens.
pub(super) fn ending_signals() -> Vec<i32> {
    let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()];
    kinds.iter().map(SignalKind::as_raw_value).filter(|signal| !signals::is_ignored(*signal)).collect()
}

/// Which of these signals somebody has sent us last, from now on; zero if nobody has. For when the job is gone, and with
/// it who listens to signals meanwhile.
pub(super) fn last_of(signals: Vec<i32>) -> Arc<AtomicUsize> {
    let last = Arc::<AtomicUsize>::default();
    for signal in signals {
        // One that cannot be heard leaves the log its time, and that is all.
        let _ = signal_hook::flag::register_usize(signal, last.clone(), signal as usize);
    }
    last
}

/// Ends by the keyboard's signal that cut the log short, if it was one, as a shell goes by how its command died;
/// otherwise this is the error.
pub(super) fn finish_interrupted(end: End, signal: usize) -> AppError {
    let signal = signal as i32;
    if end.keyboard.is_some() || signals::is_keyboard(signal) {
        stderr::say(&format!("cijail-net: {}\n", LogError::Interrupted));
        match end.keyboard {
            Some(_) => drop(finish(end)),
            // The terminal was ours, and our group has heard of it.
            None => signals::die(signal),
        }
    }
    LogError::Interrupted.into()
}

/// Whether the job is to have the terminal at once. In a pipeline the others of our process group
/// need it as well, and the job gets it when it first asks.
pub(super) fn takes_foreground(terminal: &Terminal) -> bool {
    terminal.is_ours() && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Ends by a keyboard signal if the job did: a shell goes by how its command died.
pub(super) fn finish(end: End) -> u8 {
    match end.keyboard {
        // The terminal sent it to the job's group alone; without us it would have reached ours.
        Some(signal) if end.terminal.is_some() => signals::die_with_own_group(signal),
        Some(signal) => signals::die(signal),
        None => {}
    }
    end.status
}

/// What the job shares with whoever called us.
pub(super) struct Caller {
    /// The command's name, for messages.
    pub(super) program: String,
    /// The caller's terminal, if there is one.
    pub(super) terminal: Option<Terminal>,
    /// The job's group has the terminal's foreground, by us.
    pub(super) foreground: bool,
}

/// Watches one job.
pub(super) struct Supervisor<'a> {
    job: &'a Job,
    control: AsyncFd<&'a Job>,
    signals: Receiver<i32>,
    caller: Caller,
    /// The last keyboard signal that was passed on.
    interrupted: Option<i32>,
    /// Somebody stopped us, and the stop went on to the job.
    stopping: bool,
    /// What the terminal's title says, if it may.
    title: Option<Title>,
    /// The caller continued us in the background, whoever had the foreground before.
    behind: bool,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(job: &'a Job, caller: Caller, title: Option<Title>) -> io::Result<Supervisor<'a>> {
        Ok(Supervisor {
            job,
            control: netns::watch(job)?,
            signals: forwarded()?,
            caller,
            interrupted: None,
            stopping: false,
            title,
            behind: false,
        })
    }

    /// Until the job and everything that it started is gone.
    pub(super) async fn run(&mut self) -> Result<End, AppError> {
        let mut end = None;
        loop {
            let event = tokio::select! {
                event = next_event(self.job, &self.control) => event?,
                Some(signal) = self.signals.recv() => {
                    self.forward(signal)?;
                    continue;
                }
                () = due(&mut self.title) => {
                    self.tell();
                    continue;
                }
            };
            match event {
                Event::Started => {}
                Event::Stopped { signal } => self.stopped(signal)?,
                Event::Exited { status } => end = Some((status as u8, None)),
                Event::Signaled { signal } => {
                    end = Some((exit::SIGNAL_BASE.wrapping_add(signal as u8), Some(signal)));
                }
                Event::ExecFailed { errno } => return self.not_executed(errno),
                Event::Failed { step, errno, detail } => {
                    let remedy = netns::remedy(step, errno);
                    let errno = (errno != 0).then(|| io::Error::from_raw_os_error(errno));
                    return Err(AppError::Inside { detail, errno, remedy });
                }
                Event::Gone => break,
            }
        }
        self.title = None;
        let (status, killed_by) = end.ok_or(AppError::InitKilled)?;
        let keyboard = killed_by.filter(|signal| {
            signals::is_keyboard(*signal) && (self.caller.foreground || self.interrupted == Some(*signal))
        });
        Ok(End { status, keyboard, terminal: self.held_terminal() })
    }

    /// Until somebody sends us a signal that would end a program.
    pub(super) async fn signalled(&mut self) {
        let harmless =
            [signals::TERMINAL_STOP, signals::CONTINUE, SignalKind::window_change().as_raw_value()];
        // The channel is open as long as we are.
        while self.signals.recv().await.is_some_and(|signal| harmless.contains(&signal)) {}
    }

    /// Takes the terminal from a job that is about to be killed.
    pub(super) fn take_back_terminal(&self) {
        if let Some(terminal) = self.held_terminal() {
            terminal.take_back();
        }
    }

    /// The terminal, if the job has had its foreground last. Behind, it is somebody else's.
    fn held_terminal(&self) -> Option<Terminal> {
        self.caller.terminal.clone().filter(|_| self.caller.foreground && !self.behind)
    }

    fn not_executed(&self, errno: i32) -> Result<End, AppError> {
        let error = io::Error::from_raw_os_error(errno);
        let (status, why) = match error.kind() {
            io::ErrorKind::NotFound => (exit::NOT_FOUND, "command not found".to_owned()),
            // So the kernel says where a file has capabilities that can never be had (execve(2)).
            _ if errno == EPERM => {
                (exit::CANNOT_RUN, format!("{error}; has it capabilities (getcap) that a job cannot have?"))
            }
            _ => (exit::CANNOT_RUN, error.to_string()),
        };
        let line = format!("cijail-net: cannot run {}: {why}\n", printable(&self.caller.program));
        stderr::say(&line);
        Ok(End { status, keyboard: None, terminal: self.held_terminal() })
    }

    /// Tells of the run in the title, as long as the terminal is the job's or ours.
    fn tell(&mut self) {
        let (Some(title), Some(terminal)) = (&mut self.title, &self.caller.terminal) else { return };
        let is_ours = terminal.is_ours();
        self.behind &= !is_ours;
        if is_ours || (self.caller.foreground && !self.behind) {
            title.show();
        }
    }

    /// Passes a signal of ours on to the job.
    fn forward(&mut self, signal: i32) -> Result<(), AppError> {
        self.stopping = signal == signals::TERMINAL_STOP;
        if signals::is_keyboard(signal) {
            self.interrupted = Some(signal);
        }
        Ok(self.job.order(Order::Signal(signal))?)
    }

    /// The job was stopped: stop as well, so that the caller's shell notices, and go on with it.
    fn stopped(&mut self, signal: i32) -> Result<(), AppError> {
        let job = self.job;
        // Without a terminal nobody watches whether we stop, unless he asked for it.
        if self.caller.terminal.is_none() && !self.stopping {
            return Ok(());
        }
        self.stopping = false;
        if let Some(terminal) = &self.caller.terminal {
            // Not again where it has been given in vain.
            let may_have_it = !self.caller.foreground || self.behind;
            if signals::wants_terminal(signal) && may_have_it && terminal.is_ours() {
                (self.caller.foreground, self.behind) = (true, false);
                job.order(Order::Foreground)?;
                return Ok(job.order(Order::Signal(signals::CONTINUE))?);
            }
            if self.caller.foreground && !self.behind {
                terminal.take_back();
            }
        }
        if let Some(title) = &mut self.title {
            title.hide();
        }
        signals::stop_self();
        // Here the caller has continued us, in the foreground or in the background.
        self.behind = !self.caller.terminal.as_ref().is_some_and(Terminal::is_ours);
        if let Some(terminal) = self.caller.terminal.as_ref().filter(|_| self.caller.foreground)
            && terminal.is_ours()
        {
            job.order(Order::Foreground)?;
        }
        Ok(job.order(Order::Signal(signals::CONTINUE))?)
    }
}

/// When it is time for the title; never without one.
async fn due(title: &mut Option<Title>) {
    match title {
        Some(title) => title.due().await,
        None => pending().await,
    }
}

async fn next_event(job: &Job, control: &AsyncFd<&Job>) -> Result<Event, AppError> {
    loop {
        let mut ready = control.readable().await.map_err(AppError::Gateway)?;
        match job.event()? {
            Some(event) => return Ok(event),
            None => ready.clear_ready(),
        }
    }
}

/// Every signal that a caller may send to what it takes for the job, in one queue.
fn forwarded() -> io::Result<Receiver<i32>> {
    let kinds = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::alarm(),
        SignalKind::window_change(),
        SignalKind::from_raw(signals::TERMINAL_STOP),
        SignalKind::from_raw(signals::CONTINUE),
    ];
    let (sender, receiver) = channel(16);
    for kind in kinds {
        let mut stream: Signal = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                // The receiver is gone when the job is.
                if sender.send(kind.as_raw_value()).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}
