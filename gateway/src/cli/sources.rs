//! Rules from files, arguments and the environment, gathered into one policy.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use policy::{MAX_POLICY_BYTES, Mode, Policy, PolicyBuilder, PolicyErrors};

use super::args::{ModeArg, RuleArgs};
use super::sets::{Library, Note};

/// A policy that could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("reading {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is a directory; name a file in it", .0.display())]
    Directory(PathBuf),
    #[error("{} is larger than {} MiB", path.display(), MAX_POLICY_BYTES >> 20)]
    TooLarge { path: PathBuf },
    #[error("{name}={value} is neither 0 nor 1")]
    Switch { name: &'static str, value: String },
    #[error(transparent)]
    Rules(#[from] PolicyErrors),
}

/// The environment's say, by the names that cijail gave them.
const ENDPOINTS: &str = "CIJAIL_ENDPOINTS";
const DRY_RUN: &str = "CIJAIL_DRY_RUN";
const ALLOW_LOOPBACK: &str = "CIJAIL_ALLOW_LOOPBACK";

/// The policy, and what there is to say about the data of its sets.
pub(super) struct Gathered {
    pub(super) policy: Policy,
    pub(super) notes: Vec<Note>,
}

/// What options say is to be told of programs and files.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Watched<'a> {
    pub(super) exec: bool,
    pub(super) paths: &'a [String],
}

/// Gathers everything. `variable` looks up the environment.
pub(super) fn gather(
    args: &RuleArgs,
    variable: impl Fn(&str) -> Option<String>,
    resolvable: &[policy::Name],
    watched: Watched<'_>,
) -> Result<Gathered, SourceError> {
    let mut builder = PolicyBuilder::new();
    let mut library = Library::new(&variable, SystemTime::now());
    if watched.exec {
        builder.watch_exec();
    }
    watched.paths.iter().for_each(|path| builder.add_watched_path(path));
    for path in &args.policy {
        library.add_file(&mut builder, path, &read(path)?);
    }
    if let Some(text) = variable(ENDPOINTS) {
        builder.add_endpoints(&text);
    }
    for rule in &args.allow {
        builder.add_allow(rule);
    }
    for reference in &args.allow_set {
        library.allow_set(&mut builder, "--allow-set", reference);
    }
    if args.allow_local_ranges {
        library.allow_set(&mut builder, "--allow-local-ranges", "local-ranges");
    }
    for rule in &args.deny {
        builder.add_deny(rule);
    }
    for name in resolvable {
        builder.add_resolvable("the parent proxy", name);
    }
    if switch(&variable, ALLOW_LOOPBACK)? {
        builder.add_rule(ALLOW_LOOPBACK, policy::Effect::Allow, "localhost:*");
    }
    if switch(&variable, DRY_RUN)? {
        builder.set_mode(Mode::Monitor);
    }
    match args.mode {
        Some(ModeArg::Enforce) => builder.set_mode(Mode::Enforce),
        Some(ModeArg::Monitor) => builder.set_mode(Mode::Monitor),
        None => {}
    }
    if !args.resolver.is_empty() {
        builder.set_resolvers(&args.resolver);
    }
    Ok(Gathered { policy: builder.build()?, notes: library.notes() })
}

/// Reads a file, which may also be a pipe, up to the largest size that a policy may have.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    let failed = |source| SourceError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(SourceError::Directory(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_POLICY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_POLICY_BYTES {
        return Err(SourceError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

fn switch(variable: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<bool, SourceError> {
    match variable(name).as_deref() {
        None | Some("" | "0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(value) => Err(SourceError::Switch { name, value: value.to_owned() }),
    }
}
