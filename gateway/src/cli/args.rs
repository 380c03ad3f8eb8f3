//! The arguments as clap reads them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::audit::Format;
use crate::report::ReportFormat;
use crate::schema::Subject;

/// Run a CI job so that it can only talk to an allowlist.
#[derive(Debug, Parser)]
#[command(name = "cijail-net", version, max_term_width = 100)]
pub(super) struct Cli<C: Subcommand> {
    #[command(subcommand)]
    pub(super) command: C,
}

/// What starts jobs, apart from the other commands: a job need not wait for their arguments to be
/// described.
#[derive(Debug, Subcommand)]
pub(super) enum Start {
    /// Run a command that can only talk to what the rules allow
    Run(Box<RunArgs>),
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    Start(Start),
    /// Show what a run does now: connections in flight, destinations, the last denials
    Top(TopArgs),
    /// Say what this machine can do, each missing thing with its remedy
    #[command(after_help = "Exit status: 0 if `cijail-net run` works here, 1 if not.")]
    Doctor,
    /// Show the jail at work: a hostile program in a miniature internet, offline and without root
    Demo,
    /// The hostile program of the demo
    #[command(hide = true)]
    DemoPostinstall,
    /// Check a policy, or ask what it says
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Print the JSON Schema of what is written, or of a policy file
    Schema {
        /// Of what
        subject: Subject,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Rules: example.com  example.com:22  '*.example.com'  192.0.2.7:53  10.1.0.0/16:5432  localhost:5432
       https://example.com/path/  'GET,HEAD https://example.com/path/'  http://example.com/path/
       example.com:123/udp  dns:example.com  unix:/run/x.sock

Exit status: the command's own (128+N if signal N killed it), 122 if it succeeded but something was
blocked and --fail-on-blocked was given, or new and --fail-on-new, 125 if cijail-net failed, 126 if the
command cannot be run, 127 if it is not found.

Environment: CIJAIL_ENDPOINTS (rules), CIJAIL_DRY_RUN=1 (--mode monitor), CIJAIL_ALLOW_LOOPBACK=1
(--allow localhost:*).")]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) rules: RuleArgs,
    /// Run the command as this user (name or number), with its groups and HOME; needs root
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// Tell which programs run (kind exec in the log and the reports)
    #[arg(long)]
    pub(super) watch_exec: bool,
    /// Tell who uses these files (kind file): a path, in which * ? [a-z] and ** are patterns; relative
    /// to the working directory (may be repeated)
    #[arg(long, value_name = "GLOB")]
    pub(super) watch_path: Vec<String>,
    /// Verify the hosts of URL rules with the certificates in this PEM file too (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub(super) upstream_ca: Vec<PathBuf>,
    /// Write the log to this file
    #[arg(long, value_name = "FILE", overrides_with = "log_file")]
    pub(super) log_file: Option<PathBuf>,
    /// How the log is written: to the file if there is one, otherwise to standard error
    #[arg(long, value_name = "FORMAT", default_value = "text", overrides_with = "log_format")]
    pub(super) log_format: Format,
    /// Print no verdicts on standard error
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Report at the end what the command talked to: text, markdown, html, json, junit or sarif, to
    /// standard error or a file
    #[arg(long, value_name = "FORMAT[=FILE]", value_parser = report)]
    pub(super) report: Vec<(ReportFormat, Option<PathBuf>)>,
    /// Exit with 122 if the command succeeds although something was blocked
    #[arg(long)]
    pub(super) fail_on_blocked: bool,
    /// Exit with 122 if the command succeeds although it talked, or tried to talk, to something that
    /// this earlier report (--report json=FILE) does not have
    #[arg(long, value_name = "FILE", overrides_with = "fail_on_new")]
    pub(super) fail_on_new: Option<PathBuf>,
    /// Leave http_proxy and its like in the command's environment
    #[arg(long)]
    pub(super) keep_proxy_env: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A run is found if it is in the same network namespace; it answers its own user, and root. On a terminal
the table is drawn anew each second until q or Ctrl-C.

Exit status: 0 if a run was shown, 1 if there is none, or several and none was named, 125 for errors.")]
pub(super) struct TopArgs {
    /// The process id of `cijail-net run`, or the session that its log names; not needed if there is one
    /// run only
    #[arg(value_name = "PID|SESSION")]
    pub(super) run: Option<String>,
    /// Print the table once
    #[arg(long)]
    pub(super) once: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Reads `FORMAT[=FILE]`.
fn report(text: &str) -> Result<(ReportFormat, Option<PathBuf>), String> {
    let (format, file) = match text.split_once('=') {
        Some((_, "")) => return Err("the name of the file is empty".to_owned()),
        Some((format, file)) => (format, Some(PathBuf::from(file))),
        None => (text, None),
    };
    ReportFormat::from_str(format, false).map(|format| (format, file)).map_err(|_| {
        format!(
            "`{format}` is no format: write text, markdown, html, json, junit or sarif, perhaps with =FILE"
        )
    })
}

/// Where rules come from.
#[derive(Debug, Args)]
pub(super) struct RuleArgs {
    /// Read rules and settings from this TOML file (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Vec<PathBuf>,
    /// Allow what this rule says (may be repeated)
    #[arg(long, value_name = "RULE", allow_hyphen_values = true)]
    pub(super) allow: Vec<String>,
    /// Allow the addresses and hosts of this set: one that a policy file has, local-ranges, or
    /// github-actions and its like (may be repeated)
    #[arg(long, value_name = "NAME[:PORT]")]
    pub(super) allow_set: Vec<String>,
    /// Allow private networks (RFC 1918, RFC 4193) on every port but 53, never cloud metadata
    #[arg(long)]
    pub(super) allow_local_ranges: bool,
    /// Ask the rules in this Rego file, or in the Rego and data.json files of this directory, as well: they
    /// may allow more, and deny what is allowed (may be repeated)
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) rego: Vec<PathBuf>,
    /// Tell the Rego rules this of the run, as input.labels (may be repeated)
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true, requires = "rego")]
    pub(super) label: Vec<String>,
    /// Deny what this rule says, whatever allows it (may be repeated)
    #[arg(long, value_name = "RULE", allow_hyphen_values = true)]
    pub(super) deny: Vec<String>,
    /// Whether what is not allowed is blocked, or only recorded
    #[arg(long, value_enum, overrides_with = "mode")]
    pub(super) mode: Option<ModeArg>,
    /// Ask this DNS server instead of the host's (may be repeated)
    #[arg(long, value_name = "ADDR")]
    pub(super) resolver: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ModeArg {
    /// Block what is not allowed
    Enforce,
    /// Let everything pass and record what would be blocked
    Monitor,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Look for mistakes and risks in policy files
    Check(CheckArgs),
    /// Say which rule decides about a URL or a host and port, and why
    Explain(Box<ExplainArgs>),
    /// Write the smallest policy that would have allowed what logs tell
    Learn(LearnArgs),
    /// Show which rules one policy has and another has not
    Diff(DiffArgs),
    /// Print the JSON Schema of policy files, for editors
    Schema,
    /// Keep the addresses that GitHub publishes, for --allow-set github-actions and its like
    Refresh(RefreshArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
cijail-net fetches nothing by itself:

  curl -fsS https://api.github.com/meta | cijail-net policy refresh github

The document is kept in $XDG_DATA_HOME/cijail-net/sets, or ~/.local/share/cijail-net/sets. Each list of
it is a set: github-actions, github-git, github-web and so on.")]
pub(super) struct RefreshArgs {
    /// Whose addresses
    pub(super) whose: Publisher,
    /// Read the document from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Publisher {
    /// GitHub
    Github,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A log is made by `cijail-net run --mode monitor --log-format json --log-file FILE -- CMD`. Several are
learned from as one. With -o, rules are added to a file that exists for what it does not allow yet, and
everything else in it stays as it is.")]
pub(super) struct LearnArgs {
    /// Add the rules to this file, or make it; otherwise they are printed
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Put a wildcard in the place of so many names below a common one
    #[arg(long, value_name = "N")]
    pub(super) fold: Option<usize>,
    /// Allow what was denied as well
    #[arg(long)]
    pub(super) denied: bool,
    /// The logs, JSON Lines
    #[arg(required = true, value_name = "LOG")]
    pub(super) logs: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Rules are compared, and the settings that say what is let through: mode, answers, resolvers and
wildcard-names. The files' order and notes are not.

Exit status: 0 if there is no difference, 1 if there is, 125 for errors.")]
pub(super) struct DiffArgs {
    /// A TOML file
    #[arg(value_name = "BEFORE")]
    pub(super) before: PathBuf,
    /// Another
    #[arg(value_name = "AFTER")]
    pub(super) after: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Several files are read as one policy, as `cijail-net run` does.

Exit status: 0 without errors, 1 for warnings with --strict, 125 for errors.")]
pub(super) struct CheckArgs {
    /// Exit with 1 if there are warnings
    #[arg(long)]
    pub(super) strict: bool,
    /// Check this Rego file or directory too (may be repeated)
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) rego: Vec<PathBuf>,
    /// The TOML files
    #[arg(required_unless_present = "rego", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    allow_missing_positional = true,
    after_help = "\
Rules come from the file, from --policy, --allow and --deny, and from the environment
(CIJAIL_ENDPOINTS), as for `cijail-net run`.

Exit status: 0 if the target is allowed, 1 if it is denied, 125 for errors."
)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    pub(super) rules: RuleArgs,
    /// A TOML file
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// A URL, 'METHOD URL', HOST, HOST:PORT or ADDRESS:PORT, the last two perhaps with /udp
    #[arg(required = true, value_name = "URL|HOST:PORT")]
    pub(super) target: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_is_read_alone_as_among_all_commands() {
        let wrong: [&[&str]; 5] =
            [&["--help"], &["-h"], &[], &["--nope", "--", "true"], &["--log-format", "xml", "--", "true"]];
        for arguments in wrong {
            let words = ["cijail-net", "run"].iter().chain(arguments);
            let alone = Cli::<Start>::try_parse_from(words.clone()).unwrap_err();
            let among_all = Cli::<Command>::try_parse_from(words).unwrap_err();
            assert_eq!(alone.to_string(), among_all.to_string());
        }
    }
}
