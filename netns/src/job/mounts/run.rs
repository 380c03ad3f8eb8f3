//! The job's `/run`: what is in it now, without sockets and without the directories of daemons.
//!
//! A mask over a single socket is undone when its server makes the socket again, and a mask over a
//! directory when the service manager makes that again. Nothing that appears in the host's `/run`
//! during the job appears in this one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::unistd::chdir;

use super::stage::{bind, bind_all, empty_like, place};

const RUN: &str = "/run";

/// Whether this is an entry of `/run`.
pub(super) fn holds(path: &Path) -> bool {
    path.parent() == Some(Path::new(RUN))
}

/// Covers `/run` with a directory of the stage that shows its entries but for sockets, pipes and the
/// content of `masked`. Leaves the working directory in the old one.
pub(super) fn cover(masked: &BTreeSet<OsString>) -> io::Result<()> {
    let run = Path::new(RUN);
    let Ok(metadata) = fs::symlink_metadata(run) else { return Ok(()) };
    if !metadata.is_dir() {
        return Ok(());
    }
    let empty = place("run");
    empty_like(&metadata, &empty)?;
    // What is bound back is found from here, beneath the cover.
    chdir(run)?;
    bind(&empty, run)?;
    for entry in fs::read_dir(".")? {
        let entry = entry?;
        let (old, new) = (Path::new(&entry.file_name()).to_owned(), run.join(entry.file_name()));
        let kind = entry.file_type()?;
        let shown = if kind.is_symlink() {
            fs::read_link(&old).and_then(|target| symlink(target, &new))
        } else if kind.is_dir() && masked.contains(old.as_os_str()) {
            fs::metadata(&old).and_then(|metadata| empty_like(&metadata, &new))
        } else if kind.is_dir() {
            fs::create_dir(&new).and_then(|()| bind_all(&old, &new))
        } else if kind.is_file() {
            fs::write(&new, b"").and_then(|()| bind(&old, &new))
        } else {
            Ok(())
        };
        match shown {
            // Removed since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}
