//! Masks over the sockets that something outside can be reached at, wherever they are.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path};

use super::masks::{Kept, mask_file};
use crate::job::unix_sockets::reachable;

/// The sockets that were there when the job started, in the network namespace of the caller.
pub(super) struct Found(Vec<u8>);

impl Found {
    /// Reads the kernel's table; to be called before the stage covers `/proc`.
    pub(super) fn read() -> io::Result<Found> {
        Ok(Found(fs::read("/proc/self/net/unix")?))
    }

    /// The entries of `/run` in which sockets are, but for those that `directory`, where the job
    /// works, is in: of these, only the sockets themselves can be masked.
    pub(super) fn directories_of_run(&self, directory: &Path) -> BTreeSet<OsString> {
        let own = entry_of_run(directory);
        let names = reachable(&self.0).filter_map(entry_of_run);
        names
            .filter(|name| Some(*name) != own && !SHARED.contains(&name.as_encoded_bytes()))
            .map(OsStr::to_owned)
            .collect()
    }

    /// Masks every socket that is still to be seen and not kept. One that was made by a relative path
    /// is looked for in `directory`, where the job works.
    pub(super) fn mask(&self, kept: &[Kept<'_>], directory: &Path) -> io::Result<()> {
        for path in reachable(&self.0).collect::<BTreeSet<&Path>>() {
            let path = &directory.join(path);
            // What cannot be looked at is masked already, gone, or out of the user's reach.
            let Ok(metadata) = fs::metadata(path) else { continue };
            if metadata.file_type().is_socket() && !kept.iter().any(|kept| kept.is(&metadata)) {
                mask_file(path)?;
            }
        }
        Ok(())
    }
}

/// Entries of `/run` that are no daemon's own: people's disks are mounted there.
const SHARED: [&[u8]; 1] = [b"media"];

/// `NAME` of a path beneath `/run/NAME`, also by its older name.
fn entry_of_run(path: &Path) -> Option<&OsStr> {
    let beneath = path.strip_prefix("/run").or_else(|_| path.strip_prefix("/var/run")).ok()?;
    let mut parts = beneath.components();
    match (parts.next()?, parts.next()) {
        (Component::Normal(name), Some(_)) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[&str]) -> Found {
        let lines = paths.iter().map(|path| format!("0: 2 0 00010000 0001 01 1 {path}\n"));
        Found(lines.collect::<String>().into_bytes())
    }

    #[test]
    fn daemons_have_directories_of_their_own() {
        let found = found(&[
            "/run/a/x",
            "/var/run/b/c/x",
            "/run/x.sock",
            "/run/media/me/disk/x",
            "/tmp/run/x",
            "/run/../x",
        ]);
        let names = |directory: &str| found.directories_of_run(Path::new(directory));
        assert_eq!(names("/work"), BTreeSet::from(["a".into(), "b".into()]));
        assert_eq!(names("/run/a/work"), BTreeSet::from(["b".into()]));
    }
}
