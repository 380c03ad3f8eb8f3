//! The composition root of a run: builds the network, starts the job, serves it, reports how it
//! ended.

mod diagnosis;
mod identity;
mod proof;
mod resolution;
mod serve;
mod supervise;
mod title;

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use netns::job::streams::Unfit as UnfitStream;
use netns::job::{
    JobSpec, MountPlan, OwnFiles, Terminal, User, Watch, default_masks, own_directory, shown_arguments,
};
use netns::net::NetworkRequest;
use policy::{Mode, Policy};

use crate::audit::{self, LogError, RunOutcome, Sinks, printable};
use crate::exit;
use crate::intercept::{InterceptError, Outline};
use crate::live::serve::Door;
use crate::live::snapshot::Run;
use crate::rego::Rules;
use crate::stderr;
use crate::trust::{HostFiles, JobView, Trust};
use crate::upstream::ParentProxies;

pub use diagnosis::Unfit;
pub use identity::{Account, find_user};
pub use proof::ProofError;

/// Everything that a run is made of.
#[derive(Debug)]
pub struct Plan {
    /// The rules and settings.
    pub policy: Policy,
    /// Rules in Rego beside them.
    pub rego: Option<Rules>,
    /// The parent proxies of the gateway's own environment.
    pub proxies: ParentProxies,
    /// The command and its arguments.
    pub argv: Vec<CString>,
    /// Its environment, as `NAME=value`.
    pub env: Vec<CString>,
    /// Where it starts.
    pub directory: PathBuf,
    /// Which of its programs and files are told of.
    pub watch: Option<Watch>,
    /// Whom it runs as, if not the caller.
    pub user: Option<User>,
    /// Further certificates that intercepted hosts are verified with.
    pub upstream_ca: Vec<PathBuf>,
    /// Where the log goes.
    pub sinks: Sinks,
    /// What events and who asks know the run by.
    pub session: String,
    /// Whether the terminal's title tells of it.
    pub titled: bool,
    /// Whether nothing but errors is printed.
    pub quiet: bool,
    /// Whether a success with something blocked is a failure.
    pub fail_on_blocked: bool,
}

