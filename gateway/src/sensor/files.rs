//! The files that are watched: patterns of a policy, from where the job starts.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use netns::job::{Watch, WatchedFiles};
use policy::Glob;

/// A job's files cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no home.
    #[error("a watched path begins with `~/`, and HOME is not set for the command: write the whole path")]
    NoHome,
}

/// What the sensor looks at; `None` if there is nothing.
///
/// # Errors
/// A pattern is beneath a home that is not known.
pub fn watch(
    wanted: &policy::Watch,
    directory: &Path,
    home: Option<&OsStr>,
) -> Result<Option<Watch>, WatchError> {
    if wanted.is_off() {
        return Ok(None);
    }
    let home = home.map(OsStrExt::as_bytes).filter(|home| home.starts_with(b"/"));
    let mut globs = Vec::new();
    for glob in &wanted.paths {
        let glob = glob.anchored(directory.as_os_str().as_bytes(), home).ok_or(WatchError::NoHome)?;
        // Files are told by their real names, and a pattern may go through a link.
        let real = glob.with_plain(&real(&glob.plain()));
        globs.extend((real != glob).then_some(real));
        globs.push(glob);
    }
    let files = (!globs.is_empty()).then(|| Arc::new(Globs(globs)) as Arc<dyn WatchedFiles>);
    Ok(Some(Watch { programs: wanted.exec, files }))
}

#[derive(Debug)]
struct Globs(Vec<Glob>);

impl WatchedFiles for Globs {
    fn has(&self, path: &[u8]) -> bool {
        self.0.iter().any(|glob| glob.matches(path))
    }

    fn may_be_beneath(&self, directory: &[u8]) -> bool {
        self.0.iter().any(|glob| glob.may_match_beneath(directory))
    }
}

/// Where a path leads, as far as it is there.
fn real(path: &[u8]) -> Vec<u8> {
    let path = Path::new(OsStr::from_bytes(path));
    let found = path.ancestors().find_map(|above| Some((above, std::fs::canonicalize(above).ok()?)));
    let Some((above, real)) = found else { return path.as_os_str().as_bytes().to_vec() };
    match path.strip_prefix(above) {
        Ok(rest) if rest != Path::new("") => real.join(rest).into_os_string().into_vec(),
        _ => real.into_os_string().into_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(paths: &[&str]) -> policy::Watch {
        let paths = paths.iter().map(|path| Glob::parse(path).unwrap()).collect();
        policy::Watch { exec: false, paths }
    }

    fn files(paths: &[&str], home: Option<&str>) -> Arc<dyn WatchedFiles> {
        let watch = watch(&wanted(paths), Path::new("/work"), home.map(OsStr::new));
        watch.unwrap().unwrap().files.unwrap()
    }

    #[test]
    fn paths_begin_where_the_job_does() {
        let files = files(&["*.key", "~/.npmrc", "/nosuch/**"], Some("/home/me"));
        for path in ["/work/a.key", "/home/me/.npmrc", "/nosuch/a/b"] {
            assert!(files.has(path.as_bytes()), "{path}");
        }
        assert!(!files.has(b"/work/sub/a.key"));
        assert!(files.may_be_beneath(b"/home") && !files.may_be_beneath(b"/etc"));
    }

    #[test]
    fn links_in_a_pattern_are_followed() {
        // A link everywhere, to the process's own directory.
        let own = format!("/proc/{}/nosuch", std::process::id());
        let files = files(&["/proc/self/nosuch"], None);
        assert!(files.has(own.as_bytes()) && files.has(b"/proc/self/nosuch"));
    }

    #[test]
    fn nothing_is_looked_at_for_nothing() {
        let off = watch(&policy::Watch::default(), Path::new("/"), None);
        assert!(off.unwrap().is_none());
        for home in [None, Some("")] {
            assert!(watch(&wanted(&["~/x"]), Path::new("/"), home.map(OsStr::new)).is_err());
        }
    }
}
