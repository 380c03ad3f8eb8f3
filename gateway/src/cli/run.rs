//! `cijail-net run`: from arguments to a plan.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use policy::Policy;

use super::args::RunArgs;
use super::sources::{self, Gathered};
use super::{Failure, rego, say};
use crate::app::{self, Account, Plan};
use crate::audit::{FILE_COLUMNS, Format, Reports, Sinks};
use crate::live::title::has_title;
use crate::report::{Baseline, ReportFormat, Summary};
use crate::sensor;
use crate::upstream::ParentProxies;

/// A run that cannot be planned.
#[derive(Debug, thiserror::Error)]
enum PlanError {
    #[error("the command is empty: write it after --, as in `cijail-net run -- make`")]
    EmptyCommand,
    #[error("an argument or a variable holds a NUL byte")]
    Nul,
    #[error("opening the log file {}", path.display())]
    LogFile { path: PathBuf, source: io::Error },
    #[error("opening the report {}", path.display())]
    Report { path: PathBuf, source: io::Error },
    #[error("reading the baseline {}", path.display())]
    Baseline { path: PathBuf, source: io::Error },
    #[error("the baseline {} is no report of --report json", path.display())]
    NoBaseline { path: PathBuf, source: serde_json::Error },
    #[error("finding the working directory")]
    Directory(#[source] io::Error),
    #[error("making up a session id")]
    Session(#[source] io::Error),
}

/// Proxy variables that capture makes needless.
const PROXY_VARIABLES: [&str; 6] =
    ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "socks_proxy"];

pub(super) fn main(args: RunArgs) -> Result<u8, Failure> {
    let variable = |name: &str| std::env::var(name).ok();
    if args.command.first().is_none_or(|program| program.is_empty()) {
        return Err(PlanError::EmptyCommand.into());
    }
    let proxies = ParentProxies::from_environment(variable)?;
    let watched = sources::Watched { exec: args.watch_exec, paths: &args.watch_path };
    let Gathered { policy, notes } = sources::gather(&args.rules, variable, &proxies.names(), watched)?;
    let rego = rego::read(&args.rules.rego, &args.rules.label)?;
    let account = args.user.as_deref().map(app::find_user).transpose()?;
    let directory = std::env::current_dir().map_err(PlanError::Directory)?;
    let session = session().map_err(PlanError::Session)?;
    let sinks = sinks(&args, session.clone())?;
    let sinks = reports(&args, &policy, variable)?.into_iter().fold(sinks, Sinks::with_reports);
    let env = environment(args.keep_proxy_env, account.as_ref())?;
    let watch = sensor::watch(policy.watch(), &directory, home(&env))?;
    let plan = Plan {
        policy,
        watch,
        rego,
        proxies,
        argv: args.command.iter().cloned().map(to_c).collect::<Result<_, _>>()?,
        env,
        directory,
        user: account.map(|account| account.user),
        upstream_ca: args.upstream_ca.clone(),
        sinks,
        session,
        titled: !args.quiet && is_titled(variable),
        quiet: args.quiet || (args.log_file.is_none() && args.log_format == Format::Json),
        fail_on_blocked: args.fail_on_blocked,
    };
    for note in notes.iter().filter(|_| !plan.quiet) {
        say(&note.to_string());
    }
    Ok(app::run(plan)?)
}

/// Whether somebody looks at a terminal that has a title.
fn is_titled(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_ci = variable("CI").is_some_and(|value| !value.is_empty());
    !is_ci && io::stderr().is_terminal() && variable("TERM").is_some_and(|term| has_title(&term))
}

/// The home that a command with this environment has.
fn home(env: &[CString]) -> Option<&OsStr> {
    env.iter().find_map(|variable| variable.as_bytes().strip_prefix(b"HOME=")).map(OsStr::from_bytes)
}

fn sinks(args: &RunArgs, session: String) -> Result<Sinks, PlanError> {
    let stderr = match (args.quiet, &args.log_file) {
        (true, _) => None,
        (false, Some(_)) => Some(Format::Text),
        (false, None) => Some(args.log_format),
    };
    let sinks = Sinks::new(session, stderr);
    let Some(path) = &args.log_file else { return Ok(sinks) };
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| PlanError::LogFile { path: path.clone(), source })?;
    Ok(sinks.with_file(path.clone(), file, args.log_format))
}

/// The reports that were asked for, and those that a GitHub workflow has a place for.
fn reports(
    args: &RunArgs,
    policy: &Policy,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Reports>, PlanError> {
    let open = |path: &Path, append: bool| {
        let opened = OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(path);
        let failed = |source| PlanError::Report { path: path.to_owned(), source };
        opened.map(|file| (path.to_owned(), file)).map_err(failed)
    };
    let mut written = Vec::new();
    // The baseline may be the file that is written anew.
    let baseline = args.fail_on_new.as_deref().map(baseline).transpose()?;
    for (format, path) in &args.report {
        written.push((*format, path.as_deref().map(|path| open(path, false)).transpose()?));
    }
    if let Some(path) = variable("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
        written.push((ReportFormat::Markdown, Some(open(Path::new(&path), true)?)));
    }
    let annotated = !args.quiet && variable("GITHUB_ACTIONS").as_deref() == Some("true");
    if written.is_empty() && !annotated && baseline.is_none() {
        return Ok(None);
    }
    let summary = Summary::new(policy, SystemTime::now());
    let columns = netns::terminal_columns(io::stderr()).map_or(FILE_COLUMNS, usize::from);
    Ok(Some(Reports { summary, columns, written, baseline, annotated }))
}

fn baseline(path: &Path) -> Result<Baseline, PlanError> {
    let text = std::fs::read(path).map_err(|source| PlanError::Baseline { path: path.to_owned(), source })?;
    Baseline::read(&text).map_err(|source| PlanError::NoBaseline { path: path.to_owned(), source })
}

/// Sixteen hexadecimal digits that tell this run from others in a common log.
fn session() -> io::Result<String> {
    let mut bytes = [0; 8];
    io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

fn environment(keep_proxies: bool, account: Option<&Account>) -> Result<Vec<CString>, PlanError> {
    let own = account.map(Account::variables).unwrap_or_default();
    let inherited = std::env::vars_os().filter(|(name, _)| {
        let proxy =
            PROXY_VARIABLES.iter().any(|known| name.as_bytes().eq_ignore_ascii_case(known.as_bytes()));
        (keep_proxies || !proxy) && !own.iter().any(|(own, _)| name == own)
    });
    let own = own.iter().filter_map(|(name, value)| Some(((*name).into(), (*value)?.into())));
    inherited
        .chain(own)
        .map(|(mut name, value): (OsString, OsString)| {
            name.push("=");
            name.push(value);
            to_c(name)
        })
        .collect()
}

fn to_c(text: OsString) -> Result<CString, PlanError> {
    CString::new(text.into_vec()).map_err(|_| PlanError::Nul)
}