/// A run that failed, before or after the job.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The kernel or a policy of the machine refused part of the set-up.
    #[error("setting up the jail")]
    Setup(#[from] netns::Error),
    /// The set-up inside the job failed.
    #[error("setting up the jail: {detail}{}", errno.as_ref().map(|errno| format!(": {errno}")).unwrap_or_default())]
    Inside {
        /// What was being done.
        detail: String,
        /// What the system said.
        errno: Option<io::Error>,
        /// What to do about it.
        remedy: Option<&'static str>,
    },
    /// The set-up failed, and this is what the machine lacks for it.
    #[error(transparent)]
    Unfit(Box<Unfit>),
    /// The caller's own stream would let the job out.
    #[error("{} is {}; put a pipe in between, as in `... | cat`", STREAMS[*number], match what {
        UnfitStream::Socket => "a socket that the job could connect to anybody",
        UnfitStream::Directory => "a directory, from which the job could reach what is masked",
    })]
    Stream {
        /// Which one.
        number: usize,
        /// What it is.
        what: UnfitStream,
    },
    /// Another user was asked for without the right to become one.
    #[error("--user needs root")]
    UserNeedsRoot,
    /// URL rules inside TLS could not be set up.
    #[error("setting up TLS for URL rules")]
    Intercept(#[from] InterceptError),
    /// There is no such user.
    #[error("there is no user {0} in /etc/passwd")]
    UnknownUser(String),
    /// A file of the host could not be read.
    #[error("reading {}", path.display())]
    HostFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The gateway's event loop could not be started or broke.
    #[error("running the gateway")]
    Gateway(#[source] io::Error),
    /// The job's init was killed from outside.
    #[error("the job was ended from outside; nothing of it is left")]
    InitKilled,
    /// Enforcement was proved before the job started, and is not any more.
    #[error("enforcement is not proved any more, so the job was killed")]
    Unproved(#[from] ProofError),
    /// The job ran, but its log is not complete.
    #[error("the job ran, but its log is not complete")]
    Log(#[from] LogError),
}

const STREAMS: [&str; 3] = ["standard input", "standard output", "standard error"];

/// Runs the job to its end and returns the exit status for the caller.
///
/// # Errors
/// cijail-net itself failed. Nothing of the job is left running then.
pub fn run(plan: Plan) -> Result<u8, AppError> {
    let mut state = ProcessState::default();
    run_with(plan, &mut state).map_err(|error| diagnosis::examine(error, &state))
}

/// What has become of the process, for the diagnosis of a failure.
#[derive(Debug, Default)]
struct ProcessState {
    held: Option<netns::Privilege>,
    confined: bool,
}

fn run_with(plan: Plan, state: &mut ProcessState) -> Result<u8, AppError> {
    if let Some((number, what)) = netns::job::streams::unfit() {
        return Err(AppError::Stream { number, what });
    }
    let privilege = netns::acquire()?;
    state.held = Some(privilege);
    if plan.user.is_some() && privilege != netns::Privilege::Root {
        return Err(AppError::UserNeedsRoot);
    }
    let intercept = Outline::for_policy(&plan.policy, &plan.upstream_ca)?;
    let resolution = resolution::plan();
    let request = NetworkRequest {
        loopback_ports: serve::loopback_ports(&plan.policy)?,
        loopback_dns: resolution.loopback,
    };
    if !plan.quiet {
        announce(&plan.policy);
    }
    let terminal = Terminal::controlling();
    let ending_signals = supervise::ending_signals();
    let (masked_directories, mut masked_files) = default_masks();
    masked_files.extend(identity::agent_sockets());
    masked_files.extend(intercept.iter().flat_map(Outline::identity_files));
    let titled = plan.titled && terminal.as_ref().is_some_and(|terminal| terminal.is(io::stderr()));
    let caller = supervise::Caller {
        program: plan.argv.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default(),
        foreground: terminal.as_ref().is_some_and(supervise::takes_foreground),
        terminal,
    };
    let own_directory = intercept.as_ref().and_then(|_| own_directory());
    let trust = intercept.as_ref().map(|intercept| trust(&plan, intercept, own_directory.as_deref()));
    let trust = trust.unwrap_or_default();
    let run = Run {
        session: plan.session,
        pid: std::process::id(),
        mode: plan.policy.mode(),
        command: shown_arguments(&plan.argv).iter().map(|word| printable(word).into_owned()).collect(),
        started: SystemTime::now(),
        begun: Instant::now(),
    };
    let spec = JobSpec {
        argv: plan.argv,
        env: trust.apply(plan.env),
        directory: plan.directory,
        mounts: MountPlan {
            files: resolution.files.into_iter().chain(trust.covered).collect(),
            copied: trust.made,
            added: trust.anchors,
            own: own_directory.map(|directory| OwnFiles { directory, files: trust.new }),
            masked_directories,
            masked_files,
            kept: plan.policy.unix_sockets().map(PathBuf::from).collect(),
            // Another user than the caller has none.
            runtime_directory: identity::runtime_directory().filter(|_| plan.user.is_none()),
            guard_kernel: netns::job::is_root(),
        },
        user: plan.user,
        foreground: caller.foreground,
        terminal: caller.terminal.clone(),
        watch: plan.watch,
    };
    let job = netns::job::spawn(&spec, privilege)?;
    // From here on there may be threads.
    let entrance = job.entrance()?;
    let network = netns::net::start(request, move |namespace| entrance.admit(namespace));
    // Without it nobody can look, and that is all.
    let door = Door::open(&run.session).ok();
    let interception = intercept.map(serve::Completing::start).transpose()?;
    let writer = audit::start(plan.sinks).map_err(AppError::Gateway)?;
    let served = serve::run(serve::Serving {
        policy: plan.policy,
        rego: plan.rego,
        proxies: plan.proxies,
        network,
        audit: writer.audit(),
        job: &job,
        caller,
        titled,
        door: door.map(|door| (door, run)),
        interception,
        confined: &mut state.confined,
    });
    let objected = plan.fail_on_blocked && writer.audit().blocked();
    let command = served.as_ref().ok().map(supervise::End::status);
    writer.end(RunOutcome { command, objected });
    // The kernel may still take the job down; only then is the terminal ours.
    job.wait();
    if let Ok(end) = &served {
        end.hand_back_terminal();
    }
    let signal = supervise::last_of(ending_signals);
    let logged = writer.wait(|| signal.load(Ordering::Relaxed) == 0);
    let end = served?;
    if let Err(LogError::Interrupted) = &logged {
        return Err(supervise::finish_interrupted(end, signal.load(Ordering::Relaxed)));
    }
    let new = logged?;
    Ok(exit::after(supervise::finish(end), objected || new))
}

/// What makes the job trust the run's authority.
fn trust(plan: &Plan, intercept: &Outline, own_directory: Option<&Path>) -> Trust {
    let job = JobView { environment: &plan.env, directory: &plan.directory, own_directory };
    let files = HostFiles { public_only: plan.user.is_some() };
    let trust = Trust::plan(intercept.certificate(), job, &files);
    if !plan.quiet {
        for note in &trust.notes {
            stderr::say(&format!("cijail-net: certificates: {note}\n"));
        }
    }
    trust
}

/// The first line of a run: which mode is in force.
fn announce(policy: &Policy) {
    let rules = match policy.rules().len() {
        1 => "1 rule".to_owned(),
        count => format!("{count} rules"),
    };
    let line = match policy.mode() {
        Mode::Enforce => format!("cijail-net: enforcing {rules}\n"),
        Mode::Monitor => format!("cijail-net: monitoring with {rules}: everything passes\n"),
    };
    stderr::say(&line);
}
