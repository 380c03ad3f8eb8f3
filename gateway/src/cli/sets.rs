//! The files of sets: beside the policy file that names them, or in the user's store, which `cijail-net
//! policy refresh` fills.

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use policy::{GITHUB, MAX_POLICY_BYTES, PolicyBuilder, SetFile, SetText, check_github};

use super::args::RefreshArgs;
use super::{Failure, answer, sources, write};
use crate::causes::chain;

/// How old stored data may be before it is warned of.
const FRESH: Duration = Duration::from_secs(30 * 86_400);
/// What fetches GitHub's document.
const FETCH: &str = "curl -fsS https://api.github.com/meta | cijail-net policy refresh github";

/// Data that was not stored.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("reading {from}")]
    Read { from: String, source: io::Error },
    #[error("nothing comes from standard input: name a file with --from, or run\n{FETCH}")]
    Terminal,
    #[error("{from} is not what https://api.github.com/meta gives: {why}")]
    Other { from: String, why: String },
    #[error("making the directory {}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("neither XDG_DATA_HOME nor HOME names a directory to keep the data in")]
    NoStore,
}

/// Reads the files of sets, and remembers which stored data was used.
#[derive(Debug)]
pub(super) struct Library {
    /// Where stored data is; `None` if the environment names no place.
    store: Option<PathBuf>,
    now: SystemTime,
    /// Stored documents that were read, with the time when they were stored.
    used: Vec<(PathBuf, SystemTime)>,
}

/// What there is to say about the data of sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// For people.
    pub(super) text: String,
    /// Whether something should be done about it.
    pub(super) warns: bool,
}

impl Library {
    /// `variable` looks up the environment.
    pub(super) fn new(variable: impl Fn(&str) -> Option<String>, now: SystemTime) -> Library {
        Library { store: store(variable), now, used: Vec::new() }
    }

    /// Adds a policy file with the files of its sets.
    pub(super) fn add_file(&mut self, builder: &mut PolicyBuilder, path: &Path, bytes: &[u8]) {
        let directory = path.parent().unwrap_or(Path::new(""));
        builder.add_file_with(&path.display().to_string(), bytes, &mut |file| self.read(directory, file));
    }

    /// Adds what `--allow-set` names.
    pub(super) fn allow_set(&mut self, builder: &mut PolicyBuilder, source: &str, reference: &str) {
        builder.add_allow_set(source, reference, &mut |file| self.read(Path::new(""), file));
    }

    /// How old the stored data is that was used, once for each document.
    pub(super) fn notes(&self) -> Vec<Note> {
        let note = |(path, stored): &(PathBuf, SystemTime)| {
            let date = humantime::format_rfc3339_seconds(*stored).to_string();
            let date = date.split('T').next().unwrap_or_default();
            let age = self.now.duration_since(*stored).unwrap_or_default();
            let warns = age > FRESH;
            let text = match warns {
                false => format!("addresses of {date} from {}", path.display()),
                true => format!(
                    "addresses of {date}, {} days ago, from {}: {FETCH}",
                    age.as_secs() / 86_400,
                    path.display()
                ),
            };
            Note { text, warns }
        };
        self.used.iter().map(note).collect()
    }

    fn read(&mut self, directory: &Path, file: SetFile<'_>) -> Result<SetText, String> {
        match file {
            SetFile::Path(path) => {
                let path = directory.join(path);
                let bytes = sources::read(&path).map_err(|error| chain(&error))?;
                Ok(SetText { source: path.display().to_string(), bytes })
            }
            SetFile::Stored(name) => {
                let store = self.store.as_ref().ok_or_else(|| RefreshError::NoStore.to_string())?;
                let path = store.join(format!("{name}.json"));
                let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
                let modified = modified.map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => {
                        format!("there is no data in {}; get it by `{FETCH}`", path.display())
                    }
                    _ => format!("reading {}: {error}", path.display()),
                })?;
                let bytes = sources::read(&path).map_err(|error| chain(&error))?;
                if self.used.iter().all(|(used, _)| *used != path) {
                    self.used.push((path.clone(), modified));
                }
                Ok(SetText { source: path.display().to_string(), bytes })
            }
        }
    }
}

/// For people: a line without its end.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let front = if self.warns { "warning: " } else { "" };
        write!(f, "{front}{}", self.text)
    }
}

/// Puts GitHub's document into the store. Nothing is fetched: the user's own command does that.
pub(super) fn refresh(args: &RefreshArgs) -> Result<u8, Failure> {
    let from = args.from.as_ref().map_or("standard input".to_owned(), |path| path.display().to_string());
    let mut bytes = Vec::new();
    match &args.from {
        Some(path) => bytes = sources::read(path)?,
        None if io::stdin().is_terminal() => return Err(RefreshError::Terminal.into()),
        None => {
            let read = io::stdin().lock().take(MAX_POLICY_BYTES as u64 + 1).read_to_end(&mut bytes);
            read.map_err(|source| RefreshError::Read { from: from.clone(), source })?;
        }
    }
    let other = |why: String| RefreshError::Other { from: from.clone(), why };
    if bytes.len() > MAX_POLICY_BYTES {
        return Err(other("it is too large".to_owned()).into());
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| other(error.to_string()))?;
    let ranges = check_github(text).map_err(other)?;
    let store = store(|name| std::env::var(name).ok()).ok_or(RefreshError::NoStore)?;
    fs::create_dir_all(&store).map_err(|source| RefreshError::Directory { path: store.clone(), source })?;
    let path = store.join(format!("{GITHUB}.json"));
    write::replace(&path, text)?;
    answer(&format!("{ranges} addresses and ranges in {}\n", path.display()))?;
    Ok(0)
}

/// Where data is kept (XDG Base Directory Specification: relative paths are ignored).
fn store(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    Some(data.join("cijail-net/sets"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_where_the_user_keeps_data() {
        let of = |data: &str, home: &str| {
            let (data, home) = (data.to_owned(), home.to_owned());
            store(move |name| Some(if name == "HOME" { home.clone() } else { data.clone() }))
        };
        assert_eq!(of("/data", "/home/a"), Some("/data/cijail-net/sets".into()));
        assert_eq!(of("data", "/home/a"), Some("/home/a/.local/share/cijail-net/sets".into()));
        assert_eq!(of("", ""), None);
    }

    #[test]
    fn old_data_is_warned_of() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let note = |days: u64| {
            let used = vec![("/s/github.json".into(), now - Duration::from_secs(days * 86_400))];
            Library { store: None, now, used }.notes().remove(0)
        };
        assert_eq!(
            note(30),
            Note { text: "addresses of 2026-12-16 from /s/github.json".into(), warns: false }
        );
        assert!(note(31).warns && note(31).text.contains("2026-12-15, 31 days ago"), "{:?}", note(31));
    }
}
